"""Contract §4.1: the functions of scripts written for AWS's toolkits."""

import json
from pathlib import Path

import pytest

from tests.contract import toolkit_scripts as scripts
from tests.contract.cases import get, post
from tests.contract.conftest import Files, MakeModel
from tests.contract.places import Place
from tests.contract.script_answers import CSV, JSON, NPY, refused, told
from tests.support import Answer, Server


class TestFunctions:
    """The functions that a script may have, without a context."""

    @pytest.fixture
    def server(self, place: Place, make_model: MakeModel) -> Server:
        return place.serve(make_model({"code/inference.py": scripts.STAGES}))

    def test_the_model_is_loaded_between_pre_model_fn_and_model_warmup_fn(
        self, server: Server
    ) -> None:
        calls = told(server.ask(post(b"1", CSV)))["calls"]
        assert [call[0] for call in calls] == ["pre_model_fn", "model_fn", "model_warmup_fn"]
        assert len({call[1] for call in calls}) == 1
        assert Path(calls[0][1]).is_absolute()
        assert calls[2][2] == {"name": "a model"}

    def test_model_fn_is_called_once_in_a_worker(self, server: Server) -> None:
        calls = [told(server.ask(post(b"1", CSV)))["calls"] for _ in range(3)]
        assert [len(each) for each in calls] == [3, 3, 3]

    @pytest.mark.parametrize(
        ("content_type", "kind"),
        [
            (JSON, "str"),
            (CSV, "str"),
            (NPY, "bytes"),
            ("text/plain", "bytes"),
            ("image/png", "bytes"),
        ],
    )
    def test_input_fn_gets_text_of_json_and_csv_and_bytes_of_all_else(
        self, server: Server, content_type: str, kind: str
    ) -> None:
        body = "1,é".encode() if kind == "str" else b"\x00\xff"
        given = told(server.ask(post(body, content_type)))["input"]
        text = "1,é" if kind == "str" else "\x00ÿ"
        assert given == {"type": kind, "content_type": content_type, "text": text}

    def test_the_content_type_may_come_as_contenttype(self, server: Server) -> None:
        asked = post(b"1", contenttype="image/png")
        assert told(server.ask(asked))["input"]["content_type"] == "image/png"

    def test_predict_fn_gets_what_input_fn_and_model_fn_returned(self, server: Server) -> None:
        seen = told(server.ask(post(b"7", CSV)))
        assert (seen["input"]["text"], seen["model"]) == ("7", {"name": "a model"})

    @pytest.mark.parametrize(
        ("given", "used"),
        [("", JSON), ("*/*", JSON), (CSV, CSV), ("image/png", "image/png")],
    )
    def test_output_fn_gets_the_accept_of_the_client_or_else_json(
        self, server: Server, given: str, used: str
    ) -> None:
        answer = server.ask(post(b"1", CSV, given))
        assert told(answer)["accept"] == used
        assert answer.headers["content-type"] == used

    def test_the_accept_of_the_client_reaches_output_fn_as_it_was_sent(
        self, server: Server
    ) -> None:
        sent = "text/csv, application/json"
        assert told(server.ask(post(b"1", CSV, accept=sent)))["accept"] == sent

    def test_output_fn_may_return_a_body_and_its_type(self, server: Server) -> None:
        answer = server.ask(post(b"a pair", CSV, accept=JSON))
        assert answer == Answer(200, {"content-type": "text/html"}, b"<p>")

    def test_the_default_accept_is_that_of_the_environment(
        self, place: Place, make_model: MakeModel
    ) -> None:
        model = make_model({"code/inference.py": scripts.STAGES})
        server = place.serve(model, SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="image/webp")
        assert told(server.ask(post(b"1", CSV)))["accept"] == "image/webp"

    def test_transform_fn_does_all_of_a_request(self, place: Place, make_model: MakeModel) -> None:
        server = place.serve(make_model({"code/inference.py": scripts.TRANSFORM}))
        answer = server.ask(post(b"1,2", CSV))
        assert answer == Answer(
            200, {"content-type": JSON}, b"a model '1,2' text/csv application/json"
        )

    @pytest.mark.parametrize(
        ("source", "reason"),
        [
            (
                scripts.TRANSFORM + "\n\ndef predict_fn(data, model): ...\n",
                "inference.py has transform_fn, which does all of a request, and predict_fn too",
            ),
            ("def model_fn(model_dir, context, more): ...", "(model_dir) or (model_dir, context)"),
            (
                "def model_fn(model_dir): ...\n\ndef predict_fn(data): ...\n",
                "(data, model) or (data, model, context)",
            ),
        ],
        ids=["transform_fn among others", "too many arguments", "too few arguments"],
    )
    def test_functions_that_cannot_be_called_are_named_while_the_model_loads(
        self, place: Place, make_model: MakeModel, source: str, reason: str
    ) -> None:
        server = place.serve(make_model({"code/inference.py": source}))
        status, message = refused(server.ask(get("/ping")))
        assert status == 503
        assert reason in message

    def test_modules_beside_the_script_can_be_imported(
        self, place: Place, make_model: MakeModel
    ) -> None:
        files: Files = {
            "code/inference.py": "from beside import model_fn, transform_fn",
            "code/beside.py": scripts.TRANSFORM,
        }
        server = place.serve(make_model(files))
        assert server.ask(post(b"1", CSV)).body.startswith(b"a model '1'")


class TestErrors:
    """What a script's exceptions become."""

    @pytest.fixture
    def server(self, place: Place, make_model: MakeModel) -> Server:
        return place.serve(make_model({"code/inference.py": scripts.FAILING}))

    @pytest.mark.parametrize("stage", ["input", "predict", "output"])
    def test_an_exception_is_a_500_that_names_the_function_and_the_error(
        self, server: Server, stage: str
    ) -> None:
        answer = server.ask(post(stage.encode(), CSV))
        assert refused(answer) == (500, f"{stage}_fn failed: ValueError: no {stage} today")

    def test_an_exception_with_a_status_becomes_that_status(self, server: Server) -> None:
        answer = server.ask(post(b"gone", CSV))
        assert refused(answer) == (410, "This model is no more.")
        assert json.loads(answer.body)["type"] == "Gone"

    def test_the_log_has_the_traceback(self, server: Server) -> None:
        server.ask(post(b"predict", CSV))
        assert 'inference.py", line' in server.log

    def test_the_next_request_is_answered(self, server: Server) -> None:
        server.ask(post(b"predict", CSV))
        assert server.ask(post(b"good", CSV)).body == b"good"


class TestCoroutinesAndGenerators:
    def test_functions_may_be_coroutine_functions(
        self, place: Place, make_model: MakeModel
    ) -> None:
        server = place.serve(make_model({"code/inference.py": scripts.ASYNCHRONOUS}))
        assert server.ask(post(b"data", CSV)).body == b"a model and data"

    def test_a_body_may_be_an_asynchronous_generator(
        self, place: Place, make_model: MakeModel
    ) -> None:
        server = place.serve(make_model({"code/inference.py": scripts.ASYNCHRONOUS}))
        answer = server.ask(post(b"data", CSV, accept="text/event-stream"))
        assert answer.body == b"a\nmodel\nand\ndata\n"

    def test_a_body_may_be_a_generator(self, place: Place, make_model: MakeModel) -> None:
        server = place.serve(make_model({"code/inference.py": scripts.GENERATOR}))
        answer = server.ask(post(b"one two", CSV))
        assert answer == Answer(200, {"content-type": "text/plain"}, b"one\ntwo\n")

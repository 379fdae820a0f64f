"""Contract §4.1: scripts written for AWS's toolkits are served as they are."""

import importlib
import io
import json
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.contract import toolkit_scripts as scripts
from tests.contract.cases import ATTRIBUTES, get, post
from tests.contract.conftest import Files, MakeModel
from tests.contract.places import Place
from tests.contract.scripts import STACKABLE, Gate, script_model
from tests.models import stump
from tests.support import Answer, Server
from tests.test_requirements import make_wheel

CSV, JSON, NPY, NPZ = "text/csv", "application/json", "application/x-npy", "application/x-npz"

sparse: Any = importlib.import_module("scipy.sparse")  # it has no types


def told(answer: Answer) -> Any:
    """What a script tells in JSON."""
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def refused(answer: Answer) -> tuple[int, str]:
    """The status and the message of an error, which shows the client no traceback."""
    body = json.loads(answer.body)
    assert body.keys() == {"code", "type", "message"}
    assert body["code"] == answer.status
    assert "Traceback" not in body["message"]
    assert "\n" not in body["message"]
    return answer.status, body["message"]


def as_npy(array: Any, **options: bool) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


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


class TestContext:
    """The functions with a context, which is one request's and no other's."""

    @pytest.fixture
    def server(self, place: Place, make_model: MakeModel) -> Server:
        return place.serve(make_model({"code/inference.py": scripts.CONTEXT}))

    @staticmethod
    def tell(server: Server, what: dict[str, Any], **headers: str) -> Answer:
        return server.ask(post(json.dumps(what).encode(), JSON, **headers))

    def test_one_context_goes_through_all_functions_of_a_request(self, server: Server) -> None:
        seen = told(self.tell(server, {"a": 1}))
        assert seen["told"] == {"a": 1}
        assert seen["loaded"]["warmed for"] == seen["system"]["model_dir"]

    def test_it_has_the_header_fields_of_the_request_by_name_and_altogether(
        self, server: Server
    ) -> None:
        headers = {
            ATTRIBUTES: "trace=1",
            "x-amzn-sagemaker-inference-id": "one",
            "x-amzn-sagemaker-session-id": "two",
            "x-amzn-sagemaker-target-model": "three.tar.gz",
        }
        seen = told(self.tell(server, {}, **headers))
        assert seen["attributes"] == seen["shouted"] == "trace=1"
        for fields in (seen["all"], seen["properties"]):
            found = {name.lower(): value for name, value in fields.items()}
            assert headers.items() <= found.items()
            assert found["content-type"] == JSON

    def test_it_knows_the_model_the_gpu_the_batch_and_the_server(self, server: Server) -> None:
        seen = told(self.tell(server, {}))
        assert seen["system"] == seen["loaded"]["properties"]
        names = {"model_dir", "gpu_id", "batch_size", "server_name", "server_version"}
        assert seen["system"].keys() == names
        assert seen["system"]["batch_size"] == 1
        assert seen["request_id"]

    def test_it_sets_the_status_the_header_fields_and_the_type_of_the_response(
        self, server: Server
    ) -> None:
        what = {"status": 418, "headers": {"X-One": "1", ATTRIBUTES: "t=2"}, "content_type": CSV}
        answer = self.tell(server, what)
        assert answer.status == 418
        assert answer.headers == {"content-type": CSV, "x-one": "1", ATTRIBUTES: "t=2"}

    def test_nothing_of_a_request_comes_back_unless_the_script_sets_it(
        self, server: Server
    ) -> None:
        answer = self.tell(server, {}, **{ATTRIBUTES: "trace=1"})
        assert answer.headers == {"content-type": JSON}

    def test_requests_at_once_have_each_their_own(self, server: Server) -> None:
        def ask(number: int) -> Answer:
            what = {"number": number, "headers": {"X-Number": str(number)}}
            return self.tell(server, what, **{ATTRIBUTES: str(number)})

        with ThreadPoolExecutor(16) as pool:
            for number, answer in enumerate(pool.map(ask, range(64))):
                seen = told(answer)
                assert (seen["told"]["number"], seen["attributes"]) == (number, str(number))
                assert answer.headers["x-number"] == str(number)

    def test_transform_fn_may_have_one_too(self, place: Place, make_model: MakeModel) -> None:
        server = place.serve(make_model({"code/inference.py": scripts.TRANSFORM_WITH_CONTEXT}))
        headers = {"content-type": "text/plain", "x-model": "a model"}
        assert server.ask(post(b"abc")) == Answer(202, headers, b"ABC")


class TestDefaults:
    """What stands for the functions that a script does not have."""

    @pytest.fixture
    def server(self, place: Place, make_model: MakeModel) -> Server:
        return place.serve(make_model({"code/inference.py": scripts.DOUBLES}))

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            (JSON, b"[[1, 2.5], [3, 4]]"),
            (CSV, b"1,2.5\n3,4\n"),
            (NPY, as_npy(np.array([[1, 2.5], [3, 4]]))),
        ],
    )
    def test_json_csv_and_npy_are_an_array(
        self, server: Server, content_type: str, body: bytes
    ) -> None:
        answer = server.ask(post(body, content_type))
        assert told(answer) == [[2, 5], [6, 8]]

    @pytest.mark.parametrize("form", ["csr", "csc", "coo"])
    def test_npz_is_a_sparse_matrix(self, server: Server, form: str) -> None:
        buffer = io.BytesIO()
        sparse.save_npz(buffer, sparse.csr_matrix([[0, 1.5], [2, 0]]).asformat(form))
        answer = server.ask(post(buffer.getvalue(), NPZ))
        assert told(answer) == [[0, 3], [4, 0]]

    @pytest.mark.parametrize(
        ("accept", "body"),
        [
            (JSON, b"[[2,4]]"),
            (CSV, b"2,4\n"),
            (NPY, as_npy(np.array([[2, 4]]))),
            ("", b"[[2,4]]"),
            ("image/png, text/csv, application/json", b"2,4\n"),
        ],
    )
    def test_an_array_is_written_in_the_first_type_that_the_client_accepts(
        self, server: Server, accept: str, body: bytes
    ) -> None:
        assert server.ask(post(b"[[1, 2]]", JSON, accept)).body == body

    def test_without_a_model_fn_and_a_model_the_message_names_both(
        self, place: Place, make_model: MakeModel
    ) -> None:
        server = place.serve(make_model({"code/inference.py": "def predict_fn(data, model): ..."}))
        status, message = refused(server.ask(get("/ping")))
        assert status == 503
        assert "no model this server knows" in message
        assert "code/inference.py with a model_fn" in message


class TestUnmodified:
    """Scripts of each toolkit, with its imports."""

    @pytest.fixture
    def helped(self, place: Place, make_model: MakeModel) -> Server:
        return place.serve(make_model({"code/inference.py": scripts.HELPERS, "factor": "3"}))

    def test_of_sagemaker_inference_with_its_handler_codecs_and_errors(
        self, helped: Server
    ) -> None:
        for content_type, body in (
            (JSON, b"[[1, 2]]"),
            (CSV, b"1,2\n1,2\n"),
            (NPY, as_npy(np.array([1, 2]))),
        ):
            answer = helped.ask(post(body, content_type))
            assert np.unique(told(answer)).tolist() == [3, 6]
            assert answer.headers["content-type"] == JSON
        answer = helped.ask(post(b"[[1, 2]]", JSON, CSV))
        assert answer == Answer(200, {"content-type": CSV}, b"3,6\n")
        answer = helped.ask(post(b"[1, 2]", JSON, accept=f"image/png, {NPY}"))
        assert answer.headers == {"content-type": NPY}
        assert np.load(io.BytesIO(answer.body)).tolist() == [3, 6]

    def test_its_errors_have_their_statuses(self, helped: Server) -> None:
        assert refused(helped.ask(post(b"[-1]", JSON))) == (
            422,
            "Send no negative numbers.",
        )
        assert refused(helped.ask(post(b"[5000]", JSON)))[0] == 429

    def test_of_the_pytorch_toolkit(self, place: Place, make_model: MakeModel) -> None:
        weights = {"layer.weight": torch.tensor([[2.0, 0.5]]), "layer.bias": torch.tensor([1.0])}
        buffer = io.BytesIO()
        torch.save(weights, buffer)
        files: Files = {"code/inference.py": scripts.PYTORCH, "model.pth": buffer.getvalue()}
        server = place.serve(make_model(files))
        answer = server.ask(post(b'{"inputs": [[1, 2], [0, 0]]}', JSON))
        assert told(answer) == {"predictions": [[4], [1]]}
        body = as_npy(np.array([[1, 2]]))
        assert told(server.ask(post(body, NPY))) == {"predictions": [[4]]}

    def test_of_the_xgboost_container(self, place: Place, make_model: MakeModel) -> None:
        booster = bytes(stump().save_raw("ubj"))
        files: Files = {"code/inference.py": scripts.XGBOOST, "xgboost-model": booster}
        server = place.serve(make_model(files))
        body = b'{"instances": [{"features": [0, 5]}]}'
        assert told(server.ask(post(body, JSON))) == {"predictions": [{"score": 1}]}
        for content_type, body in ((CSV, b"0,5\n2,5"), ("text/libsvm", b"0 0:0 1:5\n0 0:2")):
            answer = server.ask(post(body, content_type, CSV))
            assert answer == Answer(200, {"content-type": CSV}, b"1.0\n3.0\n")

    def test_of_the_xgboost_container_with_a_model_fn_alone(
        self, place: Place, make_model: MakeModel
    ) -> None:
        """Unlike a model without a script: the default is JSON, and of bare scores."""
        booster = bytes(stump().save_raw("ubj"))
        files: Files = {"code/inference.py": scripts.ONLY_MODEL_FN, "xgboost-model": booster}
        server = place.serve(make_model(files))
        answer = server.ask(post(b"0,5\n2,5", CSV))
        assert answer == Answer(200, {"content-type": JSON}, b"[1.0,3.0]")
        answer = server.ask(post(b"0 0:0 1:5", "text/libsvm", CSV))
        assert answer.body == b"1.0\n"


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


class TestRequirements:
    """``code/requirements.txt``, installed before the model loads."""

    @staticmethod
    def files(tmp_path: Path, requirement: str) -> dict[str, str | bytes]:
        """A model with a wheel beside its requirements, of a package that no index has."""
        wheel = make_wheel(tmp_path, "from_a_wheel", "1.5")
        return {
            "code/inference.py": scripts.REQUIRING,
            "code/requirements.txt": f"{requirement}\n",
            f"code/requirements/{wheel.name}": wheel.read_bytes(),
        }

    def test_they_are_installed_from_the_models_own_wheels_without_an_index(
        self, place: Place, make_model: MakeModel, tmp_path: Path
    ) -> None:
        model = make_model(self.files(tmp_path, "from_a_wheel>=1"))
        server = place.serve(model, PIP_INDEX_URL="http://127.0.0.1:9/none")
        version, file = server.ask(post(b"x")).body.decode().split()
        assert version == "1.5"
        assert "/requirements/" in file  # a folder of this model's, not that of the server

    def test_what_cannot_be_installed_ends_start_up_with_one_clear_line(
        self, place: Place, make_model: MakeModel, tmp_path: Path
    ) -> None:
        status, log = place.fails(make_model(self.files(tmp_path, "from_a_wheel==9")))
        assert status != 0
        (line,) = [line for line in log.splitlines() if line.startswith("serving: ")]
        assert line == log.splitlines()[-1]
        assert line.startswith("serving: The requirements in requirements.txt cannot be installed:")
        assert "from_a_wheel==9" in line


class TestStacking:
    """Scripts that say ``stack_rows = True``."""

    def test_the_rows_of_requests_that_wait_are_one_call(
        self, place: Place, tmp_path: Path
    ) -> None:
        folder = script_model(tmp_path / "model", STACKABLE)
        gate = Gate(folder)
        with place.start(folder) as server, ThreadPoolExecutor(8) as pool:
            server.wait_until(lambda answer: answer.status == 200)
            first = pool.submit(server.ask, post(b"[[-1, 0]]", JSON))
            gate.reached()
            rest = [
                pool.submit(server.ask, post(b"[[%d, 0], [1, 1]]" % number, JSON))
                for number in range(5)
            ]
            queue_has(server, 5)
            gate.open()
            assert told(first.result()) == [[-2, 0]]
            for number, answer in enumerate(rest):
                assert told(answer.result()) == [[2 * number, 0], [2, 2]]
            assert "called with 10 rows" in server.log


def queue_has(server: Server, count: int) -> None:
    """Wait until so many requests wait for the model."""
    limit = time.monotonic() + server.patience
    while f"serving_queue_depth {count}.0" not in server.ask(get("/metrics")).body.decode():
        assert time.monotonic() < limit
        time.sleep(0.01)


class TestDefectsThatAreAbsent:
    """What is known to be wrong with the toolkits' way with scripts."""

    @pytest.fixture
    def doubles(self, place: Place, make_model: MakeModel) -> Server:
        return place.serve(make_model({"code/inference.py": scripts.DOUBLES}))

    @pytest.fixture
    def with_context(self, place: Place, make_model: MakeModel) -> Server:
        return place.serve(make_model({"code/inference.py": scripts.CONTEXT}))

    @pytest.fixture
    def helped(self, place: Place, make_model: MakeModel) -> Server:
        return place.serve(make_model({"code/inference.py": scripts.HELPERS, "factor": "3"}))

    def test_no_pickle_in_an_npy_body_is_loaded(self, doubles: Server, helped: Server) -> None:
        class Trap:
            def __reduce__(self) -> tuple[Any, ...]:
                return print, ("the trap has closed",)

        body = as_npy(np.array([Trap()]), allow_pickle=True)
        for server in (doubles, helped):
            assert server.ask(post(body, NPY)).status in (400, 415)
            assert "the trap has closed" not in server.log
        body = b"\x93NUMPY" + pickle.dumps(Trap())
        assert doubles.ask(post(body, NPY)).status in (400, 415)

    def test_no_traceback_reaches_the_client(self, helped: Server) -> None:
        _, message = refused(helped.ask(post(b'[["a"]]', JSON)))
        assert message.startswith("predict_fn failed: ")
        assert "inference.py" not in message

    def test_a_type_that_is_not_read_is_415_and_no_500(
        self, doubles: Server, helped: Server
    ) -> None:
        for server in (doubles, helped):
            status, message = refused(server.ask(post(b"x", "image/png")))
            assert status == 415
            assert "image/png" in message

    def test_a_type_that_is_not_written_is_406_and_no_500(
        self, doubles: Server, helped: Server
    ) -> None:
        for server in (doubles, helped):
            asked = post(b"[[1]]", JSON, "image/png")
            status, message = refused(server.ask(asked))
            assert status == 406
            assert "image/png" in message

    def test_parameters_of_a_content_type_are_no_500(self, doubles: Server, helped: Server) -> None:
        for server, answer in ((doubles, [[2, 4]]), (helped, [3, 6])):
            asked = post(b"1,2", "text/csv; charset=utf-8")
            assert told(server.ask(asked)) == answer

    def test_the_context_is_not_that_of_the_first_request(self, with_context: Server) -> None:
        for attributes in ("first", "second"):
            asked = post(b"{}", JSON, **{ATTRIBUTES: attributes})
            assert told(with_context.ask(asked))["attributes"] == attributes

    def test_a_status_set_for_one_request_does_not_stay_for_the_next(
        self, with_context: Server
    ) -> None:
        what = b'{"status": 202, "headers": {"X-Stays": "no"}}'
        assert with_context.ask(post(what, JSON)).status == 202
        after = with_context.ask(post(b"{}", JSON))
        assert (after.status, after.headers) == (200, {"content-type": JSON})

    @pytest.mark.parametrize("how", ["context", "exception"])
    def test_a_phrase_with_line_breaks_adds_nothing_to_the_response(
        self, with_context: Server, helped: Server, how: str
    ) -> None:
        if how == "context":
            what = {"status": 422, "phrase": "Bad\r\nX-Injected: yes"}
            answer = with_context.ask(post(json.dumps(what).encode(), JSON))
        else:
            answer = helped.ask(post(b"[-1]", JSON))
        assert answer.status == 422
        assert "x-injected" not in answer.headers

    def test_a_missing_function_is_no_error_of_the_first_request(
        self, place: Place, make_model: MakeModel
    ) -> None:
        source = "def model_fn(model_dir):\n    return {}\n"
        server = place.serve(make_model({"code/inference.py": source}))
        status, message = refused(server.ask(get("/ping")))
        assert status == 503
        assert "the script needs a predict_fn" in message

"""Contract §4.1: what is wrong with the toolkits' way with scripts, and absent here."""

import json
import pickle
from typing import Any

import numpy as np
import pytest

from tests.contract import toolkit_scripts as scripts
from tests.contract.cases import ATTRIBUTES, get, post
from tests.contract.conftest import MakeModel
from tests.contract.places import Place
from tests.contract.script_answers import JSON, NPY, as_npy, refused, told
from tests.support import Server


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

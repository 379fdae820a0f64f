"""Contract §4.1: what a script is told of the request and the model, and what it may set."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.contract import toolkit_scripts as scripts
from tests.contract.cases import ATTRIBUTES, post
from tests.contract.conftest import MakeModel
from tests.contract.places import Place
from tests.contract.script_answers import CSV, JSON, told
from tests.support import Answer, Server


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

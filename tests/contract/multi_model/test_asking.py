"""Contract §2: models are listed, described and invoked."""

import pytest

from serving.values import Request
from tests.contract.cases import CSV, JSON, get, post
from tests.contract.many import HIGH, LOW, Many, refused, told
from tests.contract.multi_model.support import ODD_NAMES, not_found


class TestList:
    def test_without_models_it_is_empty(self, many: Many) -> None:
        assert told(many.listed()) == {"models": []}

    def test_it_has_names_and_addresses_in_the_names_order(self, many: Many) -> None:
        for name in ("stump", "classes", "onnx"):
            many.loads(name)
        assert told(many.listed()) == {
            "models": [
                {"modelName": name, "modelUrl": many.url(name)}
                for name in ("classes", "onnx", "stump")
            ]
        }

    @pytest.mark.parametrize(
        ("count", "sizes"), [(1, [1]), (2, [2]), (3, [2, 1]), (4, [2, 2]), (5, [2, 2, 1])]
    )
    def test_a_page_has_a_token_unless_it_is_the_last(
        self, many: Many, count: int, sizes: list[int]
    ) -> None:
        names = sorted(ODD_NAMES)[:count]
        for name in reversed(names):
            many.loads(name)
        pages = [told(many.listed(limit=2))]
        while (token := pages[-1].get("nextPageToken")) is not None:
            pages.append(told(many.listed(limit=2, next_page_token=token)))
        assert [len(page["models"]) for page in pages] == sizes
        assert [model["modelName"] for page in pages for model in page["models"]] == names
        assert all(page.keys() == {"models", "nextPageToken"} for page in pages[:-1])
        assert pages[-1].keys() == {"models"}

    def test_a_token_needs_no_escaping(self, many: Many) -> None:
        for name in ("a&b=c d%20+#", "b"):
            many.loads(name, many.url("stump"))
        token = told(many.listed(limit=1))["nextPageToken"]
        answer = many.server.ask(get("/models", f"limit=1&next_page_token={token}"))
        assert [model["modelName"] for model in told(answer)["models"]] == ["b"]

    def test_what_leaves_between_two_pages_hides_no_other(self, many: Many) -> None:
        for name in "abcd":
            many.loads(name, many.url("stump"))
        first = told(many.listed(limit=2))
        many.unload("b")
        many.unload("a")
        second = told(many.listed(limit=2, next_page_token=first["nextPageToken"]))
        assert [model["modelName"] for model in second["models"]] == ["c", "d"]

    def test_a_page_has_100_where_no_limit_or_a_larger_one_is_named(self, many: Many) -> None:
        names = [f"m{number:03}" for number in range(100)]
        for name in names:
            many.loads(name, many.url("stump"))
        page = told(many.listed())
        assert [model["modelName"] for model in page["models"]] == names
        assert "nextPageToken" not in page
        many.loads("m100", many.url("stump"))
        for page in (told(many.listed()), told(many.listed(limit=1000))):
            assert [model["modelName"] for model in page["models"]] == names
            last = told(many.listed(next_page_token=page["nextPageToken"]))
            assert [model["modelName"] for model in last["models"]] == ["m100"]

    @pytest.mark.parametrize("limit", ["0", "-1", "1.5", "x"])
    def test_a_limit_that_is_none_is_refused(self, many: Many, limit: str) -> None:
        status, kind, message = refused(many.listed(limit=limit))
        assert (status, kind) == (400, "BadRequest")
        assert repr(limit) in message

    def test_a_token_that_is_none_is_refused(self, many: Many) -> None:
        status, kind, message = refused(many.listed(next_page_token="%%%"))
        assert (status, kind) == (400, "BadRequest")
        assert "next_page_token" in message


class TestDescribe:
    def test_it_tells_what_multi_model_server_tells(self, many: Many) -> None:
        many.loads("stump")
        facts = told(many.describe("stump"))
        (worker,) = facts.pop("workers")
        assert facts == {
            "modelName": "stump",
            "modelUrl": many.url("stump"),
            "engine": "xgboost",
            "runtime": "python",
            "minWorkers": 1,
            "maxWorkers": 1,
            "loadedAtStartup": False,
        }
        assert worker.keys() == {"id", "startTime", "status", "gpu", "memoryUsage"}
        assert worker["status"] == "READY"
        assert worker["memoryUsage"] > 0

    def test_what_is_not_loaded_is_not_found(self, many: Many) -> None:
        assert refused(many.describe("stump")) == not_found("stump")


class TestInvoke:
    @pytest.mark.parametrize(
        ("content_type", "accept", "body", "answer"),
        [
            (CSV, "", HIGH, b"3.0\n"),
            (CSV, JSON, HIGH, b'{"predictions":[{"score":3.0}]}'),
            (JSON, CSV, b"[2, 5]", b"3.0\n"),
        ],
    )
    def test_the_types_are_the_requests(
        self, many: Many, content_type: str, accept: str, body: bytes, answer: bytes
    ) -> None:
        many.loads("stump")
        found = many.invoke("stump", body, content_type, accept=accept)
        assert (found.status, found.body) == (200, answer)
        assert found.headers["content-type"] == (accept or CSV)

    def test_what_is_not_loaded_is_not_found(self, many: Many) -> None:
        assert refused(many.invoke("stump")) == not_found("stump")

    def test_a_bad_request_is_the_clients(self, many: Many) -> None:
        many.loads("stump")
        assert many.invoke("stump", b"1,2,3").status == 400
        assert many.invoke("stump", b"x", "image/png").status == 415
        assert many.invoke("stump", LOW, accept="image/png").status == 406

    def test_invocations_reaches_a_loaded_model_by_its_name(self, many: Many) -> None:
        many.loads("stump")
        assert many.target("stump", HIGH).body == b"3.0\n"
        assert refused(many.target("onnx")) == not_found("onnx")

    def test_invocations_needs_a_name(self, many: Many) -> None:
        status, kind, message = refused(many.server.ask(post(LOW, CSV)))
        assert (status, kind) == (400, "BadRequest")
        assert "X-Amzn-SageMaker-Target-Model" in message

    @pytest.mark.parametrize(
        ("method", "where", "allowed"),
        [
            ("PUT", "/models", "GET, POST"),
            ("POST", "/models/stump", "GET, DELETE"),
            ("PATCH", "/models/stump/invoke", "POST, GET, DELETE"),
        ],
    )
    def test_other_methods_are_refused(
        self, many: Many, method: str, where: str, allowed: str
    ) -> None:
        many.loads("stump")
        answer = many.server.ask(Request(method, where, {}, b""))
        assert (answer.status, answer.headers["allow"]) == (405, allowed)

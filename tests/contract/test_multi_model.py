"""Contract §2: SageMaker's interface to a container of many models."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from serving.values import Request
from tests.containers import docker
from tests.contract import heavy
from tests.contract.cases import CSV, JSON, get, post
from tests.contract.conftest import Files
from tests.contract.heavy import MIB, ROW, value
from tests.contract.many import (
    HIGH,
    LOW,
    Many,
    own_platform,
    platform,
    refused,
    told,
)
from tests.contract.places import Place
from tests.support import Answer, healthy

LOADED = {"status": "Workers scaled"}

ODD_NAMES = [
    "with space",
    "100%",
    "%41",
    "a+b&c=d",
    "what?",
    "#1",
    "naïve",
    "模型",
    "team/churn.tar.gz",
    "x/invoke",
    "0e1f2a" * 16,
]


def write(folder: Path, files: Files) -> None:
    for name, content in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)


def read(folder: Path) -> Files:
    found = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in found}


@pytest.fixture(scope="session")
def hosted(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models as the platform lays them down: NAME/model, and files in that."""
    root = tmp_path_factory.mktemp("hosted")
    for name, folder in models.items():
        write(root / name / "model", read(folder))
    for name in ODD_NAMES:
        write(root / name / "model", read(models["stump"]))
    write(root / "onnx table" / "model", heavy.onnx_table(7, 12))
    write(root / "another" / "model", heavy.onnx_table(8, 12))
    write(root / "torch table" / "model", heavy.torch_table(9, 12))
    write(root / "forest" / "model", heavy.forest())
    return root


@pytest.fixture
def many(place: Place, hosted: Path) -> Iterator[Many]:
    """A server without a model, which tests share: what one loads leaves with it."""
    server = platform(place, hosted)
    yield server
    for name in server.names:
        assert server.unload(name).status == 200


def not_found(name: str) -> tuple[int, str, str]:
    return 404, "ModelNotFoundException", f"Model not found: {name}"


class TestLoad:
    def test_a_model_that_is_loaded_answers(self, many: Many) -> None:
        answer = many.load("a", many.url("stump"))
        assert told(answer) == LOADED
        assert many.invoke("a", HIGH).body == b"3.0\n"

    def test_a_name_that_has_a_model_is_a_conflict_and_the_model_stays(self, many: Many) -> None:
        many.loads("a", many.url("stump"))
        assert refused(many.load("a", many.url("classes"))) == (
            409,
            "ConflictStatusException",
            "Model a is already registered.",
        )
        assert many.invoke("a", HIGH).body == b"3.0\n"

    def test_of_loads_that_come_together_one_loads(self, many: Many) -> None:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: many.load("a", many.url("onnx table")), range(8)))
        assert sorted(answer.status for answer in answers) == [200] + [409] * 7
        assert many.names == ["a"]
        assert value(many.invoke("a", ROW)) == 7

    def test_what_is_not_there_is_not_found(self, many: Many) -> None:
        assert refused(many.load("nowhere")) == (
            404,
            "ModelNotFoundException",
            f"Model not found in model store: {many.url('nowhere')}",
        )
        assert many.names == []

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"", "The body has to be JSON"),
            (b"{", "The body has to be JSON"),
            (b'["a"]', "The body has to be JSON"),
            (b'{"url": "/opt/ml/models/a/model"}', "Parameter model_name is required."),
            (b'{"model_name": "a"}', "Parameter url is required."),
            (b'{"model_name": "a", "url": ""}', "Parameter url is required."),
            (b'{"model_name": 1, "url": "/a"}', "Parameter model_name is required."),
        ],
    )
    def test_an_order_that_is_none_says_what_is_missing(
        self, many: Many, body: bytes, message: str
    ) -> None:
        status, kind, said = refused(many.server.ask(Request("POST", "/models", {}, body)))
        assert (status, kind) == (400, "BadRequest")
        assert message in said

    def test_what_the_platform_does_not_know_of_is_ignored(self, many: Many) -> None:
        wish = {"model_name": "a", "url": many.url("stump"), "handler": "x", "batch_size": 3}
        answer = many.server.ask(Request("POST", "/models", {}, json.dumps(wish).encode()))
        assert told(answer) == LOADED

    def test_a_load_that_fails_says_why_and_leaves_nothing(self, many: Many) -> None:
        before = many.count("serving_models_loaded")
        status, kind, message = refused(many.load("a", many.url("broken")))
        assert (status, kind) == (500, "ModelLoadError")
        assert "xgboost-model is damaged" in message
        assert many.names == []
        assert refused(many.describe("a")) == not_found("a")
        assert refused(many.invoke("a")) == not_found("a")
        assert refused(many.unload("a")) == not_found("a")
        assert many.count("serving_models_loaded") == before
        many.loads("a", many.url("stump"))  # the name is free

    def test_without_memory_it_is_refused_until_another_is_unloaded(
        self, place: Place, hosted: Path
    ) -> None:
        with own_platform(place, hosted, SERVING_MODEL_MEMORY_MB="20") as many:
            many.loads("onnx table")
            status, kind, message = refused(many.load("another"))
            assert (status, kind) == (507, "InsufficientStorage")
            assert "another" in message
            assert many.names == ["onnx table"]
            assert value(many.invoke("onnx table", ROW)) == 7
            assert many.unload("onnx table").status == 200
            many.loads("another")
            assert value(many.invoke("another", ROW)) == 8

    def test_the_models_folders_are_only_read(self, many: Many, hosted: Path) -> None:
        before = sorted(hosted.rglob("*"))
        for name in ("stump", "onnx", "script", "torch table"):
            many.loads(name)
        assert many.invoke("script", b"1", "text/x-numbers").body == b"[3]"
        assert sorted(hosted.rglob("*")) == before


class TestNames:
    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_any_name_can_be_used(self, many: Many, name: str) -> None:
        many.loads(name)
        named = {"modelName": name, "modelUrl": many.url(name)}
        assert told(many.listed()) == {"models": [named]}
        assert told(many.describe(name)).items() >= named.items()
        assert many.invoke(name, HIGH).body == b"3.0\n"
        assert told(many.unload(name)) == {"status": f'Model "{name}" unregistered'}
        assert refused(many.unload(name)) == not_found(name)

    def test_a_slash_may_be_escaped(self, many: Many) -> None:
        many.loads("a/b", many.url("stump"))
        answer = many.server.ask(post(LOW, CSV)._replace(path="/models/a%2Fb/invoke"))
        assert answer.body == b"1.0\n"

    def test_a_name_says_nothing_of_the_folder(self, many: Many) -> None:
        many.loads("stump", many.url("classes"))
        many.loads("classes", many.url("stump"))
        assert many.invoke("classes").body == b"1.0\n"
        assert many.invoke("stump").body == b"0.25,0.25,0.25,0.25\n"


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


class TestUnload:
    def test_it_says_so_and_the_model_is_gone(self, many: Many) -> None:
        many.loads("stump")
        assert told(many.unload("stump")) == {"status": 'Model "stump" unregistered'}
        assert refused(many.invoke("stump")) == not_found("stump")
        assert many.names == []

    def test_what_is_not_loaded_is_not_found(self, many: Many) -> None:
        assert refused(many.unload("stump")) == not_found("stump")

    def test_a_model_may_come_again_and_go_again(self, many: Many) -> None:
        for _ in range(3):
            many.loads("stump")
            assert many.invoke("stump").body == b"1.0\n"
            assert many.unload("stump").status == 200

    def test_of_unloads_that_come_together_each_is_answered(self, many: Many) -> None:
        many.loads("stump")
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: many.unload("stump"), range(8)))
        assert sorted(answer.status for answer in answers) == [200] + [404] * 7

    @pytest.mark.parametrize(
        ("url", "copies", "least"),
        [("onnx table", 4, 40), ("torch table", 4, 40), ("forest", 24, 12)],
    )
    def test_its_memory_is_back_when_it_is_answered(
        self, many: Many, url: str, copies: int, least: int
    ) -> None:
        names = [f"{url} {number}" for number in range(copies)]

        def load_and_ask() -> None:
            for name in names:
                many.loads(name, many.url(url))
                assert many.invoke(name, ROW).status == 200

        load_and_ask()
        for name in names:
            many.unload(name)
        before = many.memory()
        load_and_ask()
        assert many.memory() - before > least * MIB
        for name in names:
            assert many.unload(name).status == 200
        assert many.memory() - before < least * MIB / 4

    def test_requests_that_run_meanwhile_are_answered_as_if_it_came_before_or_after(
        self, many: Many
    ) -> None:
        over = Event()

        def ask() -> list[Answer]:
            answers = []
            while not over.is_set():
                answers.append(many.invoke("a", ROW))
            return answers

        with ThreadPoolExecutor(4) as pool:
            clients = [pool.submit(ask) for _ in range(4)]
            try:
                for _ in range(10):
                    many.loads("a", many.url("onnx table"))
                    assert value(many.invoke("a", ROW)) == 7
                    assert many.unload("a").status == 200
            finally:
                over.set()
        answers = [answer for client in clients for answer in client.result()]
        good = [value(answer) for answer in answers if answer.status == 200]
        assert set(good) == {7}
        assert {refused(answer) for answer in answers if answer.status != 200} == {not_found("a")}


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


class TestServer:
    def test_it_is_healthy_without_models(self, many: Many) -> None:
        assert many.server.ask(get("/ping")) == Answer(200, {}, b"")

    def test_it_is_healthy_where_a_load_has_failed(self, many: Many) -> None:
        assert many.load("broken").status == 500
        assert many.server.ask(get("/ping")).status == 200

    def test_what_is_registered_outlives_the_worker(self, place: Place, hosted: Path) -> None:
        with own_platform(place, hosted) as many:
            for name in ("stump", "classes", "team/churn.tar.gz"):
                many.loads(name)
            assert many.load("broken").status == 500
            assert many.unload("classes").status == 200
            many.kill_worker()
            many.server.wait_until(healthy)
            assert many.invoke("stump", HIGH).body == b"3.0\n"
            assert many.invoke("team/churn.tar.gz", LOW).body == b"1.0\n"
            assert refused(many.invoke("classes")) == not_found("classes")
            assert many.names == ["stump", "team/churn.tar.gz"]
            assert refused(many.load("stump"))[0] == 409
            many.loads("classes")
            many.kill_worker()
            many.server.wait_until(healthy)
            assert many.invoke("classes").status == 200

    def test_a_single_model_server_has_no_models_to_list(
        self, place: Place, models: dict[str, Path]
    ) -> None:
        assert place.serve(models["stump"]).ask(get("/models")).status == 404


@pytest.mark.container
@pytest.mark.parametrize("capability", ["multi-models", "accept-bind-to-port"])
def test_the_image_says_what_it_can(capability: str) -> None:
    labels = docker.chosen().inspect(docker.image())["Config"]["Labels"]
    assert labels[f"com.amazonaws.sagemaker.capabilities.{capability}"] == "true"

"""Contract §2: models are loaded under their names, and unloaded."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from serving.values import Request
from tests.contract.cases import CSV, post
from tests.contract.heavy import MIB, ROW, value
from tests.contract.many import HIGH, LOW, Many, own_platform, refused, told
from tests.contract.multi_model.support import LOADED, ODD_NAMES, not_found
from tests.contract.places import Place
from tests.support import Answer


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
        [("onnx table", 4, 40), ("torch table", 4, 40), ("forest", 32, 12)],
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

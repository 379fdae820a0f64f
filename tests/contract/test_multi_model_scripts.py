"""Contract §2 for models with scripts: each is alone, whatever it does."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.contract.cases import JSON
from tests.contract.headers import GIVEN, SET
from tests.contract.many import Many, own_platform, own_repository, platform, refused, told
from tests.contract.places import Place
from tests.contract.scripts import FRAGILE, MIRROR, Gate, script_model
from tests.support import Answer, healthy
from tests.wheels import make_wheel

TEXT = "text/plain"

NAMED = """
import os

import brought_along
import helper


def model_fn(model_dir):
    helper.calls = 0
    return helper.NAME


def transform_fn(name, data, content_type, accept):
    helper.calls += 1
    return f"{name} {helper.NAME} {brought_along.VERSION} {helper.calls}"
"""
"""Answers with what its helper module and its requirement say."""

FAILING = """
def model_fn(model_dir):
    raise OSError("no weights")
"""
EXITING = """
import os


def model_fn(model_dir):
    os._exit(3)
"""
EXHAUSTED = """
def model_fn(model_dir):
    return None


def transform_fn(model, data, content_type, accept):
    raise MemoryError
"""


@pytest.fixture(scope="session")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the platform lays models down; tests add their own."""
    return tmp_path_factory.mktemp("hosted")


@pytest.fixture
def many(place: Place, hosted: Path) -> Iterator[Many]:
    """A server without a model, which tests share: what one loads leaves with it."""
    server = platform(place, hosted)
    yield server
    for name in server.names:
        assert server.unload(name).status == 200


class Hosted(NamedTuple):
    """A model that the platform has laid down."""

    name: str
    folder: Path


Make = Callable[[str], Hosted]


@pytest.fixture
def make(hosted: Path, tmp_path: Path) -> Make:
    """Lays a model of a script down, under a name that no other has."""
    number = count()

    def lay_down(source: str) -> Hosted:
        name = f"{tmp_path.name}/{next(number)}"
        return Hosted(name, script_model(hosted / name / "model", source))

    return lay_down


def process(answer: Answer) -> int:
    """The process that has answered."""
    assert answer.status == 200, answer.body
    return int(answer.body)


class TestIsolation:
    def test_modules_and_requirements_of_one_name_do_not_meet(self, many: Many, make: Make) -> None:
        models = make(NAMED), make(NAMED)
        for model, version in zip(models, ("1.0", "2.0"), strict=True):
            code = model.folder / "code"
            (code / "helper.py").write_text(f"NAME = 'helper {version}'\n")
            (code / "requirements.txt").write_text("brought_along\n")
            make_wheel(code / "requirements", "brought_along", version)
        one, two = (model.name for model in models)
        with ThreadPoolExecutor() as pool:
            assert [answer.status for answer in pool.map(many.load, (one, two))] == [200, 200]
        assert many.invoke(one, b"x", TEXT).body == b"helper 1.0 helper 1.0 1.0 1"
        assert many.invoke(two, b"x", TEXT).body == b"helper 2.0 helper 2.0 2.0 1"
        assert many.invoke(one, b"x", TEXT).body == b"helper 1.0 helper 1.0 1.0 2"

    def test_a_script_that_ends_its_process_harms_no_other_and_comes_back(
        self, many: Many, make: Make
    ) -> None:
        exits, other = make(FRAGILE).name, make(FRAGILE).name
        many.loads(exits)
        many.loads(other)
        first, beside = (process(many.invoke(name, b"x", TEXT)) for name in (exits, other))
        status, kind, message = refused(many.invoke(exits, b"exit", TEXT))
        assert (status, kind) == (503, "ServiceUnavailable")
        assert "exit status 1" in message
        assert process(many.invoke(other, b"x", TEXT)) == beside
        assert process(many.invoke(exits, b"x", TEXT)) != first
        assert process(many.invoke(other, b"x", TEXT)) == beside
        assert many.names == sorted([exits, other])

    def test_of_a_script_that_never_returns_the_process_alone_is_replaced(
        self, place: Place, hosted: Path, make: Make
    ) -> None:
        (hangs, folder), other = make(FRAGILE), make(FRAGILE).name
        _never_opened = Gate(folder)
        with own_platform(place, hosted, SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS="2") as many:
            many.loads(hangs)
            many.loads(other)
            first, beside = (process(many.invoke(name, b"x", TEXT)) for name in (hangs, other))
            assert refused(many.invoke(hangs, b"wait", TEXT))[:2] == (504, "DeadlineExceeded")
            again = many.invoke(hangs, b"x", TEXT)
            # The old process answers until it is taken out; the new one may take a while.
            while again.status == 503 or process(again) == first:
                again = many.invoke(hangs, b"x", TEXT)
            assert process(many.invoke(other, b"x", TEXT)) == beside

    def test_its_process_ends_before_the_unload_is_answered(self, many: Many, make: Make) -> None:
        name = make(FRAGILE).name
        before = many.processes()
        many.loads(name)
        assert len(many.processes()) == len(before) + 1
        assert many.unload(name).status == 200
        assert many.processes() == before


class TestLoad:
    @pytest.mark.parametrize(
        ("source", "words"),
        [(FAILING, "OSError: no weights"), (EXITING, "exit status 3"), ("1 +", "SyntaxError")],
    )
    def test_a_script_that_fails_says_why_and_leaves_nothing(
        self, many: Many, make: Make, source: str, words: str
    ) -> None:
        before = many.processes()
        status, kind, message = refused(many.load(make(source).name))
        assert (status, kind) == (500, "ModelLoadError")
        assert words in message
        assert many.names == []
        good = make(FRAGILE).name
        many.loads(good)
        many.unload(good)
        assert many.processes() == before

    def test_who_asks_while_it_loads_waits(self, many: Many, make: Make) -> None:
        name, folder = make(FRAGILE)
        loading = Gate(folder, "loading")
        with ThreadPoolExecutor(6) as pool:
            load = pool.submit(many.load, name)
            loading.reached()
            asked = [pool.submit(many.invoke, name, b"x", TEXT) for _ in range(4)]
            assert refused(many.load(name))[0] == 409
            assert told(many.describe(name))["workers"][0]["status"] == "LOADING"
            loading.open()
            assert load.result().status == 200
            assert len({process(each.result()) for each in asked}) == 1

    def test_an_unload_meanwhile_takes_place_when_it_is_loaded(
        self, place: Place, hosted: Path, make: Make
    ) -> None:
        name, folder = make(FRAGILE)
        loading = Gate(folder, "loading")
        with ThreadPoolExecutor(6) as pool, own_platform(place, hosted) as many:
            load = pool.submit(many.load, name)
            loading.reached()
            asked = pool.submit(many.invoke, name, b"x", TEXT)
            unloads = [pool.submit(many.unload, name) for _ in range(2)]
            while not any(unload.done() for unload in unloads):  # one of them is refused at once
                assert told(many.listed()) == {"models": []}
            loading.open()
            assert load.result().status == 200
            assert asked.result().status in (200, 404)  # it may have come after the unload
            assert sorted(unload.result().status for unload in unloads) == [200, 404]
            assert many.names == []
            many.kill_worker()
            many.server.wait_until(healthy)
            assert many.describe(name).status == 404


class TestUnload:
    def test_it_waits_for_a_request_that_runs(self, many: Many, make: Make) -> None:
        name, folder = make(FRAGILE)
        gate = Gate(folder)
        many.loads(name)
        with ThreadPoolExecutor(2) as pool:
            begun = pool.submit(many.invoke, name, b"wait", TEXT)
            gate.reached()
            unload = pool.submit(many.unload, name)
            while many.describe(name).status == 200:
                assert not unload.done()
            assert many.invoke(name, b"x", TEXT).status == 404
            assert not begun.done()
            assert not unload.done()
            gate.open("finished")
            assert begun.result().body == b"finished"
            assert unload.result().status == 200


class TestInvoke:
    def test_header_fields_reach_the_script_and_come_back(self, many: Many, make: Make) -> None:
        mirror = make(MIRROR).name
        many.loads(mirror)
        order = json.dumps({"set": SET, "status": 201}).encode()
        answer = many.invoke(mirror, order, JSON, accept="text/csv", **GIVEN)
        assert answer.status == 201
        assert answer.headers == {"content-type": JSON, **SET}
        seen = json.loads(answer.body)
        assert (seen["content_type"], seen["accept"]) == (JSON, "text/csv")
        assert {name: seen["headers"].get(name) for name in GIVEN} == GIVEN

    def test_without_memory_for_it_the_platform_hears_so(self, many: Many, make: Make) -> None:
        name = make(EXHAUSTED).name
        many.loads(name)
        assert refused(many.invoke(name, b"x", TEXT)) == (
            507,
            "OutOfMemory",
            "transform_fn failed: MemoryError",
        )


class TestServer:
    def test_scripts_come_back_with_the_worker(
        self, place: Place, hosted: Path, make: Make
    ) -> None:
        name = make(FRAGILE).name
        with own_platform(place, hosted) as many:
            many.loads(name)
            first = process(many.invoke(name, b"x", TEXT))
            many.kill_worker()
            many.server.wait_until(healthy)
            assert process(many.invoke(name, b"x", TEXT)) != first

    def test_one_that_cannot_come_back_stays_registered_and_is_tried_again(
        self, place: Place, hosted: Path, make: Make
    ) -> None:
        name, folder = make(FRAGILE)
        script = folder / "code" / "inference.py"
        with own_platform(place, hosted) as many:
            many.loads(name)
            script.write_text(FAILING)
            assert many.invoke(name, b"exit", TEXT).status == 503
            status, kind, message = refused(many.invoke(name, b"x", TEXT))
            assert (status, kind) == (503, "ModelNotReady")
            assert "no weights" in message
            assert many.names == [name]
            script.write_text(FRAGILE)
            while (answer := many.invoke(name, b"x", TEXT)).status == 503:
                assert many.names == [name]
            assert process(answer) > 0

    def test_on_premises_one_that_ended_is_loaded_by_the_next_request(
        self, place: Place, tmp_path: Path
    ) -> None:
        script_model(tmp_path / "fragile", FRAGILE)
        with own_repository(place, tmp_path) as many:
            first = process(many.target("fragile", b"x", TEXT))
            assert many.target("fragile", b"exit", TEXT).status == 503
            assert process(many.target("fragile", b"x", TEXT)) != first

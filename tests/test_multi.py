"""A server of many models, asked as the platform and as clients ask it."""

import asyncio
import json
import logging
import shutil
import tarfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serving import loading
from serving.application import Application
from serving.errors import ModelNotFound
from serving.gpu import Gpu, Gpus
from serving.loader import Loader
from serving.loading import Loaded
from serving.multi import TARGET, MultiModel
from serving.service import Tools
from serving.settings import MIB, Settings
from serving.values import Request, Response
from tests.conftest import MakeSettings
from tests.models import classes, stump
from tests.support import PATIENCE, Recorder, Run

GIB = 1024 * MIB
CSV = {"content-type": "text/csv"}
LOW, HIGH = b"0,0", b"2,0"
"""Rows for which a stump answers 1 and 3."""


class Many:
    """An application of many models."""

    def __init__(self, settings: Any, registered: Mapping[str, str]) -> None:
        self.kept: dict[str, str] = {}
        self.ready = asyncio.Event()
        self._application = Application(
            settings,
            asyncio.get_running_loop(),
            many=lambda tools: MultiModel(tools, Loader(tools), self._keep),
        )
        self._application.open(registered, self.ready.set)

    def _keep(self, registered: Mapping[str, str]) -> None:
        self.kept = dict(registered)

    async def ask(
        self, method: str, path: str, body: bytes = b"", query: str = "", **headers: str
    ) -> Response:
        reply = Recorder()
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        self._application.handle(Request(method, path, fields, body, query), reply)
        return await reply.answer()

    async def json(
        self, method: str, path: str, body: bytes = b"", query: str = ""
    ) -> tuple[int, Any]:
        answer = await self.ask(method, path, body, query)
        assert isinstance(answer.body, bytes)
        return answer.status, json.loads(answer.body)

    async def load(self, name: str, url: Path) -> tuple[int, Any]:
        body = json.dumps({"model_name": name, "url": str(url)}).encode()
        return await self.json("POST", "/models", body)

    async def target(self, name: str, row: bytes = LOW) -> Response:
        return await self.ask("POST", "/invocations", row, **CSV, **{TARGET: name})

    def close(self) -> None:
        self._application.close()


ManyOf = Callable[..., AbstractAsyncContextManager[Many]]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A repository of one directory, one archive in a folder, and one that is broken."""
    root = tmp_path / "models"
    (root / "stump").mkdir(parents=True)
    stump().save_model(root / "stump" / "model.json")
    (root / "team").mkdir()
    (tmp_path / "xgboost-model").write_bytes(classes().save_raw("ubj"))
    with tarfile.open(root / "team" / "classes.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "xgboost-model", "xgboost-model")
    (root / "broken.tar.gz").write_bytes(b"no archive")
    return root


@pytest.fixture
def many(make_settings: MakeSettings, models: Path, tmp_path: Path) -> ManyOf:
    @asynccontextmanager
    async def start(
        registered: Mapping[str, str] | None = None, **given: Any
    ) -> AsyncIterator[Many]:
        common = {"repository": str(models), "cache": tmp_path / "cache", "repository_seconds": 0.0}
        many = Many(make_settings(**common, **given), registered or {})
        try:
            yield many
        finally:
            many.close()

    return start


class TestPlatform:
    """The interface that SageMaker calls."""

    def test_a_model_is_loaded_listed_described_asked_and_unloaded(
        self, run: Run, many: ManyOf, models: Path
    ) -> None:
        async def scenario() -> None:
            async with many() as server:
                url = str(models / "stump")
                assert await server.load("a", models / "stump") == (
                    200,
                    {"status": "Workers scaled"},
                )
                named = {"modelName": "a", "modelUrl": url}
                assert await server.json("GET", "/models") == (200, {"models": [named]})
                status, facts = await server.json("GET", "/models/a")
                assert status == 200
                assert facts.items() >= named.items()
                (worker,) = facts["workers"]
                assert worker["status"] == "READY"
                assert worker["memoryUsage"] > 0
                assert worker["gpu"] is False
                answer = await server.ask("POST", "/models/a/invoke", HIGH, **CSV)
                assert (answer.status, answer.body) == (200, b"3.0\n")
                assert await server.json("DELETE", "/models/a") == (
                    200,
                    {"status": 'Model "a" unregistered'},
                )
                assert await server.json("GET", "/models") == (200, {"models": []})

        run(scenario())

    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", "/models/a"), ("DELETE", "/models/a"), ("POST", "/models/a/invoke")],
    )
    def test_a_model_that_is_not_loaded_is_not_found(
        self, run: Run, many: ManyOf, method: str, path: str
    ) -> None:
        async def scenario() -> None:
            async with many() as server:
                assert await server.json(method, path, b"1" if method == "POST" else b"") == (
                    404,
                    {
                        "code": 404,
                        "type": "ModelNotFoundException",
                        "message": "Model not found: a",
                    },
                )

        run(scenario())

    def test_a_model_that_is_loaded_is_a_conflict(
        self, run: Run, many: ManyOf, models: Path
    ) -> None:
        async def scenario() -> None:
            async with many() as server:
                await server.load("a", models / "stump")
                assert await server.load("a", models / "stump") == (
                    409,
                    {
                        "code": 409,
                        "type": "ConflictStatusException",
                        "message": "Model a is already registered.",
                    },
                )

        run(scenario())

    def test_of_loads_that_come_together_one_loads(
        self, run: Run, many: ManyOf, models: Path
    ) -> None:
        async def scenario() -> None:
            async with many() as server:
                loads = [server.load("a", models / "stump") for _ in range(5)]
                statuses = [status for status, _ in await asyncio.gather(*loads)]
                assert sorted(statuses) == [200, 409, 409, 409, 409]

        run(scenario())

    def test_a_model_that_has_no_room_is_insufficient_storage(
        self, run: Run, many: ManyOf, models: Path
    ) -> None:
        async def scenario() -> None:
            async with many(model_memory=1) as server:
                status, error = await server.load("a", models / "stump")
                assert (status, error["type"]) == (507, "InsufficientStorage")
                assert await server.json("GET", "/models") == (200, {"models": []})

        run(scenario())

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"", "The body has to be JSON"),
            (b"[]", "The body has to be JSON"),
            (b'{"url": "/x"}', "Parameter model_name is required."),
            (b'{"model_name": "a"}', "Parameter url is required."),
            (b'{"model_name": "a", "url": 3}', "Parameter url is required."),
        ],
    )
    def test_a_wrong_wish_is_a_bad_request(
        self, run: Run, many: ManyOf, body: bytes, message: str
    ) -> None:
        async def scenario() -> None:
            async with many() as server:
                status, error = await server.json("POST", "/models", body)
                assert status == 400
                assert message in error["message"]

        run(scenario())

    def test_what_is_not_at_its_address_is_not_found(
        self, run: Run, many: ManyOf, models: Path
    ) -> None:
        async def scenario() -> None:
            async with many() as server:
                status, error = await server.load("a", models / "gone.tar.gz")
                assert status == 404
                assert error["message"] == f"Model not found in model store: {models}/gone.tar.gz"

        run(scenario())

    def test_pages_have_every_model_once_and_the_last_has_no_token(
        self, run: Run, many: ManyOf, models: Path
    ) -> None:
        async def scenario() -> None:
            async with many() as server:
                for name in ("c", "a/x", "d", "b"):
                    assert (await server.load(name, models / "stump"))[0] == 200
                pages, token = [], ""
                while True:
                    query = f"limit=2&next_page_token={token}"
                    _, page = await server.json("GET", "/models", b"", query)
                    pages.append([model["modelName"] for model in page["models"]])
                    token = page.get("nextPageToken", "")
                    if not token:
                        break
                assert pages == [["a/x", "b"], ["c", "d"]]
                assert (await server.ask("POST", "/models/a/x/invoke", LOW, **CSV)).body == b"1.0\n"

        run(scenario())

    @pytest.mark.parametrize("limit", ["0", "-1", "x", "1.5"])
    def test_a_page_of_no_size_is_a_bad_request(self, run: Run, many: ManyOf, limit: str) -> None:
        async def scenario() -> None:
            async with many() as server:
                status, error = await server.json("GET", "/models", b"", f"limit={limit}")
                assert (status, error["type"]) == (400, "BadRequest")

        run(scenario())

    def test_what_was_unloaded_while_it_loaded_is_not_kept(
        self, run: Run, many: ManyOf, models: Path
    ) -> None:
        async def scenario() -> None:
            async with many() as server:
                url = str(models / "team" / "classes.tar.gz")
                body = json.dumps({"model_name": "a", "url": url}).encode()
                orders = [
                    asyncio.create_task(server.json("POST", "/models", body)),
                    asyncio.create_task(server.json("DELETE", "/models/a")),
                    asyncio.create_task(server.json("DELETE", "/models/a")),
                ]
                statuses = [status for status, _ in await asyncio.gather(*orders)]
                assert statuses == [200, 200, 404]
                assert server.kept == {}
                assert (await server.load("a", models / "stump"))[0] == 200
                assert server.kept == {"a": str(models / "stump")}

        run(scenario())

    def test_a_models_name_may_end_as_an_invocation_does(
        self, run: Run, many: ManyOf, models: Path
    ) -> None:
        async def scenario() -> None:
            async with many() as server:
                await server.load("a/invoke", models / "stump")
                assert (await server.json("GET", "/models/a/invoke"))[0] == 200
                answer = await server.ask("POST", "/models/a/invoke/invoke", HIGH, **CSV)
                assert answer.body == b"3.0\n"
                assert (await server.ask("POST", "/models/a/invoke", HIGH, **CSV)).status == 404
                assert (await server.ask("DELETE", "/models/a/invoke")).status == 200

        run(scenario())

    @pytest.mark.parametrize("token", ["x", "fg", "ff"])
    def test_a_token_that_is_none_is_a_bad_request(
        self, run: Run, many: ManyOf, token: str
    ) -> None:
        async def scenario() -> None:
            async with many() as server:
                status, error = await server.json("GET", "/models", b"", f"next_page_token={token}")
                assert (status, error["type"]) == (400, "BadRequest")
                assert repr(token) in error["message"]

        run(scenario())

    def test_what_was_registered_is_kept_for_the_next_process(
        self, run: Run, many: ManyOf, models: Path
    ) -> None:
        async def scenario() -> None:
            async with many() as server:
                await server.load("a", models / "stump")
                await server.load("b", models / "team" / "classes.tar.gz")
                await server.ask("DELETE", "/models/b")
                kept = server.kept
            assert kept == {"a": str(models / "stump")}
            async with many(kept) as server:
                answer = await server.ask("POST", "/models/a/invoke", LOW, **CSV)
                assert (answer.status, answer.body) == (200, b"1.0\n")
                await server.ask("DELETE", "/models/a")
                assert server.kept == {}

        run(scenario())

    def test_what_cannot_be_loaded_again_stays_registered(
        self, run: Run, many: ManyOf, models: Path
    ) -> None:
        async def scenario() -> None:
            async with many({"a": str(models / "gone"), "b": str(models / "stump")}) as server:
                answer = await server.ask("POST", "/models/a/invoke", LOW, **CSV)
                assert answer.status == 503
                listed = await server.json("GET", "/models")
                assert [model["modelName"] for model in listed[1]["models"]] == ["a", "b"]
                _, described = await server.json("GET", "/models/a")
                assert described["workers"][0]["status"] == "FAILED"
                assert (await server.load("a", models / "stump"))[0] == 409
                assert (await server.ask("DELETE", "/models/a")).status == 200
                assert server.kept == {"b": str(models / "stump")}
                assert (await server.load("a", models / "stump"))[0] == 200

        run(scenario())


class TestGpu:
    @pytest.mark.parametrize(
        ("total", "setting", "told"),
        [(10 * GIB, 0, "9216 MiB"), (10 * GIB, 512 * MIB, "512 MiB"), (0, 0, "")],
    )
    def test_models_may_take_most_of_its_memory_or_what_is_set(
        self,
        run: Run,
        make_settings: MakeSettings,
        caplog: pytest.LogCaptureFixture,
        total: int,
        setting: int,
        told: str,
    ) -> None:
        async def scenario() -> None:
            settings = make_settings(multi_model=True, gpu_memory=setting)
            tools = Tools.of(settings, asyncio.get_running_loop())
            MultiModel(tools, Loader(tools, gpus=Gpus([Gpu(total)]))).close()
            tools.decoder.close()

        caplog.set_level(logging.INFO)
        run(scenario())
        lines = [line for line in caplog.messages if "GPU" in line]
        assert lines == ([f"models may take {told} of the GPU's memory together"] if told else [])

    def test_a_model_on_it_says_so(
        self, run: Run, many: ManyOf, models: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        load = loading.load

        def load_there(folder: Path, settings: Settings, gpus: Gpus) -> Loaded:
            loaded = load(folder, settings, gpus)
            return loaded._replace(model=replace(loaded.model, devices=("cuda:0",)))

        monkeypatch.setattr(loading, "load", load_there)

        async def scenario() -> None:
            async with many() as server:
                await server.load("a", models / "stump")
                _, facts = await server.json("GET", "/models/a")
                assert facts["workers"][0]["gpu"] is True

        run(scenario())


class TestRepository:
    """On premises, where clients name what they want."""

    def test_a_model_is_loaded_when_it_is_first_asked_for(self, run: Run, many: ManyOf) -> None:
        async def scenario() -> None:
            async with many() as server:
                asked = [server.target("stump", LOW), server.target("stump", HIGH)]
                assert [answer.body for answer in await asyncio.gather(*asked)] == [
                    b"1.0\n",
                    b"3.0\n",
                ]
                answer = await server.target("team/classes.tar.gz")
                assert answer.body == b"0.25,0.25,0.25,0.25\n"
                _, listed = await server.json("GET", "/models")
                names = [model["modelName"] for model in listed["models"]]
                assert names == ["stump", "team/classes.tar.gz"]

        run(scenario())

    @pytest.mark.parametrize("sent", ["na\u00efve", "na\u00efve".encode().decode("latin-1")])
    def test_a_name_that_is_not_ascii_may_come_as_latin_1_or_as_utf_8(
        self, run: Run, many: ManyOf, models: Path, sent: str
    ) -> None:
        async def scenario() -> None:
            shutil.copytree(models / "stump", models / "naïve")
            async with many() as server:
                assert (await server.target(sent)).body == b"1.0\n"

        run(scenario())

    @pytest.mark.parametrize(
        ("name", "status", "message"),
        [
            ("", 400, "say in X-Amzn-SageMaker-Target-Model which"),
            ("gone.tar.gz", 404, "Model not found in model store: gone.tar.gz"),
            ("../models/stump", 400, "cannot be a model"),
            ("broken.tar.gz", 500, "broken.tar.gz"),
        ],
    )
    def test_what_cannot_be_a_model_says_why(
        self, run: Run, many: ManyOf, name: str, status: int, message: str
    ) -> None:
        async def scenario() -> None:
            async with many() as server:
                answer = await server.target(name)
                assert isinstance(answer.body, bytes)
                assert (answer.status, message in answer.body.decode()) == (status, True)

        run(scenario())

    def test_without_a_repository_what_is_registered_can_be_targeted(
        self, run: Run, many: ManyOf, models: Path
    ) -> None:
        async def scenario() -> None:
            async with many() as server:
                server._application._models._repository = None  # type: ignore[union-attr]
                await server.load("a", models / "stump")
                assert (await server.target("a")).status == 200
                assert (await server.target("stump")).status == 404

        run(scenario())

    def test_a_new_version_is_picked_up_and_the_unpacked_old_one_removed(
        self, run: Run, many: ManyOf, models: Path, tmp_path: Path
    ) -> None:
        def unpacked() -> set[Path]:
            found = (tmp_path / "cache").glob("*/[!.]*")  # a dot: it is being removed
            return {path for path in found if path.is_dir()}

        async def scenario() -> None:
            async with many() as server:
                assert (await server.target("team/classes.tar.gz")).status == 200
                (old,) = unpacked()
                draft = tmp_path / "draft.tar.gz"
                with tarfile.open(draft, "w:gz") as archive:
                    archive.add(models / "stump" / "model.json", "model.json")
                draft.replace(models / "team" / "classes.tar.gz")

                async def until_new() -> None:
                    while (await server.target("team/classes.tar.gz")).body != b"1.0\n":
                        await asyncio.sleep(0.002)

                async def until_removed() -> None:
                    while old in unpacked():  # with a later look at the archive
                        assert (await server.target("team/classes.tar.gz")).body == b"1.0\n"
                        await asyncio.sleep(0.002)

                await asyncio.wait_for(until_new(), PATIENCE)
                await asyncio.wait_for(until_removed(), PATIENCE)
                assert len(unpacked()) == 1

        run(scenario())

    def test_a_model_that_is_gone_from_the_repository_stays_while_it_is_loaded(
        self, run: Run, many: ManyOf, models: Path
    ) -> None:
        async def scenario() -> None:
            async with many() as server:
                assert (await server.target("stump")).status == 200
                shutil.rmtree(models / "stump")
                for _ in range(3):
                    assert (await server.target("stump")).status == 200
                await server.ask("DELETE", "/models/stump")
                assert (await server.target("stump")).status == 404

        run(scenario())


class TestPinned:
    def test_ping_waits_for_what_is_pinned(self, run: Run, many: ManyOf) -> None:
        async def scenario() -> None:
            async with many(pinned="stump, team/classes.tar.gz") as server:
                status, error = await server.json("GET", "/ping")
                assert (status, error["type"]) == (503, "ModelNotReady")
                await asyncio.wait_for(server.ready.wait(), PATIENCE)
                assert (await server.ask("GET", "/ping")).status == 200
                _, facts = await server.json("GET", "/models/stump")
                assert facts["loadedAtStartup"] is True

        run(scenario())

    def test_ping_says_why_one_could_not_be_loaded(self, run: Run, many: ManyOf) -> None:
        async def scenario() -> None:
            async with many(pinned="broken.tar.gz") as server:

                async def until_failed() -> str:
                    while True:
                        status, error = await server.json("GET", "/ping")
                        assert status == 503
                        if "failed" in error["message"]:
                            return str(error["message"])
                        await asyncio.sleep(0.002)

                message = await asyncio.wait_for(until_failed(), PATIENCE)
                assert "The model broken.tar.gz failed to load" in message

        run(scenario())

    def test_one_that_was_registered_before_is_that_of_the_repository_again(
        self, run: Run, many: ManyOf, models: Path
    ) -> None:
        async def scenario() -> None:
            registered = {"stump": str(models / "team" / "classes.tar.gz")}
            async with many(registered, pinned="stump,stump") as server:
                await asyncio.wait_for(server.ready.wait(), PATIENCE)
                assert (await server.target("stump")).body == b"1.0\n"

        run(scenario())

    def test_one_that_is_not_there_ends_the_start(self, run: Run, many: ManyOf) -> None:
        async def scenario() -> None:
            with pytest.raises(ModelNotFound):
                async with many(pinned="gone"):
                    pass

        run(scenario())

    def test_with_none_the_server_is_ready_at_once(self, run: Run, many: ManyOf) -> None:
        async def scenario() -> None:
            async with many() as server:
                assert server.ready.is_set()
                assert (await server.ask("GET", "/ping")).status == 200

        run(scenario())

"""The models of the contract's cases, the core that answers them without a host, and the places."""

import asyncio
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Protocol

import onnx
import pytest

from serving.application import Application
from serving.values import Request
from tests.conftest import MakeSettings
from tests.containers import docker
from tests.contract.places import ContainerPlace, Place, ProcessPlace
from tests.contract.scripts import MIRROR, script_model
from tests.hosts.web import stream_in
from tests.models import SCRIPT, classes, doubling, stump
from tests.support import PATIENCE, Answer, Recorder

Files = dict[str, str | bytes]
"""What is in a model directory, by paths in it."""

MakeModel = Callable[[Files], Path]


class Ask(Protocol):
    """A host that serves all the models."""

    def __call__(self, model: str, request: Request) -> Answer: ...


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A directory for each model."""
    root = tmp_path_factory.mktemp("models")
    folders = {name: root / name for name in ("stump", "classes", "onnx", "script", "broken")}
    for folder in folders.values():
        folder.mkdir()
    stump().save_model(folders["stump"] / "model.json")
    (folders["classes"] / "xgboost-model").write_bytes(classes().save_raw("ubj"))
    onnx.save(doubling(), folders["onnx"] / "model.onnx")
    (folders["script"] / "code").mkdir()
    (folders["script"] / "code" / "inference.py").write_text(SCRIPT)
    (folders["broken"] / "xgboost-model").write_bytes(stump().save_raw("ubj")[:-100])
    return folders


@pytest.fixture(scope="session")
def served(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The models of the cases, and one whose answers are streams."""
    return {**models, "streams": Path(stream_in(tmp_path_factory.mktemp("streams")))}


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> MakeModel:
    """Makes a model directory; of equal files, the same one."""

    @cache
    def make(*files: tuple[str, str | bytes]) -> Path:
        folder = tmp_path_factory.mktemp("model")
        for name, content in files:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return folder

    return lambda files: make(*files.items())


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that tells what it was given; see scripts.py."""
    return script_model(tmp_path_factory.mktemp("mirror") / "model", MIRROR)


class Core:
    """The core on a loop of its own, as a host calls it."""

    def __init__(self, models: dict[str, Path], make_settings: MakeSettings) -> None:
        self._models = models
        self._make_settings = make_settings
        self._runner = asyncio.Runner()
        self._applications: dict[str, Application] = {}

    def __call__(self, model: str, request: Request) -> Answer:
        return self._runner.run(self._ask(model, request))

    async def _ask(self, model: str, request: Request) -> Answer:
        if model not in self._applications:
            self._applications[model] = await self._load(self._models[model])
        reply = Recorder()
        self._applications[model].handle(request, reply)
        response = await reply.answer()
        body = response.body
        if not isinstance(body, bytes):
            body = b"".join([chunk async for chunk in body])
        headers = dict(response.headers)
        if response.content_type:
            headers["content-type"] = response.content_type
        return Answer(response.status, headers, b"" if request.method == "HEAD" else body)

    async def _load(self, folder: Path) -> Application:
        loop, settled = asyncio.get_running_loop(), asyncio.Event()
        application = Application(self._make_settings(), loop)
        application.load(folder, lambda _: settled.set())
        await asyncio.wait_for(settled.wait(), PATIENCE)
        return application

    def close(self) -> None:
        for application in self._applications.values():
            application.close()
        self._runner.close()


@pytest.fixture(scope="session")
def core(models: dict[str, Path], make_settings: MakeSettings) -> Iterator[Ask]:
    """Answers a case without a host."""
    core = Core(models, make_settings)
    yield core
    core.close()


@pytest.fixture(
    scope="session", params=["process", pytest.param("container", marks=pytest.mark.container)]
)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """Runs servers, here and in containers."""
    place: Place
    if request.param == "process":
        place = ProcessPlace(lambda: tmp_path_factory.mktemp("server"))
    else:
        place = ContainerPlace(docker.chosen(), docker.image())
    yield place
    place.close()

"""Images made by build.sh, as a person makes them, and containers that run them."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from serving import configuration
from serving.application import Application
from serving.values import Request
from tests.containers.docker import DEADLINE, Docker, Starter, chosen
from tests.containers.docker import image as build
from tests.support import Answer, Recorder

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def docker() -> Docker:
    """The engine's client."""
    return chosen()


@pytest.fixture(scope="session")
def image() -> str:
    """The image with all engines."""
    return build()


@pytest.fixture(scope="session")
def slim_image() -> str:
    """The image with XGBoost alone."""
    return build("xgboost")


@pytest.fixture
def start(docker: Docker) -> Iterator[Starter]:
    starter = Starter(docker)
    yield starter
    starter.close()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Trains an example, once, and gives its model directory."""

    @cache
    def train(example: str) -> Path:
        folder = tmp_path_factory.mktemp(example)
        folder.chmod(0o755)  # it is read by another user in the container
        script = ROOT / "inference_scripts" / example / "train.py"
        subprocess.run([sys.executable, script, folder], check=True)
        return folder

    return train


async def answer_in_process(model: Path, request: Request) -> Answer:
    """What the core of this process answers, with no server and no container between."""
    loop, settled, reply = asyncio.get_running_loop(), asyncio.Event(), Recorder()
    application = Application(configuration.read({}), loop)
    try:
        application.load(model, lambda _: settled.set())
        await asyncio.wait_for(settled.wait(), DEADLINE)
        application.handle(request, reply)
        response = await reply.answer()
    finally:
        application.close()
    assert isinstance(response.body, bytes)
    return Answer(response.status, {"content-type": response.content_type}, response.body)


@pytest.fixture(scope="session")
def in_process() -> Callable[[Path, Request], Answer]:
    """Answers a request with a model in this process."""
    return lambda model, request: asyncio.run(answer_in_process(model, request))

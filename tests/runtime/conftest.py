"""The API in front of a core, and clients of it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from serving.runtime import asynchronous
from tests.conftest import MakeSettings
from tests.runtime.support import ANSWER, Answering, Front

MakeFront = Callable[..., Front]


@pytest.fixture
def make_front(make_settings: MakeSettings) -> Iterator[MakeFront]:
    """Makes the API with the settings, and the core with the answer, that are given."""
    with ExitStack() as stack:

        def make(answer: Answering = lambda _: ANSWER, **settings: Any) -> Front:
            front = Front(make_settings(**settings), answer)
            stack.callback(front.close)
            return front

        yield make


@pytest.fixture
def front(make_front: MakeFront) -> Front:
    """The API of a server of one model, without a file of endpoints."""
    return make_front()


@pytest.fixture
def client(front: Front) -> Any:
    """A client of boto3 for it."""
    return front.client()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The folder for the answers to asynchronous invocations."""
    return tmp_path / "store"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits before it tries again waits for next to nothing."""
    monkeypatch.setattr(asynchronous, "RETRY_SECONDS", 0.005)
    monkeypatch.setattr(asynchronous, "SCAN_SECONDS", 0.005)

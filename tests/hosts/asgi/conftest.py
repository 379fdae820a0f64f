"""Folders of models, and ASGI applications of them."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serving.call import Reply
from serving.hosts.asgi import Host, create_app
from serving.hosts.site import Site
from serving.values import Request
from tests.conftest import MakeSettings
from tests.hosts.web import stream_in, stump_in


@pytest.fixture
def stump_folder(tmp_path: Path) -> str:
    return stump_in(tmp_path)


@pytest.fixture
def stream_folder(tmp_path: Path) -> str:
    return stream_in(tmp_path)


@pytest.fixture
def settle(make_settings: MakeSettings) -> Callable[..., Host]:
    """Makes a host whose site is the given handler; called on the loop."""

    def settle(handle: Callable[[Request, Reply], None], **given: Any) -> Host:
        async def begun() -> tuple[Site, Any]:
            site: Any = SimpleNamespace(handle=handle)
            return site, make_settings(**given)

        host = create_app()
        host._beginning = asyncio.get_running_loop().create_task(begun())
        return host

    return settle

"""A process that serves many models, and what it is asked."""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from serving.application import Application
from serving.loader import Loader
from serving.multi import TARGET, MultiModel
from serving.settings import MIB
from serving.values import Request, Response
from tests.support import Recorder

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

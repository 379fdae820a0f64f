"""A client of an ASGI application, without a server between them."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from serving.call import Reply
from serving.hosts.asgi import Host
from serving.hosts.asgi_messages import Message, Scope
from serving.values import Request
from tests.support import PATIENCE

WHOLE: Message = {"type": "http.request", "body": b"", "more_body": False}
LEFT: Message = {"type": "http.disconnect"}
BYTES = [(b"content-type", b"application/octet-stream")]


def http(path: str = "/invocations", method: str = "POST", **more: Any) -> Scope:
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode()}
    return {**scope, "query_string": b"", "headers": [], **more}


OnSend = Callable[[Message], None]


class Client:
    """A web server with one request: its messages, then silence; what it is sent."""

    def __init__(self, *messages: Message) -> None:
        self.coming: asyncio.Queue[Message] = asyncio.Queue()
        for message in messages:
            self.coming.put_nowait(message)
        self.sent: list[Message] = []
        self.on_send: OnSend = lambda _: None

    async def receive(self) -> Message:
        return await self.coming.get()

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        self.on_send(message)
        await asyncio.sleep(0)

    async def ask(self, host: Host, scope: Scope) -> "Client":
        await asyncio.wait_for(host(scope, self.receive, self.send), PATIENCE)
        return self

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        assert not self.sent[-1].get("more_body")
        return b"".join(message["body"] for message in self.sent[1:])

    @property
    def problem(self) -> tuple[int, str, str]:
        told = orjson.loads(self.body)
        assert told["code"] == self.status
        return told["code"], told["type"], told["message"]


async def until_loaded(host: Host) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await Client(WHOLE).ask(host, http("/ping", "GET"))).status != 200:
            await asyncio.sleep(0.01)


async def asked(host: Host, scope: Scope, *messages: Message) -> Client:
    assert host._beginning is not None
    await host._beginning
    return await Client(*messages).ask(host, scope)


def never(_request: Request, _reply: Reply) -> None:
    """Handles no request."""
    raise AssertionError

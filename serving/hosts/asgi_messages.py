"""ASGI's messages into requests, and responses into them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

from serving import collecting
from serving.call import Handler
from serving.errors import RequestTimeout
from serving.hosts import awaiting, messages, mounted
from serving.settings import Settings
from serving.values import Request, Response

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class ClientLeft(Exception):
    """The client has gone before its request was whole."""


async def received(scope: Scope, receive: Receive, settings: Settings) -> Request:
    """The request, whole.

    Raises:
        ClientLeft: nobody waits for an answer.
        PayloadTooLarge: its body is too large, as it says or as it came; no more was read.
        NotImplementedByServer: its body has a coding besides the chunks.
        RequestTimeout: it came too slowly.
    """
    pairs = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    headers = messages.headers(pairs)
    mounted.check_body(headers, settings.max_body)
    body = await _body(receive, settings)
    path, target = _path(scope)
    return Request(
        scope["method"],
        path,
        headers,
        body,
        scope["query_string"].decode("latin-1"),
        time.monotonic() + settings.request_timeout,
        target,
    )


async def answer(handle: Handler, request: Request, receive: Receive, send: Send) -> None:
    """Answer a request, but stop where the client leaves before the answer is whole.

    Raises:
        ServingError: a stream failed after its first chunk.
    """
    loop = asyncio.get_running_loop()
    answering = loop.create_task(_answer(handle, request, send))
    leaving = loop.create_task(_left(receive))
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        stopped = answering.cancel()
        await asyncio.wait({answering, leaving})
    if not stopped:
        answering.result()


async def send_response(send: Send, response: Response, method: str) -> None:
    """Send a response that is fit to be sent. Raises ServingError if its stream fails."""
    body = response.body
    fields = messages.fields(response.status, response.content_type, response.headers)
    if isinstance(body, bytes) and method != "HEAD" and response.status not in messages.BODILESS:
        fields += (("content-length", str(len(body))),)
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
    start = {"type": "http.response.start", "status": response.status, "headers": headers}
    try:
        await send(start)
        if isinstance(body, bytes):
            content = b"" if method == "HEAD" else body
            await send({"type": "http.response.body", "body": content})
            return
        async for chunk in body:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        await collecting.close(body)


async def _answer(handle: Handler, request: Request, send: Send) -> None:
    await send_response(send, await awaiting.answer(handle, request), request.method)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(receive: Receive, settings: Settings) -> bytes:
    end = time.monotonic() + settings.request_timeout
    body = bytearray()  # a list of its pieces could cost many times what is in them
    more = True
    while more:
        try:
            async with asyncio.timeout(min(settings.receive_timeout, end - time.monotonic())):
                message = await receive()
        except TimeoutError:
            raise RequestTimeout(
                f"The body did not arrive whole: it may be silent for "
                f"{settings.receive_timeout:g} s and take {settings.request_timeout:g} s."
            ) from None
        if message["type"] == "http.disconnect":
            raise ClientLeft
        piece, more = message.get("body", b""), message.get("more_body", False)
        if len(body) + len(piece) > settings.max_body:
            raise messages.body_too_large(settings.max_body)
        body += piece
    return bytes(body)


def _path(scope: Scope) -> tuple[str, str]:
    """The path below the mount, and the whole path as it was sent, which a signature is of."""
    path: str = scope["path"]
    raw: bytes = scope.get("raw_path") or quote(path).encode()
    mount = scope.get("root_path", "").rstrip("/")
    # Some servers leave out of the path what a proxy has taken off and they were told of.
    if path == mount or path.startswith(f"{mount}/"):
        path = path[len(mount) :]
    return path or "/", raw.decode("latin-1")

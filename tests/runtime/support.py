"""What the tests of the SageMaker Runtime API share: a core that does as it is told, and clients.

The API stands in front of that core, behind the HTTP host, as in a server.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import boto3
from botocore.config import Config

from serving.call import Reply
from serving.hosts.http.shared import Limits
from serving.runtime.front import Endpoints
from serving.settings import Settings
from serving.values import Request, Response
from tests.hosts.http.support import Host

LIMITS = Limits(
    max_head=65536, max_body=1 << 22, request_timeout=60.0, receive_timeout=30.0, idle_timeout=75.0
)

ANSWER = Response(200, b"0.5\n", "text/csv")

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "eu-central-1",
}
"""Whatever they are: these tests are about what is asked, not about who asks."""

Answering = Callable[[Request], Response | None]


class Core:
    """Answers each request as a test wants it, and remembers them."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Answering = lambda _: ANSWER
        """What a request is answered; None: it is held."""
        self.held: list[Reply] = []

    def handle(self, request: Request, reply: Reply) -> None:
        """Answer, or hold the request."""
        self.requests.append(request)
        answer = self.answer(request)
        if answer is None:
            self.held.append(reply)
        else:
            reply.send(answer)

    @property
    def request(self) -> Request:
        """The only one there was."""
        (request,) = self.requests
        return request


class Front:
    """The API in front of a core, on a loop in a thread, at an address."""

    def __init__(self, settings: Settings, answer: Answering = lambda _: ANSWER) -> None:
        self.host = Host(LIMITS)
        self.core = Core()
        self.core.answer = answer
        self.endpoints = self.host.call(
            lambda: Endpoints(self.core.handle, self.host.loop, settings)
        )
        self._clients: list[Any] = []
        self.host.shared.handle = self.endpoints.handle

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.host.address[1]}"

    def client(self) -> Any:
        """A client of boto3, which does not try again what failed."""
        client = client_of(self.url)
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Stop, and leave nothing behind."""
        for client in self._clients:
            close(client)
        self.host.run(self.endpoints.drain())
        self.host.call(self.endpoints.close)
        self.host.close()


def client_of(url: str) -> Any:
    """An unmodified client of boto3 for a server."""
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=url,
        region_name=CREDENTIALS["AWS_DEFAULT_REGION"],
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"total_max_attempts": 1}),
    )


def close(client: Any) -> None:
    """Close a client and its connections.

    Left to itself it closes them when they are collected, and an error that a test holds on to
    holds on to them.
    """
    pools = client._endpoint.http_session._manager.pools
    for key in pools.keys():  # noqa: SIM118 - it is no mapping that can be iterated
        pools[key].close()
    client.close()


async def chunks(*items: bytes | BaseException) -> AsyncIterator[bytes]:
    """A streamed body; an exception among the chunks is raised."""
    for item in items:
        await asyncio.sleep(0)
        if isinstance(item, BaseException):
            raise item
        yield item


def streamed(*items: bytes | BaseException, status: int = 200) -> Callable[[Request], Response]:
    """What answers with a streamed body."""
    return partial(_streamed, items, status)


def _streamed(items: tuple[bytes | BaseException, ...], status: int, _: Request) -> Response:
    return Response(status, chunks(*items), "text/plain")

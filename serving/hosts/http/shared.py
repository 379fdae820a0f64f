"""What all connections of a worker share."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from serving.application import Application
from serving.call import Handler
from serving.hosts.http import wire
from serving.hosts.http.heads import Heads

KNOWN_NAMES = 256
"""Names of header fields that are remembered; a client can make up any number."""


class Limits(NamedTuple):
    """Bounds of a request, in bytes and seconds."""

    max_head: int
    max_body: int
    request_timeout: float
    receive_timeout: float
    idle_timeout: float


class Shared:
    """The application, the limits, the open connections, and small caches."""

    def __init__(
        self,
        application: Application,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
        count: Callable[[int], None] = lambda _: None,
        *,
        handle: Handler | None = None,
        access_log: bool = False,
    ) -> None:
        """Take the application, and what stands before it where something does."""
        self.application = application
        self.handle = handle or application.handle
        """Answers requests."""
        self.limits = limits
        self.loop = loop
        self.access_log = access_log
        """Whether requests that the application never sees are logged too."""
        self.connections: set[Any] = set()
        """The open connections."""
        self.date = wire.date()
        """The Date field, renewed every second."""
        self.names: dict[bytes, str] = {}
        """Lower-case names of header fields seen."""
        self.paths = {path.encode(): path for path in application.paths}
        """The paths that need no decoding."""
        self.heads = Heads()
        """Heads of requests that the parser has accepted."""
        self._count = count

    def name(self, raw: bytes) -> str:
        """The lower-case name of a header field, remembered in ``names``."""
        name = raw.decode("latin-1").lower()
        if len(self.names) < KNOWN_NAMES:
            self.names[raw] = name
        return name

    def opened(self, connection: object) -> None:
        """A connection is open; ``count`` hears how many are."""
        self.connections.add(connection)
        self._count(len(self.connections))

    def closed(self, connection: object) -> None:
        """A connection is closed."""
        self.connections.discard(connection)
        self._count(len(self.connections))

"""What is asked: where the server is, and the requests that are sent to it."""

import itertools
import random
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from serving.bench import tls, wire
from serving.errors import ConfigurationError

Sign = Callable[[str, str, Mapping[str, str], bytes], Mapping[str, str]]
"""Header fields for a method, a URL, header fields and a body."""


class Target(NamedTuple):
    """Where the server is."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    path: str
    """Percent-encoded, with its query."""

    @property
    def authority(self) -> str:
        """What the Host field has: the port only where it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole address."""
        return f"{'https' if self.tls else 'http'}://{self.authority}{self.path}"


def target(url: str, path: str, encrypt: Callable[[], ssl.SSLContext] = tls.context) -> Target:
    """The target of a URL, with ``path`` where the URL has none.

    ``encrypt`` gives what https:// is spoken with; by default it trusts whom the machine trusts.

    Raises:
        ConfigurationError: it is no URL of HTTP.
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
        raise ConfigurationError(f"{url!r} is no URL; http://127.0.0.1:8080 would be one.")
    secure = encrypt() if parts.scheme == "https" else None
    own = parts.path.rstrip("/") and f"{parts.path}{'?' if parts.query else ''}{parts.query}"
    return Target(parts.hostname, port or (443 if secure else 80), secure, own or path)


class Message(NamedTuple):
    """A request to be sent, before it is signed."""

    headers: Mapping[str, str]
    body: bytes


def requests(
    where: Target,
    messages: Sequence[Message],
    weights: Sequence[float],
    sign: Sign | None,
    seed: int,
) -> Iterator[bytes]:
    """Requests without end, each one of the messages by their weights.

    What is not signed is written once. A signature is of a moment, so each request has its own.
    """
    chance = random.Random(seed)  # noqa: S311 - nothing is kept secret with it
    chosen = _chosen(chance, weights) if len(messages) > 1 else itertools.repeat(0)
    if sign is None:
        written = [_written(where, message, {}) for message in messages]
        return map(written.__getitem__, chosen)
    return (_signed(where, messages[number], sign) for number in chosen)


def zipf(count: int, exponent: float) -> list[float]:
    """Weights of ``count`` models of which the n-th is asked as ``1 / n ** exponent``."""
    return [1 / rank**exponent for rank in range(1, count + 1)]


def _chosen(chance: random.Random, weights: Sequence[float]) -> Iterator[int]:
    bounds = list(itertools.accumulate(weights))
    while True:
        # Many at once cost a quarter of what one by one would.
        yield from chance.choices(range(len(bounds)), cum_weights=bounds, k=1000)


def _signed(where: Target, message: Message, sign: Sign) -> bytes:
    fields = {"host": where.authority, **message.headers}
    return _written(where, message, sign("POST", where.url, fields, message.body))


def _written(where: Target, message: Message, more: Mapping[str, str]) -> bytes:
    headers = {**message.headers, **more}
    return wire.request("POST", where.path, where.authority, headers, message.body)

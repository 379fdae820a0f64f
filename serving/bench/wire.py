"""Requests and responses of HTTP/1.1 as bytes, as far as a load generator reads them."""

from collections.abc import Mapping
from typing import NamedTuple

END_OF_HEAD = b"\r\n\r\n"

LARGEST_HEAD = 64 * 1024
"""Bytes; a server that sends more before a body is not understood."""

KNOWN_HEADS = 64


class Malformed(Exception):
    """The server's bytes are no response."""


def request(
    method: str, path: str, host: str, headers: Mapping[str, str], body: bytes = b""
) -> bytes:
    """A request as it goes over the wire. ``path`` is percent-encoded, with its query."""
    fields = {"host": host, **headers, "content-length": str(len(body))}
    if not body and method in ("GET", "HEAD"):
        del fields["content-length"]
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Head(NamedTuple):
    """What a response's head says."""

    status: int
    length: int
    """Bytes of the body; -1: chunks, -2: all until the connection ends."""
    closes: bool
    """The server ends the connection after it."""


CHUNKS, UNTIL_END = -1, -2


class Reader:
    """Reads one response after the other."""

    __slots__ = ("_data", "_heads", "_left", "begun", "head")

    def __init__(self, heads: dict[bytes, Head]) -> None:
        """Take the heads that were seen: a server repeats its own for a second at least."""
        self._heads = heads
        self.reset()

    def reset(self) -> None:
        """A response follows."""
        self.head: Head | None = None
        self.begun = False
        """Bytes of it have come."""
        self._data = b""
        self._left = 0

    def feed(self, data: bytes) -> bool:
        """Take bytes; whether the response is whole. Raises Malformed."""
        self.begun = True
        if self.head is None:
            data = self._data + data if self._data else data
            end = data.find(END_OF_HEAD)
            if end < 0:
                if len(data) > LARGEST_HEAD:
                    raise Malformed
                self._data = data
                return False
            self.head = self._parse(data[:end])
            if self.head.status < 200:  # 100 Continue, or Early Hints
                self.reset()
                return self.feed(rest) if (rest := data[end + 4 :]) else False
            data, self._data = data[end + 4 :], b""
            self._left = self.head.length
        if self._left >= 0:
            self._left -= len(data)
            if self._left < 0:
                raise Malformed
            return self._left == 0
        return self._left == CHUNKS and self._chunks(data)

    def end(self) -> bool:
        """The connection has ended; whether the response is whole by that."""
        return self.head is not None and self.head.length == UNTIL_END

    def _chunks(self, data: bytes) -> bool:
        """Whether the last chunk has come. Trailers are not read apart."""
        data = self._data + data
        while True:
            line = data.find(b"\r\n")
            if line < 0:
                break
            try:
                size = int(data[:line].partition(b";")[0], 16)
            except ValueError:
                raise Malformed from None
            if size == 0:
                if data.endswith(END_OF_HEAD):
                    return True
                break
            if len(data) < line + 2 + size + 2:
                break
            data = data[line + 2 + size + 2 :]
        self._data = data
        return False

    def _parse(self, head: bytes) -> Head:
        known = self._heads.get(head)
        if known is None:
            if len(self._heads) >= KNOWN_HEADS:
                self._heads.clear()
            known = self._heads[head] = parse(head)
        return known


def parse(head: bytes) -> Head:
    """Read a response's head, without its empty line. Raises Malformed."""
    first, *lines = head.split(b"\r\n")
    version, _, rest = first.partition(b" ")
    if version not in (b"HTTP/1.1", b"HTTP/1.0") or not rest[:3].isdigit():
        raise Malformed
    status = int(rest[:3])
    fields = {}
    for line in lines:
        name, _, value = line.partition(b":")
        fields[name.strip().lower()] = value.strip().lower()
    connection = fields.get(b"connection", b"")
    closes = b"close" in connection or (version == b"HTTP/1.0" and b"keep-alive" not in connection)
    if b"chunked" in fields.get(b"transfer-encoding", b""):
        return Head(status, CHUNKS, closes)
    if status in (204, 304) or status < 200:
        return Head(status, 0, closes)
    length = fields.get(b"content-length")
    if length is None:
        return Head(status, UNTIL_END, True)
    if not length.isdigit():
        raise Malformed
    return Head(status, int(length), closes)

"""Heads of requests that were received before.

A client repeats its head byte for byte. One that the parser has accepted need not be parsed again:
that is most of what a small request costs outside the model.
"""

from typing import NamedTuple

from serving.values import Headers, Request

END_OF_HEAD = b"\r\n\r\n"

MOST_HEADS = 1024
"""Heads that are remembered; a client can make up any number."""

LONGEST_HEAD = 2048
"""Longest head that is remembered, in bytes."""

UNKNOWABLE = {"transfer-encoding", "expect", "upgrade", "x-amz-date"}
"""Fields that make more of a head than a description of its body, and that of a signature, which no
other request has."""


class KnownHead(NamedTuple):
    """What the parser made of a head."""

    method: str
    path: str
    query: str
    headers: Headers
    length: int
    """Bytes of the body."""
    target: str


class Heads(dict[bytes, KnownHead]):
    """The remembered heads, by their bytes, the empty line included."""

    def remember(self, head: bytes, request: Request) -> None:
        """Keep what the parser made of a persistent HTTP/1.1 request's head, if that is all of it.

        All are forgotten when there are too many.
        """
        headers = request.headers
        # Bytes that begin with an empty line are no head, whatever the parser took them with.
        whole = head[:1].isalpha() and head.endswith(END_OF_HEAD)
        if whole and len(head) <= LONGEST_HEAD and headers.keys().isdisjoint(UNKNOWABLE):
            if len(self) >= MOST_HEADS:
                self.clear()
            length = int(headers.get("content-length", 0))
            self[head] = KnownHead(
                request.method, request.path, request.query, headers, length, request.target
            )

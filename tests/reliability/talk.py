"""Requests as bytes, and what a client hears, in words."""

import socket
from itertools import groupby

from serving.values import Request
from tests.hosts.http.support import Answer, Client

CLOSED = "connection closed"


def head(*fields: str, start: str = "POST /invocations HTTP/1.1") -> bytes:
    """The head of a request, with a Host field."""
    return "\r\n".join([start, "Host: a", *fields, "", ""]).encode("latin-1")


def raw(request: Request) -> bytes:
    """A request as bytes."""
    fields = [f"{name}: {value}" for name, value in request.headers.items()]
    start = f"{request.method} {request.path} HTTP/1.1"
    return head(*fields, f"Content-Length: {len(request.body)}", start=start) + request.body


def told(answer: Answer) -> str:
    """An answer: its status, and the type of an error."""
    return f"{answer.status} {answer.error['type']}" if answer.status >= 400 else f"{answer.status}"


def listed(events: list[str]) -> str:
    """What happened, in its order."""
    counts = [(event, len(list(group))) for event, group in groupby(events)]
    return ", ".join(f"{count:,} × {event}" if count > 1 else event for event, count in counts)


def heard(client: Client) -> str:
    """The next thing that a client hears: an answer, or that the connection is closed."""
    try:
        more = client._taken or client.sock.recv(1, socket.MSG_PEEK)
    except ConnectionError:
        more = b""
    return told(client.answer()) if more else CLOSED


def heard_to_the_end(client: Client) -> str:
    """All that a client hears until the connection is closed."""
    events: list[str] = []
    while not events or events[-1] != CLOSED:
        events.append(heard(client))
    return listed(events)

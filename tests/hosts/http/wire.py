"""Requests as bytes, and what comes back, for tests on the wire."""

import json
from typing import Any

from tests.hosts.http.support import DATE


def get(target: str, *fields: str, version: str = "1.1", method: str = "GET") -> bytes:
    lines = [f"{method} {target} HTTP/{version}", "Host: a", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def echoed(body: bytes) -> dict[str, Any]:
    """What the echo says it received."""
    method, path, query, headers, content = json.loads(body)
    return {
        "method": method,
        "path": path,
        "query": query,
        "headers": dict(headers),
        "body": content,
    }


def error(line: bytes, kind: str, message: str, *, close: bool) -> bytes:
    body = json.dumps(
        {"code": int(line[9:12]), "type": kind, "message": message}, separators=(",", ":")
    ).encode()
    return b"%b\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n%b\r\n%b\n" % (
        line,
        DATE,
        len(body) + 1,
        b"connection: close\r\n" if close else b"",
        body,
    )

"""Archives, and a web site that has them."""

import gzip
import io
import tarfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from serving.archives import fetch
from serving.errors import ArchiveError

LIMIT = 1 << 20
Answer = Callable[[BaseHTTPRequestHandler], None]


def archive_of(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("weights")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0)


class Site(ThreadingHTTPServer):
    """A web server on the loopback interface; ``pages`` says what each path answers."""

    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.pages: dict[str, Answer] = {}
        self.agents: list[str] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, Site)
        self.server.agents.append(self.headers["User-Agent"])
        self.server.pages[self.path](self)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


def page(
    body: bytes,
    headers: dict[str, str] | None = None,
    *,
    length: int | None = -1,
    status: int = 200,
) -> Answer:
    """An answer; its Content-Length is ``length``, None for no such field, -1 for the truth."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        if length is not None:
            handler.send_header("Content-Length", str(len(body) if length < 0 else length))
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def weights(folder: Path) -> bytes:
    return (folder / "weights").read_bytes()


def unpacked(cache: Path) -> list[Path]:
    """What is in the cache of all versions of all archives; half of one is nowhere."""
    assert not list(cache.glob("**/.*"))
    return [path for path in cache.glob("*/*") if path.is_dir()]


def refusal(source: str, cache: Path, limit: int = LIMIT) -> str:
    """What is said of ``source``; nothing may remain of it in the cache."""
    before = set(cache.glob("*"))
    with pytest.raises(ArchiveError) as caught:
        fetch(source, cache, limit=limit)
    assert set(cache.glob("*")) == before
    return str(caught.value)

"""Fetching: directories, files, addresses; what is kept, and what is said when it fails."""

import gzip
import io
import socket
import stat
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request

import pytest

from serving.archives import extract, fetch, web
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


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        thread = threading.Thread(target=site.serve_forever, args=(0.01,))
        thread.start()
        yield site
        site.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def memory() -> Iterator[Any]:
    files = import_module("fsspec").filesystem("memory")
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


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


# Directories and files


def test_a_directory_is_taken_as_it_is(tmp_path: Path, cache: Path) -> None:
    assert fetch(str(tmp_path), cache, limit=LIMIT) == tmp_path
    assert fetch(f"file://{tmp_path}", cache, limit=LIMIT) == tmp_path
    assert not cache.exists()


def test_an_archive_is_unpacked_once(tmp_path: Path, cache: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(archive_of(b"1"))
    folder = fetch(str(archive), cache, limit=LIMIT)
    assert weights(folder) == b"1"
    assert folder.is_relative_to(cache)
    made = folder.stat().st_ino
    assert fetch(str(archive), cache, limit=LIMIT).stat().st_ino == made
    assert unpacked(cache) == [folder]


def test_a_changed_archive_is_unpacked_anew(tmp_path: Path, cache: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(archive_of(b"1"))
    first = fetch(str(archive), cache, limit=LIMIT)
    archive.write_bytes(archive_of(b"another"))
    second = fetch(str(archive), cache, limit=LIMIT)
    assert (weights(first), weights(second)) == (b"1", b"another")


def test_the_cache_is_for_this_user_only(tmp_path: Path, cache: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(archive_of(b"1"))
    fetch(str(archive), cache, limit=LIMIT)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


def test_a_file_address_may_have_escapes(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "my model.tar.gz").write_bytes(archive_of(b"1"))
    folder = fetch(f"file://localhost{tmp_path}/my%20model.tar.gz", cache, limit=LIMIT)
    assert weights(folder) == b"1"


def test_a_file_address_of_another_host_is_refused(cache: Path) -> None:
    message = refusal("file://models/model.tar.gz", cache)
    assert "names the host 'models'" in message
    assert "file:///models/model.tar.gz" in message


@pytest.mark.parametrize("source", ["missing", "/missing/model.tar.gz", "file:///missing", "a:b"])
def test_a_path_that_does_not_exist_is_named(
    source: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert f"{source.removeprefix('file://')} does not exist" in refusal(source, cache)


def test_an_empty_name_is_not_the_current_folder(cache: Path) -> None:
    assert "No model is named" in refusal("", cache)


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\x08\x07\x12" * 400)
    message = refusal(str(tmp_path / "model.onnx"), cache)
    assert message.startswith(f"Archive {tmp_path}/model.onnx is refused: it is no tar archive")


def test_a_cache_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(archive_of(b"1"))
    with pytest.raises(ArchiveError, match=r"cannot be fetched: .*Not a directory"):
        fetch(str(archive), archive / "cache", limit=LIMIT)


def test_who_comes_second_takes_what_the_first_unpacked(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def extract_second(archive: Path, folder: Path, *, limit: int, **rest: object) -> None:
        extract(archive, folder, limit=limit)
        extract(archive, folder, limit=limit)

    monkeypatch.setattr(import_module("serving.archives.fetch"), "extract", extract_second)
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(archive_of(b"1"))
    assert weights(fetch(str(archive), cache, limit=LIMIT)) == b"1"


def test_many_may_fetch_the_same_at_once(site: Site, cache: Path) -> None:
    site.pages["/model.tar.gz"] = page(archive_of(b"1" * 100_000), {"ETag": '"1"'})
    url = site.url("/model.tar.gz")
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(lambda _: fetch(url, cache, limit=LIMIT), range(16)))
    assert unpacked(cache) == list(folders)
    assert [weights(folder) for folder in folders] == [b"1" * 100_000]


# Web servers


def test_a_web_address_is_downloaded_and_unpacked(site: Site, cache: Path) -> None:
    site.pages["/model.tar.gz"] = page(archive_of(b"1"))
    folder = fetch(site.url("/model.tar.gz"), cache, limit=LIMIT)
    assert weights(folder) == b"1"
    assert unpacked(cache) == [folder]
    assert site.agents[0].startswith("hybrid-serving/")


@pytest.mark.parametrize("field", ["ETag", "Last-Modified"])
def test_the_version_a_server_names_decides(site: Site, cache: Path, field: str) -> None:
    body = archive_of(b"1")
    site.pages["/m"] = page(body, {field: "1"})
    first = fetch(site.url("/m"), cache, limit=LIMIT)
    site.pages["/m"] = page(b"never read".ljust(len(body)), {field: "1"})
    assert fetch(site.url("/m"), cache, limit=LIMIT) == first
    site.pages["/m"] = page(body, {field: "2"})
    assert fetch(site.url("/m"), cache, limit=LIMIT) != first


def test_without_a_version_the_content_decides(site: Site, cache: Path) -> None:
    site.pages["/m"] = page(archive_of(b"1"))
    first = fetch(site.url("/m"), cache, limit=LIMIT)
    assert fetch(site.url("/m"), cache, limit=LIMIT) == first
    site.pages["/m"] = page(archive_of(b"2"))
    second = fetch(site.url("/m"), cache, limit=LIMIT)
    assert (weights(first), weights(second)) == (b"1", b"2")


def test_a_body_without_a_length_is_read_to_its_end(site: Site, cache: Path) -> None:
    site.pages["/m"] = page(archive_of(b"1"), length=None)
    assert weights(fetch(site.url("/m"), cache, limit=LIMIT)) == b"1"


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_an_error_status_is_named(site: Site, cache: Path, status: int) -> None:
    site.pages["/m"] = page(b"sorry", status=status)
    assert f"/m cannot be downloaded: the server answered {status} " in refusal(
        site.url("/m"), cache
    )


def test_a_refused_connection_is_named(cache: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert "cannot be downloaded: Connection refused" in refusal(
        f"http://127.0.0.1:{port}/m", cache
    )


def test_a_silent_server_is_given_up(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        message = refusal(f"http://127.0.0.1:{port}/m", cache)
    assert "cannot be downloaded: timed out" in message


def test_a_body_shorter_than_its_length_is_refused(site: Site, cache: Path) -> None:
    body = archive_of(b"1")
    site.pages["/m"] = page(body, length=len(body) + 5)
    message = refusal(site.url("/m"), cache)
    assert "cannot be downloaded" in message
    assert f"{len(body)}" in message


def test_a_body_cut_between_chunks_is_refused(site: Site, cache: Path) -> None:
    site.pages["/m"] = page(b"5\r\nhello\r\n", {"Transfer-Encoding": "chunked"}, length=None)
    assert "cannot be downloaded" in refusal(site.url("/m"), cache)


def test_a_length_beyond_the_limit_is_refused_unread(site: Site, cache: Path) -> None:
    site.pages["/m"] = page(b"", length=LIMIT + 1)
    assert "has more than 1,048,576 bytes, which is the limit" in refusal(site.url("/m"), cache)


def test_a_body_beyond_the_limit_is_refused_while_it_is_read(site: Site, cache: Path) -> None:
    site.pages["/m"] = page(bytes(3000), length=None)
    assert "has more than 2,000 bytes, which is the limit" in refusal(site.url("/m"), cache, 2000)


def test_an_archive_that_unpacks_beyond_the_limit_is_refused(site: Site, cache: Path) -> None:
    site.pages["/m"] = page(archive_of(bytes(LIMIT)))
    message = refusal(site.url("/m"), cache)
    assert message.startswith(f"Archive {site.url('/m')} is refused: its member 'weights' has ")


def test_a_redirect_is_followed(site: Site, cache: Path) -> None:
    site.pages["/m"] = page(b"", {"Location": "/n"}, status=302)
    site.pages["/n"] = page(archive_of(b"1"))
    assert weights(fetch(site.url("/m"), cache, limit=LIMIT)) == b"1"


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/m", "file:///etc/hostname"])
def test_a_redirect_out_of_the_web_is_not_followed(site: Site, cache: Path, target: str) -> None:
    site.pages["/m"] = page(b"", {"Location": target}, status=302)
    message = refusal(site.url("/m"), cache)
    assert "the server answered 302" in message
    assert target in message


def test_a_redirect_from_https_to_http_is_not_followed() -> None:
    redirects, request, headers = web._Redirects(), Request("https://a/"), HTTPMessage()
    with pytest.raises(HTTPError, match="a redirect to http://b/, which is not followed"):
        redirects.redirect_request(request, io.BytesIO(), 302, "Found", headers, "http://b/?key")
    followed = redirects.redirect_request(
        request, io.BytesIO(), 302, "Found", headers, "https://b/"
    )
    assert followed is not None
    assert followed.full_url == "https://b/"


def test_a_password_in_an_address_is_refused_and_not_shown(cache: Path) -> None:
    message = refusal("https://me:secret@host/model.tar.gz?key=secret", cache)
    assert "https://host/model.tar.gz was given with a password" in message
    assert "secret" not in message


def test_the_key_of_a_signed_address_is_not_shown(site: Site, cache: Path) -> None:
    site.pages["/m?signature=secret"] = page(b"no archive")
    message = refusal(site.url("/m?signature=secret"), cache)
    assert site.url("/m") in message
    assert "secret" not in message


@pytest.mark.parametrize("url", ["http://", "http://[::1/m", "http://host:port/m", "http://a b/m"])
def test_an_address_that_is_none_is_refused(url: str, cache: Path) -> None:
    assert f"{url} cannot be downloaded: " in refusal(url, cache)


def test_progress_tells_of_the_download_and_of_the_unpacking(site: Site, cache: Path) -> None:
    body = archive_of(b"1")
    site.pages["/m"] = page(body)
    calls: list[tuple[int, int | None]] = []
    fetch(
        site.url("/m"),
        cache,
        limit=LIMIT,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(len(body), len(body))] * 2


# Object stores, by fsspec


def test_other_addresses_are_read_by_fsspec(memory: Any, cache: Path) -> None:
    memory.pipe("/bucket/model.tar.gz", archive_of(b"1"))
    first = fetch("memory://bucket/model.tar.gz", cache, limit=LIMIT)
    assert weights(first) == b"1"
    assert fetch("memory://bucket/model.tar.gz", cache, limit=LIMIT) == first
    memory.pipe("/bucket/model.tar.gz", archive_of(b"2"))
    assert weights(fetch("memory://bucket/model.tar.gz", cache, limit=LIMIT)) == b"2"


def test_a_missing_object_is_named(memory: Any, cache: Path) -> None:
    message = refusal("memory://bucket/model.tar.gz", cache)
    assert message == "memory://bucket/model.tar.gz does not exist."


def test_a_folder_of_a_store_is_refused(memory: Any, cache: Path) -> None:
    memory.pipe("/bucket/model/weights", b"1")
    assert "memory://bucket/model is a folder" in refusal("memory://bucket/model", cache)


def test_an_object_beyond_the_limit_is_refused(memory: Any, cache: Path) -> None:
    memory.pipe("/bucket/model.tar.gz", bytes(3000))
    assert "has more than 2,000 bytes" in refusal("memory://bucket/model.tar.gz", cache, 2000)


def test_an_unknown_scheme_is_refused_with_those_that_are_known(cache: Path) -> None:
    message = refusal("nonsense://bucket/model.tar.gz", cache)
    assert "has a scheme that is not supported" in message
    assert "known are file, http, https, s3" in message


@pytest.mark.parametrize(
    ("scheme", "package"), [("s3", "hybrid-serving[aws]"), ("gs", "fsspec[gs]")]
)
def test_a_missing_package_is_named(
    cache: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    assert f"pip install '{package}'" in refusal(f"{scheme}://bucket/model.tar.gz", cache)


def test_an_error_of_the_store_is_told(
    memory: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoCredentialsError(Exception):
        """Like botocore's: no OSError."""

    def fail(*_: object, **__: object) -> None:
        raise NoCredentialsError("Unable to locate credentials")

    botocore = ModuleType("botocore.exceptions")
    monkeypatch.setattr(botocore, "BotoCoreError", NoCredentialsError, raising=False)
    monkeypatch.setitem(sys.modules, "botocore.exceptions", botocore)
    monkeypatch.setattr(type(memory), "info", fail)
    message = refusal("memory://bucket/model.tar.gz?key=secret", cache)
    assert message == (
        "memory://bucket/model.tar.gz cannot be downloaded: Unable to locate credentials."
    )

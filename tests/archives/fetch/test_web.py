"""Archives of web servers."""

import io
import socket
from http.client import HTTPMessage
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request

import pytest

from serving.archives import fetch, web
from tests.archives.fetch.support import LIMIT, Site, archive_of, page, refusal, unpacked, weights


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

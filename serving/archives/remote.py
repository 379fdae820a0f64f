"""Open what lies at an address: ``http://`` and ``https://`` here, other schemes by fsspec."""

import importlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import IO, Any, NamedTuple, Protocol
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from serving import __version__
from serving.errors import ArchiveError, ArchiveNotFound

TIMEOUT = 60.0
"""Seconds without a byte after which a server is given up."""
GONE = (404, 410)
"""What a server answers that has nothing there."""
BLOCK_SIZE = 16 << 20
"""Bytes that fsspec asks an object store for at once; each request costs tens of milliseconds."""


class Readable(Protocol):
    """The part of a file object that a download needs."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes, none at the end."""


class Remote(NamedTuple):
    """An archive at an address, opened."""

    body: Readable
    size: int | None
    """Bytes of the body, None where the server does not say."""
    version: str
    """Differs when the content does; empty where the server gives nothing of the kind."""


def shown(url: str) -> str:
    """``url`` as a message may show it: without a password, or the query that signs an address."""
    return re.sub(r"://[^/]*@", "://", url.partition("?")[0])


@contextmanager
def open_http(url: str) -> Iterator[Remote]:
    """Open an ``http://`` or ``https://`` address; proxies are taken from the environment.

    Raises:
        ArchiveError: no connection, or an answer other than 200; also for what goes wrong while
            the body is read.
    """
    try:
        if "@" in urlsplit(url).netloc:
            raise ArchiveError(
                f"{shown(url)} was given with a password, which would show in logs and process "
                "lists; use a signed address, or download the archive beforehand."
            )
        opener = build_opener(_Redirects)
        opener.addheaders = [("User-Agent", f"hybrid-serving/{__version__}")]
        with opener.open(url, timeout=TIMEOUT) as answer:
            yield _http_remote(answer)
    except HTTPError as error:
        with error:
            raise (ArchiveNotFound if error.code in GONE else ArchiveError)(
                f"{shown(url)} cannot be downloaded: the server answered {error.code} "
                f"{error.reason}."
            ) from error
    except (OSError, HTTPException, ValueError) as error:
        cause = getattr(error, "reason", error)  # URLError wraps the error that says more
        reason = getattr(cause, "strerror", None) or cause
        raise ArchiveError(f"{shown(url)} cannot be downloaded: {reason}.") from error


def _http_remote(answer: HTTPResponse) -> Remote:
    size = answer.length
    tags = [answer.headers.get(name, "") for name in ("ETag", "Last-Modified")]
    return Remote(answer, size, f"{tags} {size}" if any(tags) else "")


class _Redirects(HTTPRedirectHandler):
    """Follows a redirect to https, and from http to http; the standard handler allows more."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if urlsplit(newurl).scheme not in ("https", req.type):
            reason = f"{msg}, a redirect to {shown(newurl)}, which is not followed"
            raise HTTPError(req.full_url, code, reason, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextmanager
def open_store(url: str) -> Iterator[Remote]:
    """Open an address by fsspec: ``s3://`` and all it knows else.

    Raises:
        ArchiveError: the package for the scheme is missing, or nothing knows the scheme, or there
            is no such object; also for what goes wrong while the body is read.
    """
    files, path = place(url)
    try:
        facts = files.info(path)
        if facts["type"] != "file":
            raise ArchiveError(f"{shown(url)} is a folder; name an archive in it.")
        with files.open(path, "rb", block_size=BLOCK_SIZE) as body:
            yield Remote(body, facts["size"], files.ukey(path))
    except FileNotFoundError as error:
        raise ArchiveNotFound(f"{shown(url)} does not exist.") from error
    except store_errors() as error:
        raise ArchiveError(f"{shown(url)} cannot be downloaded: {error}.") from error


def place(url: str) -> tuple[Any, str]:
    """The file system of fsspec that an address is in, and the path in it.

    Raises:
        ArchiveError: the package for the scheme is missing, or nothing knows the scheme.
    """
    scheme = url.partition("://")[0]
    try:
        files, path = importlib.import_module("fsspec.core").url_to_fs(url)
    except ImportError as error:
        extra = "hybrid-serving[aws]" if scheme == "s3" else f"fsspec[{scheme}]"
        raise ArchiveError(
            f"Addresses of {scheme}:// need a package that is not installed: pip install '{extra}'"
        ) from error
    except ValueError as error:
        raise ArchiveError(
            f"{shown(url)} has a scheme that is not supported ({error}); known are file, http, "
            "https, s3 and what fsspec has a package for."
        ) from error
    return files, path


def store_errors() -> tuple[type[Exception], ...]:
    """What stores raise: OSError, as fsspec asks; S3's also others, as for missing credentials."""
    botocore = sys.modules.get("botocore.exceptions")
    return (OSError, botocore.BotoCoreError) if botocore else (OSError,)

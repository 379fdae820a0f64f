"""Downloads from ``http://`` and ``https://`` addresses."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from serving import __version__
from serving.archives.remote import Remote, shown
from serving.errors import ArchiveError, ArchiveNotFound

TIMEOUT = 60.0
"""Seconds without a byte after which a server is given up."""
GONE = (404, 410)
"""What a server answers that has nothing there."""


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

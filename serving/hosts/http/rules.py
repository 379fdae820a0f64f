"""What a request's head must be, beyond what the parser holds it to (RFC 9110, RFC 9112)."""

from urllib.parse import unquote

from serving.errors import (
    BadRequest,
    ExpectationFailed,
    HeaderFieldsTooLarge,
    HttpVersionNotSupported,
    NotImplementedByServer,
    ServingError,
)
from serving.hosts import messages
from serving.hosts.http.shared import Limits
from serving.values import Headers


def check(version: str, headers: Headers, limits: Limits) -> None:
    """Decide by a whole head whether the body may come.

    Raises:
        RequestError: the head breaks a rule, or announces a body that is too large.
        HttpVersionNotSupported: the request is neither HTTP/1.0 nor HTTP/1.1.
        NotImplementedByServer: the body has a coding besides the chunks.
    """
    if version == "1.1":
        if "host" not in headers:
            raise BadRequest("An HTTP/1.1 request must have a Host field.")
    elif version != "1.0":
        raise wrong_version(version)
    elif "transfer-encoding" in headers:
        raise BadRequest("An HTTP/1.0 request cannot have a Transfer-Encoding.")
    coding = headers.get("transfer-encoding", "chunked")
    if coding.lower() != "chunked":
        raise NotImplementedByServer(
            f"Transfer-Encoding {coding!r} is not supported, only chunked."
        )
    if int(headers.get("content-length", 0)) > limits.max_body:
        raise messages.body_too_large(limits.max_body)
    expect = headers.get("expect", "100-continue")
    if expect.lower() != "100-continue":
        raise ExpectationFailed(f"Expect {expect!r} is not known, only 100-continue.")


def path(raw: bytes) -> str:
    """The path of a request target, which may be a whole URL (RFC 9112, 3.2.2)."""
    if not raw.startswith(b"/") and b"://" in raw:
        raw = b"/" + raw.split(b"://", 1)[1].partition(b"/")[2]
    return unquote(raw.decode("latin-1"))


def invalid(version: str, reason: str) -> ServingError:
    """The error for bytes that the parser does not take; ``version`` is "0.0" before one came."""
    if version in {"0.0", "1.0", "1.1"}:
        return BadRequest(f"This is not valid HTTP/1.1: {reason}.")
    return wrong_version(version)


def wrong_version(version: str) -> ServingError:
    """The error for a version of HTTP that is not spoken."""
    return HttpVersionNotSupported(f"HTTP/{version} is not spoken here, HTTP/1.1 is.")


def head_too_large(limits: Limits) -> ServingError:
    """The error for a head, or for trailers and chunk extensions, beyond the limit."""
    return HeaderFieldsTooLarge(
        f"The request's head, or what surrounds its body, is larger than {limits.max_head} bytes."
    )

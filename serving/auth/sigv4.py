"""AWS Signature Version 4 in the Authorization field, from the side that verifies it.

The way of a signature is that of AWS's documentation: a canonical form of the request, a string to
sign with its digest, and a key derived from the secret for a day, a region and a service. Nothing
here has a state but a cache of derived keys and one of paths.

A signature is good for :data:`WINDOW_SECONDS` around the time that it names, as AWS has it. Within
that time the same request may come again, which is how a client's retry looks.

The service's own clients sign the SHA-256 of the body, whether or not they come by TLS: no
operation of sagemaker-runtime is modelled to leave the body out. So a body that is not signed
(``UNSIGNED-PAYLOAD``), or signed chunk by chunk (``STREAMING-…``), is refused, and so is a
signature in the query: a link that anybody may use who sees it in a log.
"""

import hmac
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from serving.errors import IncompleteSignature, InvalidSignature
from serving.values import Headers, Request

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "sagemaker"
"""What the clients of sagemaker-runtime sign for."""

WINDOW_SECONDS = 300
"""How far the clocks of client and server may be apart, and how long a signature is good."""

CACHE_SIZE = 256
"""Derived keys, and paths, that are remembered; a client can make up any number."""

DATE = "x-amz-date"
CONTENT = "x-amz-content-sha256"

_PARAMETERS = {"Credential", "SignedHeaders", "Signature"}
_TIMESTAMP = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_BLANKS = re.compile(r"[ \t]{2,}|\t")


class Signature(NamedTuple):
    """A signature that can be read, covers what it has to, and is of now."""

    key_id: str
    timestamp: str
    """When it was made, as ``YYYYMMDDTHHMMSSZ``."""
    region: str
    signed_headers: tuple[str, ...]
    """Lower-case names of the header fields that it covers."""
    value: str
    """In hexadecimal."""

    @property
    def scope(self) -> str:
        """Day, region and service that the signing key is for."""
        return f"{self.timestamp[:8]}/{self.region}/{SERVICE}/aws4_request"


def read(parameters: str, headers: Headers, now: float, region: str = "") -> Signature:
    """What an Authorization field says after the algorithm; the signature itself is not verified.

    ``now`` is in seconds since 1970; ``region`` is the one it has to be for, empty: any.

    Raises:
        IncompleteSignature: it cannot be read, or leaves out what has to be signed.
        InvalidSignature: it is for another region or service, or too old or new.
    """
    found = dict(item.strip().partition("=")[::2] for item in parameters.split(","))
    if found.keys() != _PARAMETERS:
        raise IncompleteSignature(
            f"After {ALGORITHM}, the Authorization field has to have Credential=…, "
            "SignedHeaders=… and Signature=…, with commas between."
        )
    scope = found["Credential"].split("/")
    if len(scope) != 5:
        raise IncompleteSignature(
            "Credential has to be the key's id, day, region, service and aws4_request, with "
            "slashes between."
        )
    key_id, day, named_region, service, end = scope
    signed = tuple(found["SignedHeaders"].split(";"))
    date, timestamp = _moment(headers)
    _check_coverage(signed, date, headers)
    if (service, end) != (SERVICE, "aws4_request") or (region and named_region != region):
        raise InvalidSignature(
            f"The signature is for {named_region}/{service}/{end}, and has to be for "
            f"{region or 'any region'}/{SERVICE}/aws4_request."
        )
    if day != timestamp[:8]:
        raise InvalidSignature(f"Credential names the day {day!r}, and {date} is {timestamp}.")
    made = datetime.fromisoformat(timestamp).timestamp()
    if abs(now - made) > WINDOW_SECONDS:
        here = datetime.fromtimestamp(now, UTC)
        raise InvalidSignature(
            f"The signature was made at {timestamp}, and it is {here:%Y%m%dT%H%M%SZ} here: a "
            f"signature is good for {WINDOW_SECONDS // 60} minutes. Check the clocks."
        )
    return Signature(key_id, timestamp, named_region, signed, found["Signature"])


def verify(signature: Signature, request: Request, secret: str) -> None:
    """Hold a signature against the request.

    Raises:
        InvalidSignature: it is another's, or the request is not as it was signed.
    """
    digest = sha256(request.body).hexdigest()
    if request.headers.get(CONTENT, digest) != digest:
        raise InvalidSignature(f"{CONTENT} is not the SHA-256 of the body that came.")
    canonical = canonical_request(request, signature.signed_headers, digest)
    text = string_to_sign(signature.timestamp, signature.scope, canonical)
    mac = _mac(secret, signature.timestamp[:8], signature.region).copy()
    mac.update(text.encode())
    if not hmac.compare_digest(mac.hexdigest().encode(), signature.value.encode()):
        raise InvalidSignature(
            f"The signature is not that of this request with the secret of {signature.key_id!r}. "
            f"If the secret is right, something on the way has changed the path, the query, the "
            f"body or a field among {', '.join(signature.signed_headers)}."
        )


def canonical_request(request: Request, signed_headers: tuple[str, ...], digest: str) -> str:
    """The one form that all ways to write a request have in common.

    Raises:
        InvalidSignature: a signed header field is not there.
    """
    headers = request.headers
    try:
        fields = [f"{name}:{_trimmed(headers[name])}\n" for name in signed_headers]
    except KeyError as error:
        raise InvalidSignature(
            f"SignedHeaders names {error.args[0]!r}, which the request does not have."
        ) from None
    return "\n".join(
        [
            request.method,
            canonical_path(request.target or quote(request.path)),
            canonical_query(request.query),
            "".join(fields),
            ";".join(signed_headers),
            digest,
        ]
    )


@lru_cache(CACHE_SIZE)
def canonical_path(path: str) -> str:
    """A path as it was sent, percent-encoded once more: all services but S3 sign it so.

    Empty and dotted segments stay: no path that is answered here has any.
    """
    return quote(path)


def canonical_query(query: str) -> str:
    """A query's parameters in their order by name, then value, and in one encoding."""
    if not query:
        return ""
    pairs = (pair.partition("=")[::2] for pair in query.split("&"))
    return "&".join(
        f"{name}={value}" for name, value in sorted(tuple(map(_encoded, pair)) for pair in pairs)
    )


def string_to_sign(timestamp: str, scope: str, canonical: str) -> str:
    """What is signed for a canonical request; header fields' bytes are those that were sent."""
    digest = sha256(canonical.encode("latin-1")).hexdigest()
    return f"{ALGORITHM}\n{timestamp}\n{scope}\n{digest}"


def signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    """The key derived from a secret."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


@lru_cache(CACHE_SIZE)
def _mac(secret: str, day: str, region: str) -> hmac.HMAC:
    """What signs with a secret, to be copied: it is the same all day."""
    return hmac.new(signing_key(secret, day, region, SERVICE), digestmod="sha256")


def _trimmed(value: str) -> str:
    return _BLANKS.sub(" ", value) if "  " in value or "\t" in value else value


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text.encode("latin-1")), safe="")


def _moment(headers: Headers) -> tuple[str, str]:
    """The name of the field that says when the request was signed, and when that was."""
    name = DATE if DATE in headers else "date"
    text = headers.get(name, "")
    try:
        if name == "date" and not _TIMESTAMP.fullmatch(text):
            text = f"{parsedate_to_datetime(text).astimezone(UTC):%Y%m%dT%H%M%SZ}"
        if _TIMESTAMP.fullmatch(text):
            datetime.fromisoformat(text)
            return name, text
    except ValueError:
        pass
    raise IncompleteSignature(
        f"A signed request has to say when it was signed: X-Amz-Date as YYYYMMDDTHHMMSSZ, or Date; "
        f"{name} is {text!r}."
    )


def _check_coverage(signed: tuple[str, ...], date: str, headers: Headers) -> None:
    """Hold the header fields that are signed, and how the body is, against the rules."""
    missing = [name for name in headers if name.startswith("x-amz-") and name not in signed]
    missing += [name for name in ("host", date) if name not in signed and name not in missing]
    if missing:
        raise IncompleteSignature(
            f"SignedHeaders leaves out {', '.join(missing)}; host, the date and all x-amz-… fields "
            "have to be signed."
        )
    content = headers.get(CONTENT, "")
    if content.startswith(("UNSIGNED-PAYLOAD", "STREAMING-")):
        raise IncompleteSignature(
            f"{CONTENT} is {content!r}; this service takes only signatures of the whole body."
        )

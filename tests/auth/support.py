"""What the tests of authentication share: keys, and requests that AWS's own library signs."""

from calendar import timegm
from time import strptime
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from serving.auth import keys
from serving.values import Request

HOST = "127.0.0.1:8080"
REGION = "eu-central-1"
ID, SECRET = "ORDERS2026", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
OPERATOR, OPERATORS_SECRET = "OPERATOR", "another/secret/of/another/key"
TOKEN, METRICS_TOKEN = "0123456789abcdef.invoke", "0123456789abcdef.metrics"

TEXT = f"""
[[access_keys]]
name = "orders"
id = "{ID}"
secret = "{SECRET}"

[[access_keys]]
name = "operator"
id = "{OPERATOR}"
secret = "{OPERATORS_SECRET}"
session_token = "session/token"
scopes = ["manage", "invoke"]

[[tokens]]
name = "shop"
token = "{TOKEN}"

[[tokens]]
name = "prometheus"
token = "{METRICS_TOKEN}"
scopes = ["metrics"]
"""
KEYS = keys.parse(TEXT)

ENDPOINT = "/endpoints/orders/invocations"


def signed(
    method: str = "POST",
    target: str = ENDPOINT,
    body: bytes = b"1,2,3",
    *,
    headers: dict[str, str] | None = None,
    key: tuple[str, ...] = (ID, SECRET),
    service: str = "sagemaker",
    region: str = REGION,
) -> Request:
    """A request as botocore signs it, and as the HTTP host hands it over.

    ``target`` is percent-encoded; ``key`` is an id, a secret and, if there is one, a session token.
    """
    fields = {"Content-Type": "text/csv", **(headers or {})}
    sent = AWSRequest(method, f"http://{HOST}{target}", fields, body)
    SigV4Auth(Credentials(*key), service, region).add_auth(sent)
    url = urlsplit(sent.url)
    received = {name.lower(): value for name, value in sent.headers.items()}
    received |= {"host": HOST, "user-agent": "a client", "content-length": str(len(body))}
    return Request(method, unquote(url.path), received, body, url.query)


def signing_time(request: Request) -> float:
    """When a request was signed, in seconds since 1970."""
    return timegm(strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ"))


def with_headers(request: Request, **changed: str | None) -> Request:
    """The request with other header fields, or without those that are None."""
    fields: dict[str, Any] = {
        **request.headers,
        **{name.replace("_", "-"): value for name, value in changed.items()},
    }
    return request._replace(
        headers={name: text for name, text in fields.items() if text is not None}
    )

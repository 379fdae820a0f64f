"""What is answered to those who may not pass: as AWS does on its paths, else as this server does.

The names are those that AWS's services use for these cases. Its clients raise them: botocore as a
ClientError whose code is the name.
"""

import orjson

from serving import problems
from serving.auth import sigv4
from serving.auth.bearer import SCHEME
from serving.errors import (
    ExpiredCredentials,
    Forbidden,
    IncompleteSignature,
    InvalidSignature,
    MissingCredentials,
    RequestError,
    Unauthorized,
    UnknownCredentials,
)
from serving.values import Request, Response

AWS_PATHS = "/endpoints/"

AWS_STATUS = 403
"""AWS answers 403 to all of them, whoever was asked for."""

AWS_NAMES: dict[type[RequestError], str] = {
    MissingCredentials: "MissingAuthenticationTokenException",
    UnknownCredentials: "UnrecognizedClientException",
    ExpiredCredentials: "ExpiredTokenException",
    IncompleteSignature: "IncompleteSignatureException",
    InvalidSignature: "InvalidSignatureException",
    Forbidden: "AccessDeniedException",
}

REALM = f'{SCHEME} realm="serving"'


def response(error: BaseException, request: Request, scope: str) -> Response:
    """The answer to a request that takes ``scope`` and may not pass."""
    if not isinstance(error, Unauthorized | Forbidden):
        return problems.response(error, request)
    if request.path.startswith(AWS_PATHS):
        content = orjson.dumps({"message": str(error)})
        headers = (("x-amzn-errortype", AWS_NAMES[type(error)]),)
        return Response(AWS_STATUS, content, "application/json", headers)
    error.headers = tuple(("www-authenticate", text) for text in _challenges(error, request, scope))
    return problems.response(error, request)


def _challenges(error: RequestError, request: Request, scope: str) -> list[str]:
    """What would help: the scheme that was tried, or all there are (RFC 6750, 3)."""
    if isinstance(error, MissingCredentials):
        return [REALM, sigv4.ALGORITHM]
    if request.headers["authorization"].startswith(sigv4.ALGORITHM):
        return [] if isinstance(error, Forbidden) else [sigv4.ALGORITHM]
    if isinstance(error, Forbidden):
        return [f'{REALM}, error="insufficient_scope", scope="{scope}"']
    return [f'{REALM}, error="invalid_token"']

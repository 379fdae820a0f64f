"""Bearer tokens (RFC 6750)."""

import hmac
from collections.abc import Iterable
from hashlib import sha256

from serving.auth.keys import Principal, Token
from serving.errors import UnknownCredentials

SCHEME = "Bearer"


def holder(token: str, tokens: Iterable[Token]) -> Principal:
    """Who holds a token. How long it takes says nothing about how much of it is right.

    Raises:
        UnknownCredentials: nobody does.
    """
    digest = sha256(token.encode("latin-1")).digest()
    found = None
    for known in tokens:
        if hmac.compare_digest(known.digest, digest):
            found = known.principal
    if found is None:
        raise UnknownCredentials("The bearer token is none of this server's.")
    return found

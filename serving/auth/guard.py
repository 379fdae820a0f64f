"""The guard in front of an application: lets pass what a key allows, and refuses the rest."""

import asyncio
import hmac
import time
from collections.abc import Callable

from serving import problems
from serving.auth import bearer, refusals, scopes, sigv4
from serving.auth.keys import AccessKey, Keys, Principal
from serving.call import Handler, Reply
from serving.errors import (
    ExpiredCredentials,
    Forbidden,
    IncompleteSignature,
    MissingCredentials,
    UnknownCredentials,
)
from serving.values import Request

INLINE_BODY = 256 * 1024
"""Largest body whose digest is made on the event loop, in bytes."""


class Guard:
    """Asks every request but a ping who sent it."""

    def __init__(
        self,
        handle: Handler,
        keys: Callable[[], Keys],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Stand before ``handle``; ``keys`` gives those of now, ``clock`` seconds since 1970."""
        self._handle = handle
        self._keys = keys
        self._clock = clock

    def handle(self, request: Request, reply: Reply) -> None:
        """Pass a request on, or answer why not. Raises nothing that ``handle`` does not."""
        scope = scopes.needed(request.method, request.path)
        if scope == scopes.OPEN:
            self._handle(request, reply)
            return
        keys = self._keys()
        if len(request.body) <= INLINE_BODY:
            self._settle(request, reply, scope, problems.catch(self._admit, request, scope, keys))
            return
        loop = asyncio.get_running_loop()
        outcome = loop.run_in_executor(None, problems.catch, self._admit, request, scope, keys)
        outcome.add_done_callback(lambda done: self._settle(request, reply, scope, done.result()))

    def _settle(
        self, request: Request, reply: Reply, scope: str, refusal: BaseException | None
    ) -> None:
        if refusal is None:
            self._handle(request, reply)
        else:
            reply.send(refusals.response(refusal, request, scope))

    def _admit(self, request: Request, scope: str, keys: Keys) -> None:
        """Find out who sent a request, and whether they may.

        Raises:
            Unauthorized: nobody who is known now.
            Forbidden: they may not.
        """
        now = self._clock()
        sender = _sender(request, keys, now)
        if sender.expires <= now:
            raise ExpiredCredentials(f"The key of {sender.name!r} has expired.")
        if scope not in sender.scopes:
            raise Forbidden(
                f"{request.method} {request.path} takes a key for {scope!r}; that of "
                f"{sender.name!r} is for {', '.join(sorted(sender.scopes))}."
            )


def _sender(request: Request, keys: Keys, now: float) -> Principal:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme == sigv4.ALGORITHM:
        signature = sigv4.read(credentials, request.headers, now, keys.region)
        key = keys.access_keys.get(signature.key_id)
        if key is None:
            raise UnknownCredentials(f"This server has no access key {signature.key_id!r}.")
        _check_session_token(key, request)
        sigv4.verify(signature, request, key.secret)
        return key.principal
    if scheme.lower() == bearer.SCHEME.lower():
        return bearer.holder(credentials.strip(), keys.tokens)
    if not scheme and "X-Amz-Signature=" in request.query:
        raise IncompleteSignature(
            "A signature in the query is not taken here; it has to be in the Authorization field."
        )
    raise MissingCredentials(
        f"This server asks for an Authorization field with {sigv4.ALGORITHM} or {bearer.SCHEME}"
        + (f"; {scheme!r} is not known." if scheme else ".")
    )


def _check_session_token(key: AccessKey, request: Request) -> None:
    sent = request.headers.get("x-amz-security-token", "")
    if not hmac.compare_digest(sent.encode("latin-1"), key.session_token.encode()):
        raise UnknownCredentials(
            f"X-Amz-Security-Token does not belong to the access key {key.id!r}."
        )

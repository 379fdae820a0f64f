"""The guard: who passes, and what the others are answered."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.auth import guarded
from serving.auth.guard import INLINE_BODY, Guard
from serving.auth.keys import Keys, Principal, Token, parse
from serving.call import Reply
from serving.errors import SettingError
from serving.values import Request, Response
from tests.auth.support import (
    ENDPOINT,
    ID,
    KEYS,
    METRICS_TOKEN,
    OPERATOR,
    OPERATORS_SECRET,
    SECRET,
    TEXT,
    TOKEN,
    signed,
    signing_time,
    with_headers,
)
from tests.conftest import MakeSettings
from tests.support import Recorder, get, post

AWS = ("www-authenticate", "AWS4-HMAC-SHA256")
BEARER = ("www-authenticate", 'Bearer realm="serving"')


class Application:
    """What the guard stands before: keeps the requests that pass."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def handle(self, request: Request, reply: Reply) -> None:
        self.requests.append(request)
        reply.send(Response(200, b"passed"))


def ask(request: Request, keys: Keys = KEYS, clock: Callable[[], float] = time.time) -> Response:
    """The answer to a request, which is there at once, with the guard before an application."""
    application, reply = Application(), Recorder()
    Guard(application.handle, lambda: keys, clock).handle(request, reply)
    (answer,) = reply.answers
    assert application.requests == ([request] if answer.status == 200 else [])
    return answer


def text(answer: Response) -> str:
    """The body of an answer."""
    assert isinstance(answer.body, bytes)
    return answer.body.decode()


def problem(answer: Response) -> tuple[int, str]:
    """Status and type of an error in the project's form."""
    body = json.loads(text(answer))
    assert body.keys() == {"code", "type", "message"}
    assert body["code"] == answer.status
    return answer.status, body["type"]


def bearing(token: str, request: Request) -> Request:
    return with_headers(request, authorization=f"Bearer {token}")


def test_a_ping_needs_no_key() -> None:
    assert ask(get("/ping")).status == 200


def test_a_signed_request_passes() -> None:
    assert ask(signed()).status == 200
    assert ask(signed("POST", "/invocations")).status == 200


def test_a_request_with_a_token_passes() -> None:
    assert ask(bearing(TOKEN, post(b"1"))).status == 200
    assert ask(with_headers(post(b"1"), authorization=f"bearer  {TOKEN}")).status == 200


def test_a_request_without_credentials_is_told_the_ways_to_have_some() -> None:
    answer = ask(post(b"1"))
    assert problem(answer) == (401, "MissingCredentials")
    assert answer.headers == (BEARER, AWS)


@pytest.mark.parametrize("authorization", ["Basic YTpi", "AWS4-ECDSA-P256-SHA256 a", "nonsense"])
def test_a_scheme_that_is_not_known_is_named(authorization: str) -> None:
    answer = ask(with_headers(post(b"1"), authorization=authorization))
    assert problem(answer) == (401, "MissingCredentials")
    assert f"{authorization.split()[0]!r} is not known." in text(answer)
    assert answer.headers == (BEARER, AWS)


def test_a_wrong_token_is_refused_as_rfc_6750_says() -> None:
    answer = ask(bearing("wrong", post(b"1")))
    assert problem(answer) == (401, "UnknownCredentials")
    assert answer.headers == ((BEARER[0], BEARER[1] + ', error="invalid_token"'),)


def test_a_wrong_signature_is_refused() -> None:
    answer = ask(signed("POST", "/invocations", key=(ID, OPERATORS_SECRET)))
    assert problem(answer) == (401, "InvalidSignature")
    assert answer.headers == (AWS,)


def test_a_token_may_not_do_what_it_is_not_for() -> None:
    answer = ask(bearing(TOKEN, get("/models")))
    assert problem(answer) == (403, "Forbidden")
    challenge = BEARER[1] + ', error="insufficient_scope", scope="manage"'
    assert answer.headers == ((BEARER[0], challenge),)
    assert "'manage'; that of 'shop' is for invoke" in text(answer)


def test_an_access_key_may_not_do_what_it_is_not_for() -> None:
    answer = ask(signed("DELETE", "/models/a", b""))
    assert problem(answer) == (403, "Forbidden")
    assert answer.headers == ()


def test_metrics_have_keys_of_their_own() -> None:
    assert ask(bearing(METRICS_TOKEN, get("/metrics"))).status == 200
    assert ask(bearing(METRICS_TOKEN, post(b"1"))).status == 403
    assert ask(bearing(TOKEN, get("/metrics"))).status == 403


def test_an_operators_key_is_good_for_management() -> None:
    request = signed("POST", "/models", b"{}", key=(OPERATOR, OPERATORS_SECRET, "session/token"))
    assert ask(request).status == 200


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: with_headers(signed(), authorization=None), "MissingAuthenticationTokenException"),
        (lambda: signed(key=("NOBODY", SECRET)), "UnrecognizedClientException"),
        (lambda: signed(key=(ID, SECRET, "token")), "UnrecognizedClientException"),
        (lambda: signed(key=(OPERATOR, OPERATORS_SECRET)), "UnrecognizedClientException"),
        (lambda: bearing("wrong", signed()), "UnrecognizedClientException"),
        (lambda: signed(key=(ID, OPERATORS_SECRET)), "InvalidSignatureException"),
        (lambda: signed(service="s3"), "InvalidSignatureException"),
        (
            lambda: with_headers(signed(), authorization="AWS4-HMAC-SHA256 "),
            "IncompleteSignatureException",
        ),
        (lambda: bearing(METRICS_TOKEN, signed()), "AccessDeniedException"),
    ],
)
def test_clients_of_aws_are_refused_as_aws_does(make: Callable[[], Request], name: str) -> None:
    answer = ask(make())
    assert answer.status == 403
    assert answer.headers == (("x-amzn-errortype", name),)
    assert answer.content_type == "application/json"
    assert json.loads(text(answer)).keys() == {"message"}


def test_a_signature_in_the_query_is_refused_for_what_it_is() -> None:
    query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0"
    answer = ask(with_headers(signed(), authorization=None)._replace(query=query))
    assert answer.headers == (("x-amzn-errortype", "IncompleteSignatureException"),)


def test_a_signature_that_is_too_old_is_refused() -> None:
    request = signed()
    signed_at = signing_time(request)
    assert ask(request, clock=lambda: signed_at + 300).status == 200
    answer = ask(request, clock=lambda: signed_at + 301)
    assert answer.headers == (("x-amzn-errortype", "InvalidSignatureException"),)


def test_a_key_that_has_expired_is_refused() -> None:
    token = KEYS.tokens[0]
    ending = Keys(tokens=(Token(Principal("shop", frozenset({"invoke"}), 1000.0), token.digest),))
    request = bearing(TOKEN, post(b"1"))
    assert ask(request, ending, lambda: 999.0).status == 200
    assert problem(ask(request, ending, lambda: 1000.0)) == (401, "ExpiredCredentials")
    answer = ask(request._replace(path=ENDPOINT), ending, lambda: 1000.0)
    assert answer.headers == (("x-amzn-errortype", "ExpiredTokenException"),)


def test_a_signature_may_have_to_be_for_the_region_of_the_keys() -> None:
    keys = parse('region = "us-east-1"\n' + TEXT)
    assert ask(signed(region="us-east-1"), keys).status == 200
    assert ask(signed(region="eu-central-1"), keys).status == 403


@pytest.mark.parametrize("secret", [SECRET, OPERATORS_SECRET])
async def test_a_large_body_is_digested_outside_the_loop(secret: str) -> None:
    application, reply = Application(), Recorder()
    guard = Guard(application.handle, lambda: KEYS)
    guard.handle(signed(body=bytes(INLINE_BODY + 1), key=(ID, secret)), reply)
    assert reply.answers == []
    answer = await reply.answer()
    assert answer.status == (200 if secret == SECRET else 403)
    assert len(application.requests) == (secret == SECRET)


def test_without_keys_nothing_stands_before_the_application(make_settings: MakeSettings) -> None:
    handle = Application().handle
    assert guarded(handle, make_settings()) == handle


def test_the_settings_name_the_keys(make_settings: MakeSettings, tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(TEXT)
    application, reply = Application(), Recorder()
    handle = guarded(application.handle, make_settings(keys=str(path)))
    handle(post(b"1"), reply)
    handle(bearing(TOKEN, post(b"1")), reply)
    assert [answer.status for answer in reply.answers] == [401, 200]
    with pytest.raises(SettingError, match="cannot be read"):
        guarded(application.handle, make_settings(keys=str(path / "none")))

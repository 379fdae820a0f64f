"""The file of keys: what it says, and what is wrong with one."""

import re
from datetime import UTC, datetime
from hashlib import sha256
from math import inf
from pathlib import Path

import pytest

from serving.auth.keys import Principal, parse
from tests.auth.support import KEYS, OPERATOR, SECRET, TEXT, TOKEN

ACCESS_KEY = f'[[access_keys]]\nname = "a"\nid = "ID"\nsecret = "{SECRET}"\n'
TOKEN_ENTRY = f'[[tokens]]\nname = "a"\ntoken = "{TOKEN}"\n'


def test_a_file_lists_access_keys_and_tokens() -> None:
    assert KEYS.region == ""
    operator = KEYS.access_keys[OPERATOR]
    assert operator.session_token == "session/token"
    assert operator.principal == Principal("operator", frozenset({"manage", "invoke"}), inf)
    assert [token.principal.name for token in KEYS.tokens] == ["shop", "prometheus"]
    assert KEYS.tokens[0].digest == sha256(TOKEN.encode()).digest()


def test_a_key_is_for_predictions_unless_it_says_what_for() -> None:
    assert KEYS.tokens[0].principal.scopes == {"invoke"}
    assert KEYS.tokens[1].principal.scopes == {"metrics"}


def test_a_key_may_end_at_a_time() -> None:
    (token,) = parse(TOKEN_ENTRY + "expires = 2027-01-01T01:00:00+01:00").tokens
    assert token.principal.expires == datetime(2027, 1, 1, tzinfo=UTC).timestamp()


def test_a_file_may_name_the_region_of_its_keys() -> None:
    assert parse('region = "eu-central-1"\n' + ACCESS_KEY).region == "eu-central-1"


def test_keys_do_not_show_their_secrets() -> None:
    shown = repr(parse(TEXT))
    assert "ORDERS2026" in shown
    for secret in (SECRET, "session/token", TOKEN, sha256(TOKEN.encode()).hexdigest()):
        assert secret not in shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "neither [[access_keys]] nor [[tokens]]"),
        ("tokens", "Expected '=' after a key"),
        ("tokens = 1", "tokens has to be tables, each under [[tokens]]"),
        ("tokens = [1]", "tokens has to be tables, each under [[tokens]]"),
        (ACCESS_KEY + "[other]", "the file has 'other'; it may have access_keys, region, tokens"),
        ("region = 1\n" + ACCESS_KEY, "region in the file has to be text, in quotes"),
        (ACCESS_KEY + ACCESS_KEY, "two access_keys have the same id"),
        (TOKEN_ENTRY + TOKEN_ENTRY, "two tokens are the same"),
        (TOKEN_ENTRY + '[[tokens]]\nname = "b"', "tokens number 2 has no token"),
        (ACCESS_KEY.replace('"ID"', '"a/b"'), "id in access_keys number 1 has to be of at most"),
        (ACCESS_KEY.replace('"ID"', '""'), "id in access_keys number 1 has to be text"),
        (ACCESS_KEY.replace(SECRET, "short"), "secret in access_keys number 1 has fewer than 16"),
        (
            TOKEN_ENTRY.replace(TOKEN, "with a blank in the midst"),
            "token in tokens number 1 has to be",
        ),
        (TOKEN_ENTRY + "secret = 1", "tokens number 1 has 'secret'; it may have expires, name"),
        (
            TOKEN_ENTRY + "scopes = []",
            "scopes in tokens number 1 has to be a list of some of invoke",
        ),
        (TOKEN_ENTRY + 'scopes = ["all"]', "has to be a list of some of invoke, manage, metrics"),
        (TOKEN_ENTRY + 'scopes = "invoke"', "has to be a list of some of invoke, manage, metrics"),
        (TOKEN_ENTRY + "expires = 2027-01-01", "has to be a time with its zone"),
        (TOKEN_ENTRY + "expires = 2027-01-01T00:00:00", "has to be a time with its zone"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        parse(text)
    assert SECRET not in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_the_file_in_the_documentation_is_one() -> None:
    page = Path(__file__).parents[2] / "docs" / "authentication.md"
    _, _, rest = page.read_text().partition("<<END\n")
    text = rest.partition("END\n")[0].replace("$(openssl rand -hex 24)", SECRET.replace("/", "."))
    keys = parse(text)
    assert list(keys.access_keys) == ["ORDERS01"]
    assert [token.principal.scopes for token in keys.tokens] == [{"manage", "invoke"}]

"""Bearer tokens: who holds one."""

import hmac

import pytest

from serving.auth import bearer
from serving.errors import UnknownCredentials
from tests.auth.support import KEYS, METRICS_TOKEN, TOKEN


def test_a_token_tells_its_holder() -> None:
    assert bearer.holder(TOKEN, KEYS.tokens).name == "shop"
    assert bearer.holder(METRICS_TOKEN, KEYS.tokens).name == "prometheus"


@pytest.mark.parametrize("token", ["", "é", TOKEN[:-1], TOKEN + "x", TOKEN.upper()])
def test_another_token_has_no_holder(token: str) -> None:
    with pytest.raises(UnknownCredentials, match="none of this server's"):
        bearer.holder(token, KEYS.tokens)


@pytest.mark.parametrize("token", [TOKEN, METRICS_TOKEN])
def test_every_token_is_compared_whichever_is_right(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[bytes] = []
    compare = hmac.compare_digest

    def counted(known: bytes, sent: bytes) -> bool:
        compared.append(known)
        return compare(known, sent)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    bearer.holder(token, KEYS.tokens)
    assert compared == [token.digest for token in KEYS.tokens]

"""Keys: who may ask this server, for what, and how they prove who they are.

They come from a TOML file::

    region = "eu-central-1"     # optional: signatures for other regions are refused

    [[access_keys]]             # of clients that sign, as those of AWS do
    name = "orders"
    id = "ORDERS2026"
    secret = "…"
    scopes = ["invoke"]

    [[tokens]]                  # of clients that send `Authorization: Bearer …`
    name = "prometheus"
    token = "…"
    scopes = ["metrics"]
    expires = 2027-01-01T00:00:00Z
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeVar

from serving.auth.scopes import INVOKE, SCOPES

T = TypeVar("T")

SHORTEST = 16
"""Fewest characters of a secret or token; fewer could be guessed."""

_ID = re.compile(r"[\w.-]{1,128}", re.ASCII)
_TOKEN = re.compile(r"[\w.~+/-]+=*", re.ASCII)
"""What a bearer token may consist of (RFC 6750, 2.1)."""

_COMMON = {"name", "scopes", "expires"}


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever holds a key."""

    name: str
    scopes: frozenset[str]
    expires: float
    """When the key ends, in seconds since 1970; infinite: never."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """What a client signs with."""

    id: str
    principal: Principal
    secret: str = field(repr=False)
    session_token: str = field(repr=False)
    """What the client sends as X-Amz-Security-Token; empty: it may send none."""


@dataclass(frozen=True, slots=True)
class Token:
    """What a client sends to say who it is."""

    principal: Principal
    digest: bytes = field(repr=False)
    """SHA-256 of the token."""


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys of a server."""

    region: str = ""
    """AWS region that signatures have to be for; empty: any."""
    access_keys: Mapping[str, AccessKey] = field(default_factory=dict)
    """By their ids."""
    tokens: tuple[Token, ...] = ()


def parse(text: str) -> Keys:
    """The keys that a file's text lists.

    Raises:
        ValueError: the text is no TOML, or says something else; the message names the entry.
    """
    import tomllib  # few servers have such a file, and all start sooner without

    document = tomllib.loads(text)
    _expect(document, "the file", required=set(), optional={"region", "access_keys", "tokens"})
    access_keys = _entries(document, "access_keys", _access_key)
    tokens = _entries(document, "tokens", _token)
    by_id = {key.id: key for key in access_keys}
    if len(by_id) < len(access_keys):
        raise ValueError("two access_keys have the same id")
    if len({token.digest for token in tokens}) < len(tokens):
        raise ValueError("two tokens are the same")
    if not access_keys and not tokens:
        raise ValueError("it has neither [[access_keys]] nor [[tokens]]: nobody could ask")
    region = _text(document, "region", "the file") if "region" in document else ""
    return Keys(region, by_id, tuple(tokens))


def _access_key(entry: dict[str, Any], where: str) -> AccessKey:
    _expect(entry, where, {"name", "id", "secret"}, _COMMON | {"session_token"})
    key_id = _text(entry, "id", where)
    if not _ID.fullmatch(key_id):
        raise ValueError(
            f"id in {where} has to be of at most 128 letters, digits, hyphens, dots and underscores"
        )
    return AccessKey(
        key_id,
        _principal(entry, where),
        _secret(entry, "secret", where),
        _text(entry, "session_token", where) if "session_token" in entry else "",
    )


def _token(entry: dict[str, Any], where: str) -> Token:
    _expect(entry, where, {"name", "token"}, _COMMON)
    token = _secret(entry, "token", where)
    if not _TOKEN.fullmatch(token):
        raise ValueError(
            f"token in {where} has to be of letters, digits and -._~+/, with = at the end only"
        )
    return Token(_principal(entry, where), sha256(token.encode()).digest())


def _principal(entry: dict[str, Any], where: str) -> Principal:
    scopes = entry.get("scopes", [INVOKE])
    if not isinstance(scopes, list) or not scopes or not set(map(str, scopes)) <= set(SCOPES):
        raise ValueError(f"scopes in {where} has to be a list of some of {', '.join(SCOPES)}")
    expires = entry.get("expires")
    if expires is None:
        ends = float("inf")
    elif isinstance(expires, datetime) and expires.tzinfo is not None:
        ends = expires.timestamp()
    else:
        raise ValueError(
            f"expires in {where} has to be a time with its zone, such as 2030-01-01T00:00:00Z"
        )
    return Principal(_text(entry, "name", where), frozenset(scopes), ends)


def _entries(
    document: dict[str, Any], name: str, read: Callable[[dict[str, Any], str], T]
) -> list[T]:
    entries = document.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"{name} has to be tables, each under [[{name}]]")
    return [read(entry, f"{name} number {number}") for number, entry in enumerate(entries, 1)]


def _expect(table: dict[str, Any], where: str, required: set[str], optional: set[str]) -> None:
    for name in sorted(required - table.keys()):
        raise ValueError(f"{where} has no {name}")
    known = required | optional
    for name in sorted(table.keys() - known):
        raise ValueError(f"{where} has {name!r}; it may have {', '.join(sorted(known))}")


def _secret(table: dict[str, Any], name: str, where: str) -> str:
    text = _text(table, name, where)
    if len(text) < SHORTEST:
        raise ValueError(f"{name} in {where} has fewer than {SHORTEST} characters")
    return text


def _text(table: dict[str, Any], name: str, where: str) -> str:
    value = table[name]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} in {where} has to be text, in quotes, and not empty")
    return value

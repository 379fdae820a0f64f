"""The members of the API's requests: the header fields they come in, and their rules.

The rules are those of the API's definition (botocore, ``sagemaker-runtime/2017-05-13``), which
clients leave to the server to check.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from serving.runtime.faults import ValidationError
from serving.values import Headers


class Rule(NamedTuple):
    """What a value has to be."""

    most: int
    """Characters."""
    pattern: re.Pattern[str]
    allowed: str


class Member(NamedTuple):
    """A member of a request."""

    name: str
    """As the API's definition has it."""
    rule: Rule
    passed_as: str = ""
    """The header field in which the model gets it; empty: the model does not."""


def _rule(most: int, pattern: str, allowed: str) -> Rule:
    return Rule(most, re.compile(pattern), allowed)


_NAME = _rule(63, r"[a-zA-Z0-9](-*[a-zA-Z0-9])*", "letters, digits, and hyphens between them")
_ASCII = _rule(1024, r"[\x00-\x7f]*", "ASCII characters")
_MODEL = _rule(1024, r"[!-~][ -~]*", "printable ASCII characters, not a space first")
_ID = _MODEL._replace(most=64)
_EXPRESSION = _rule(64, r".+", "any characters, but not none")
_SESSION = _NAME._replace(most=256)
_SESSION_OR_NEW = _SESSION._replace(
    pattern=re.compile(rf"NEW_SESSION|{_NAME.pattern.pattern}"),
    allowed=f"NEW_SESSION, or {_NAME.allowed}",
)
_LOCATION = _rule(1024, r"[a-z][a-z0-9+.-]*:/+[^/].*", "an address, such as s3://bucket/key")
_FOLDER = _rule(
    512,
    r"(?!s3:|https:)(?!(.*/)?\.)[a-zA-Z0-9!_.*'()/-]+",
    "letters, digits and !_.*'()/-, and no part of it begins with a dot",
)
_FILE = _rule(
    32,
    r"(?!.*\..*\.)[a-zA-Z0-9][a-zA-Z0-9_.-]*",
    "letters, digits, hyphens and underscores, with one dot at most and neither of these three "
    "first",
)
_SECONDS = _rule(5, r"[0-9]+", "a whole number")

_PREFIX = "x-amzn-sagemaker-"

_COMMON = {
    _PREFIX + "custom-attributes": Member(
        "CustomAttributes", _ASCII, _PREFIX + "custom-attributes"
    ),
    _PREFIX + "inference-id": Member("InferenceId", _ID, _PREFIX + "inference-id"),
}
_ROUTING = {
    _PREFIX + "target-variant": Member("TargetVariant", _NAME),
    _PREFIX + "target-container-hostname": Member("TargetContainerHostname", _NAME),
    _PREFIX + "inference-component": Member("InferenceComponentName", _NAME),
    _PREFIX + "prefix-aware-id": Member("PrefixAwareId", _ID, _PREFIX + "prefix-aware-id"),
}
_CONTENT_TYPE = Member("ContentType", _ASCII, "content-type")
_ACCEPT = Member("Accept", _ASCII, "accept")

Members = Mapping[str, Member]

INVOKE: Members = {
    "content-type": _CONTENT_TYPE,
    "accept": _ACCEPT,
    **_COMMON,
    **_ROUTING,
    _PREFIX + "target-model": Member("TargetModel", _MODEL, _PREFIX + "target-model"),
    _PREFIX + "enable-explanations": Member(
        "EnableExplanations", _EXPRESSION, _PREFIX + "enable-explanations"
    ),
    _PREFIX + "session-id": Member("SessionId", _SESSION_OR_NEW, _PREFIX + "session-id"),
}
STREAM: Members = {
    "content-type": _CONTENT_TYPE,
    _PREFIX + "accept": _ACCEPT,
    **_COMMON,
    **_ROUTING,
    _PREFIX + "session-id": Member("SessionId", _SESSION, _PREFIX + "session-id"),
}
ASYNC: Members = {
    _PREFIX + "content-type": _CONTENT_TYPE,
    _PREFIX + "accept": _ACCEPT,
    **_COMMON,
    _PREFIX + "inputlocation": Member("InputLocation", _LOCATION),
    _PREFIX + "s3outputpathextension": Member("S3OutputPathExtension", _FOLDER),
    _PREFIX + "filename": Member("Filename", _FILE),
    _PREFIX + "requestttlseconds": Member("RequestTTLSeconds", _SECONDS),
    _PREFIX + "invocationtimeoutseconds": Member("InvocationTimeoutSeconds", _SECONDS),
}
"""The members of each operation, by the header fields that they come in."""

TRACE = ("traceparent", "tracestate", "x-amzn-trace-id")
"""Fields that tie what servers log of one request together; they are passed on too."""


class Read(NamedTuple):
    """A request's header fields, taken apart."""

    values: dict[str, str]
    """The members, by their names."""
    passed: dict[str, str]
    """The header fields that the model gets. All others are the client's own affair."""


def read(headers: Headers, members: Members) -> Read:
    """Take the members of a request from its header fields.

    Raises:
        ValidationError: one of them breaks its rule.
    """
    values: dict[str, str] = {}
    passed = {name: headers[name] for name in TRACE if name in headers}
    for field, member in members.items():
        value = headers.get(field)
        if value is not None:
            check(member.name, value, member.rule)
            values[member.name] = value
            if member.passed_as:
                passed[member.passed_as] = value
    return Read(values, passed)


def check(name: str, value: str, rule: Rule = _NAME) -> None:
    """Return if a member is as it has to be. Raises ValidationError if not."""
    if len(value) > rule.most:
        raise ValidationError(
            f"{name} has {len(value)} characters; it may have {rule.most} at most."
        )
    if not rule.pattern.fullmatch(value):
        raise ValidationError(f"{name} is {value!r}; it takes {rule.allowed}.")


def whole(values: Mapping[str, str], name: str, low: int, high: int, default: int) -> int:
    """A member that is a number. Raises ValidationError where it is beyond its bounds."""
    number = int(values.get(name, default))
    if not low <= number <= high:
        raise ValidationError(f"{name} is {number}; it takes {low} to {high}.")
    return number

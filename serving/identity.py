"""What a request is called."""

import uuid
from collections.abc import Mapping

NAMES = ("x-amzn-sagemaker-inference-id", "x-amzn-requestid", "x-request-id")
"""Header fields that name a request; the first that is there, and fit to be shown, counts."""

LONGEST = 128
"""Characters of a name; a longer one is not taken."""


def given(headers: Mapping[str, str]) -> str:
    """What the client named the request: ASCII to print, without a break; empty if nothing."""
    for field in NAMES:
        name = headers.get(field, "").strip()
        if name and len(name) <= LONGEST and name.isascii() and name.isprintable():
            return name
    return ""


def named(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The header fields, with a random name for the request if its client gave none."""
    return headers if given(headers) else {**headers, NAMES[-1]: str(uuid.uuid4())}


def of(headers: Mapping[str, str]) -> str:
    """What the client named the request, or else a random name."""
    return given(headers) or str(uuid.uuid4())

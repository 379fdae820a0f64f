"""What Lambda allows, and what this host cannot do there."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from serving.errors import PayloadTooLarge
from serving.kinds import MIB

PAYLOAD = 6 * MIB
"""Most bytes of an event, and of a reply (Lambda's quotas)."""

ALB_PAYLOAD = MIB
"""Most bytes of either where a load balancer invokes ("Lambda functions as targets")."""

WIDEST = 6
"""Bytes at most that one of UTF-8 becomes as JSON: a control character is ``\\u0000`` there."""

HEAD_ROOM = 64 * 1024
"""More than the rest of a reply takes."""


class Limit(NamedTuple):
    """Something that other hosts do."""

    what: str
    instead: str
    """What happens here."""


CANNOT: Mapping[str, Limit] = {
    "streaming": Limit(
        "Streamed answers",
        "The runtime client for Python sends a reply whole, so a stream is collected and leaves at "
        "its end. One that breaks off, or has not ended in time, is an error.",
    ),
    "size": Limit(
        "Requests and answers of more than 6 MB, or 1 MB behind an ALB",
        "They are answered 413. What is not text travels as base64, which is a third longer. "
        "Requests that are larger than Lambda takes are refused by Lambda itself.",
    ),
    "batching": Limit(
        "Batches of several requests",
        "An environment has one invocation at a time. The rows of a request are still one call.",
    ),
    "async_output": Limit(
        "Asynchronous invocations of the SageMaker Runtime API",
        "They are refused: nothing runs after the reply. Invoke the function asynchronously "
        "instead (InvocationType=Event).",
    ),
    "sessions": Limit(
        "Stateful sessions",
        "They are off: the next invocation may reach another environment, which does not know "
        "them.",
    ),
    "emf_namespace": Limit(
        "Counts of all that was served",
        "`/metrics` tells what one environment has counted, and lines in CloudWatch's embedded "
        "metric format are not written. Lambda has metrics of its own.",
    ),
    "direct": Limit(
        "Direct invocations that tell the media type of their answer",
        "Their reply is the answer itself: JSON, or text as a string. Bytes, and other paths and "
        "header fields, need an event in the form of API Gateway's.",
    ),
}
"""By a name; that of the setting which is switched off, where there is one."""


def check(reply: Any, most: int, body: int) -> None:
    """Return if a reply, whose body has so many bytes, can be sent.

    Raises:
        PayloadTooLarge: as JSON, which is how the runtime client sends it, it takes more bytes.
    """
    if body * WIDEST + HEAD_ROOM <= most:
        return
    size = len(json.dumps(reply))
    if size > most:
        raise PayloadTooLarge(
            f"The answer takes {size} bytes as Lambda sends it, and {most} is the most. Ask for "
            "fewer rows in a request, or accept a media type that takes less."
        )


def too_large(size: int, most: int) -> PayloadTooLarge:
    """The error for a request's body of more bytes than Lambda passes on."""
    return PayloadTooLarge(
        f"The body has {size} bytes, and a function on Lambda takes {most} at most, base64 "
        "included. Send fewer rows in a request."
    )

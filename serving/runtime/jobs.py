"""An InvokeEndpointAsync as a job for the spool: its rules, and where its answer will lie."""

import re
import time
import uuid
from collections.abc import Mapping
from typing import NamedTuple

from serving.runtime import members, stores
from serving.runtime.answers import REQUEST_ID
from serving.runtime.faults import ValidationError
from serving.runtime.members import Read
from serving.runtime.spool import Job
from serving.settings import Settings

MAX_INLINE = 128_000
"""Bytes of a body that comes in the request itself."""

INFERENCE_ID = "x-amzn-sagemaker-inference-id"

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Places(NamedTuple):
    """Where things lie, as addresses."""

    output: str
    failures: str
    inputs: tuple[str, ...]
    """What the inputs that clients name have to lie in."""

    @classmethod
    def of(cls, settings: Settings) -> "Places":
        """The places that the settings name."""
        output = stores.absolute(settings.async_output)
        failures, inputs = settings.async_failures, settings.async_inputs
        return cls(
            output,
            stores.absolute(failures) if failures else output,
            tuple(stores.absolute(each.strip()) for each in inputs.split(",") if each.strip())
            or (output,),
        )


def job(read: Read, model: Mapping[str, str], body: bytes, request_id: str, places: Places) -> Job:
    """The job that a request asks for.

    Args:
        read: Its members.
        model: Header fields that choose the model.
        body: Its body, which may be the model's.
        request_id: What it is called.
        places: Where inputs may lie, and answers will.

    Raises:
        ValidationError: it breaks a rule.
    """
    values = read.values
    timeout = members.whole(values, "InvocationTimeoutSeconds", 1, 3600, 900)
    lifetime = members.whole(values, "RequestTTLSeconds", 60, 21_600, 21_600)
    inference_id = values.get("InferenceId") or str(uuid.uuid4())
    # An id may be anything, also a path; the client is told what the file is called.
    name = inference_id if _FILE_NAME.fullmatch(inference_id) else str(uuid.uuid4())
    extension = values.get("S3OutputPathExtension", "").strip("/")
    folder = f"{places.output}/{extension}" if extension else places.output
    return Job(
        inference_id,
        request_id,
        {**read.passed, INFERENCE_ID: inference_id, REQUEST_ID: request_id, **model},
        _input(values.get("InputLocation", ""), body, places),
        f"{folder}/{values.get('Filename', name)}.out",
        f"{places.failures}/{name}-error.out",
        time.time() + lifetime,
        timeout,
        body,
    )


def _input(location: str, body: bytes, places: Places) -> str:
    """The address of the body that a request names, if it does not bring one."""
    if bool(location) == bool(body):
        raise ValidationError("Body and InputLocation exclude each other; give one of them.")
    if len(body) > MAX_INLINE:
        raise ValidationError(
            f"The body has {len(body)} bytes; at most {MAX_INLINE} may come in a request. Put it "
            "where this server can read it, and name it as InputLocation."
        )
    if location and not any(stores.within(location, root) for root in places.inputs):
        raise ValidationError(
            f"InputLocation is {location!r}; inputs are read from {', '.join(places.inputs)}. "
            "SERVING_ASYNC_INPUTS sets that."
        )
    return location

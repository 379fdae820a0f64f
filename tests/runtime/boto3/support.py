"""What the SDK's definition has, and what its answers hold."""

from typing import Any

from serving.runtime import stores

NEW_SESSION = "abc-123; Expires=2026-01-02T03:04:05Z"
OPERATIONS = ("InvokeEndpoint", "InvokeEndpointWithResponseStream", "InvokeEndpointAsync")


def members(client: Any, operation: str, shape: str) -> set[str]:
    """What the API's definition has."""
    return set(getattr(client.meta.service_model.operation_model(operation), shape).members)


def content(answer: dict[str, Any]) -> bytes:
    """The whole body of an answer, streamed or not."""
    body = answer["Body"]
    if hasattr(body, "read"):
        return bytes(body.read())
    return b"".join(event["PayloadPart"]["Bytes"] for event in body)


def written(location: str) -> bytes:
    """What an asynchronous invocation wrote to a local store."""
    path = stores.local(location)
    assert path is not None
    return path.read_bytes()

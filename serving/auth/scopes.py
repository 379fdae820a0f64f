"""Scopes: what a key is for, and which of them a request takes."""

from serving import targets

INVOKE = "invoke"
"""Predictions."""
MANAGE = "manage"
"""Models: to load, list and unload them; and whatever has no scope of its own."""
METRICS = "metrics"
"""What the server counts."""

SCOPES = (INVOKE, MANAGE, METRICS)

OPEN = ""
"""The scope of what needs no key: a platform that asks for health cannot sign."""

_INVOKE_PATHS = ("/invocations", "/endpoints/", "/execution-parameters", targets.MODELS)


def needed(method: str, path: str) -> str:
    """The scope that a request takes. What is not known to take another takes ``manage``."""
    if path in ("/ping", targets.LIVE, targets.READY):
        return OPEN
    if path == "/metrics":
        return METRICS
    if path.startswith(_INVOKE_PATHS) or path == targets.ROOT:
        return INVOKE
    # A model's name may end in "/invoke": only POST, which loads no model by name, asks for one.
    if method == "POST" and path.startswith("/models/") and path.endswith("/invoke"):
        return INVOKE
    return MANAGE

"""The Lambda host: an event in, a reply out, for AWS's own runtime client.

The function's handler is ``serving.hosts.aws_lambda.handler``. The runtime client looks it up once,
in the init phase, and that is when the model is loaded.
"""

import os
from typing import TYPE_CHECKING, Any

from serving.lasting import lasting

if TYPE_CHECKING:
    from serving.hosts.aws_lambda.host import Host

HANDLER = f"{__name__}.handler"
"""What the function's configuration calls it."""

given: dict[str, Any] = {}
"""Settings of the command line, where the host was started by one; they win over variables."""


def __getattr__(name: str) -> "Host":
    """Start the host when it is asked for, and not because something imports this package."""
    if name != "handler":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with lasting():
        from serving.hosts.aws_lambda.starting import start

        globals()[name] = host = start(os.environ, **given)
    return host

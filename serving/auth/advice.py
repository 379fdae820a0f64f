"""What an operator is told about authentication when a server starts."""

import ipaddress
from collections.abc import Mapping
from pathlib import Path

from serving.settings import Settings

ROLE = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
"""AWS's platforms give their containers, SageMaker's too, a role by this variable. There nobody
reaches the server but the platform, which has no key."""


def advice(settings: Settings, environment: Mapping[str, str]) -> str:
    """A sentence about what leaves the server more open than it has to be; empty: nothing does."""
    if settings.keys:
        from serving.auth import keyfile

        if keyfile.exposed(Path(settings.keys)):
            return (
                f"SERVING_KEYS={settings.keys!r} can be read or written by every user of this "
                "machine; take that away, for instance with chmod 600"
            )
        return ""
    if is_loopback(settings.bind) or settings.further_ports or environment.get(ROLE):
        return ""
    return (
        f"whoever reaches {settings.bind}:{settings.port} may use this server: name a file of keys "
        "in SERVING_KEYS to ask them who they are, or listen on 127.0.0.1 only"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"

"""What the paths of the Open Inference Protocol name.

A model's name may have slashes, as in a repository: a path is read from its end.
"""

from typing import NamedTuple

ROOT = "/v2"
PREFIX = "/v2/"
LIVE, READY = "/v2/health/live", "/v2/health/ready"
MODELS = "/v2/models/"
INDEX = "/v2/repository/index"

INFER = "infer"
ACTIONS = ("ready", INFER)
"""What can be asked of a model besides its metadata."""

_VERSIONS = "/versions/"


class Target(NamedTuple):
    """A model's path in its parts."""

    model: str
    version: str = ""
    """Empty where the client names none."""
    action: str = ""
    """One of ACTIONS; empty: the metadata."""


def spoken(path: str) -> bool:
    """Whether a request to this path speaks the protocol."""
    return path == ROOT or path.startswith(PREFIX)


def read(path: str) -> Target | None:
    """The model that a path is of, and what is asked of it; None where it is of no model."""
    if not path.startswith(MODELS):
        return None
    name, action = path.removeprefix(MODELS), ""
    for known in ACTIONS:
        if name.endswith(f"/{known}"):
            name, action = name[: -len(known) - 1], known
            break
    version = ""
    if _VERSIONS in name:
        before, _, last = name.rpartition(_VERSIONS)
        if before and last and "/" not in last:
            name, version = before, last
    return Target(name, version, action) if name else None

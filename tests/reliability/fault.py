"""What a fault is."""

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.reliability.bench import Kind, Site


class Aftermath(Enum):
    """Who answers the next good request after a fault."""

    STAYS = "answered"
    REPLACED = "answered by the other worker; this one is replaced"
    ANEW = "answered, once the model is whole and served anew"


class Fault(NamedTuple):
    """Something that goes wrong, and what must come of it."""

    name: str
    done: str
    """What is sent or done, in words."""
    outcome: str
    """What comes of it, as ``attempt`` says it."""
    kind: "Kind"
    attempt: Callable[["Site"], str]
    """Does it, and says what came of it."""
    aftermath: Aftermath = Aftermath.STAYS


class Section(NamedTuple):
    """Faults of one sort."""

    title: str
    about: str
    faults: tuple[Fault, ...]

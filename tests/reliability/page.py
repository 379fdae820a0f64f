"""docs/reliability.md: what was tried, and what came of it."""

from collections.abc import Callable, Iterator
from pathlib import Path

from tests.reliability.bodies import BODIES
from tests.reliability.clients import CLIENTS
from tests.reliability.fault import Fault, Section
from tests.reliability.framing import HEADS, LENGTHS, SMUGGLING
from tests.reliability.scripts import SCRIPTS
from tests.reliability.starts import STARTS

PATH = Path(__file__).parents[2] / "docs" / "reliability.md"

SECTIONS = (BODIES, LENGTHS, HEADS, SMUGGLING, CLIENTS, STARTS, SCRIPTS)
FAULTS = tuple(fault for section in SECTIONS for fault in section.faults)

INTRODUCTION = """\
# Reliability

Written by `python -m tests.reliability`, which does all of this to servers in processes of their
own and puts down what it saw. The tests in `tests/reliability` do the same, and fail where
something else comes of a fault.

After each fault the server is sent a good request on a new connection. It must answer that at once
and rightly, with no worker lost but where the table says so. No fault of a client leaves a
traceback in the log, and in the end every server stops cleanly on SIGTERM.

What a script has leaked is not given back: its worker goes on with the memory that is left, and is
replaced when the kernel kills it.
"""


def page(outcome: Callable[[Fault], str]) -> str:
    """The page, with the outcome of each fault."""
    return "\n".join([INTRODUCTION, *(_section(section, outcome) for section in SECTIONS)])


def _section(section: Section, outcome: Callable[[Fault], str]) -> str:
    return "\n".join(_lines(section, outcome)) + "\n"


def _lines(section: Section, outcome: Callable[[Fault], str]) -> Iterator[str]:
    yield f"## {section.title}\n"
    if section.about:
        yield f"{section.about}\n"
    yield "| fault | what is sent or done | what comes of it | the next good request |"
    yield "|---|---|---|---|"
    for fault in section.faults:
        yield f"| {fault.name} | {fault.done} | {outcome(fault)} | {fault.aftermath.value} |"

"""Python's bytecode for a package: without it, each start compiles all that is imported."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from serving.bundle import libraries
from serving.bundle.archive import Part

TASK = "/var/task"
"""Where Lambda unpacks a package: the folder that tracebacks name."""


def interpreter(python: str) -> str | None:
    """A Python of that version on this machine; None where there is none."""
    if python == libraries.here():
        return sys.executable
    found = shutil.which(f"python{python}")
    return found if found and _works(found) else None


def _works(program: str) -> bool:
    """Whether a program starts: those of version managers may stand for nothing."""
    done = subprocess.run([program, "-c", ""], capture_output=True, check=False)  # noqa: S603
    return done.returncode == 0


def added(parts: Sequence[Part], program: str, scratch: Path) -> list[Part]:
    """The parts, each with the bytecode of its modules beside them.

    It names a hash of the source that is not checked: times in a zip are not those of the source.
    What does not compile has none, and fails where it is imported.

    Args:
        parts: Of the package.
        program: The interpreter of the Python that will import them.
        scratch: A folder that does not exist yet, to compile in.
    """
    for part in parts:
        for name, content in part.files.items():
            if name.endswith(".py"):
                path = scratch / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    options = ["--invalidation-mode", "unchecked-hash", "-s", str(scratch), "-p", TASK, "-qq"]
    subprocess.run(  # noqa: S603 - Python's own compiler, on what goes into the package
        [program, "-S", "-m", "compileall", *options, str(scratch)],
        env={"PYTHONHASHSEED": "0"},  # equal sources give equal bytes
        check=False,
    )
    return [_with_bytecode(part, scratch) for part in parts]


def _with_bytecode(part: Part, scratch: Path) -> Part:
    files = dict(part.files)
    for name in part.files:
        if name.endswith(".py"):
            source = scratch / name
            for compiled in (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc"):
                files[compiled.relative_to(scratch).as_posix()] = compiled
    return Part(part.name, files)

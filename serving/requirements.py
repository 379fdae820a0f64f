"""A model's own requirements: ``requirements.txt`` by its script, installed before it loads.

What is installed already and fits is used; only what is missing goes into a folder that belongs to
these requirements, so that models do not get in each other's way and the installation may be
read-only. A ``requirements`` folder of wheels beside the file takes the place of an index: a site
without one puts the wheels into the archive.
"""

import hashlib
import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from serving.errors import ModelLoadError

log = logging.getLogger("serving")

FILE = "requirements.txt"
WHEELS = "requirements"
COMPLETE = ".complete"
LAST_LINES = 3
"""Lines of pip's output that an error has; the log has all of them."""


def site(folder: Path, cache: Path) -> Path | None:
    """Where the requirements in a script's folder are installed; None where it has none.

    The name is made from the requirements' text, the wheels by their side and the Python that takes
    them, so that equal ones share a folder and changed ones get another.
    """
    file = folder / FILE
    if not file.is_file():
        return None
    digest = hashlib.sha256(file.read_bytes() + sys.version.encode())
    for wheel in _wheels(folder):
        with wheel.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        digest.update(f"{wheel.name} {content}".encode())
    return cache / "requirements" / digest.hexdigest()[:32]


def install(folder: Path, cache: Path) -> None:
    """Install the requirements in a script's folder, unless they are installed.

    Raises:
        ModelLoadError: pip fails; the message has the end of what it said.
    """
    target = site(folder, cache)
    if target is None or (target / COMPLETE).exists():
        return
    log.info("installing %s", folder / FILE)
    source = ["--no-index", "--find-links", str(folder / WHEELS)] if _wheels(folder) else []
    missing = _missing(folder, source)
    target.mkdir(parents=True, exist_ok=True)
    if missing:
        # Dependencies are among them; pip would else install those again that are there already.
        _pip("install", "--no-deps", "--upgrade", "--target", str(target), *source, *missing)
    (target / COMPLETE).touch()
    log.info("installed %s", ", ".join(missing) or "nothing: all requirements were there")


def _missing(folder: Path, source: Sequence[str]) -> list[str]:
    """What pip would install, the dependencies included, each as an exact requirement."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        options = ["--dry-run", "--report", str(report), "--requirement", str(folder / FILE)]
        _pip("install", *options, *source)
        return [_exact(item) for item in json.loads(report.read_text())["install"]]


def _exact(item: dict[str, Any]) -> str:
    name, version = item["metadata"]["name"], item["metadata"]["version"]
    return f"{name} @ {item['download_info']['url']}" if item["is_direct"] else f"{name}=={version}"


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", *arguments, "--quiet", "--no-input"]
    done = subprocess.run(  # noqa: S603 - the arguments are the model's owner's
        [*command, "--disable-pip-version-check", "--root-user-action", "ignore"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        log.error("pip failed:\n%s", done.stderr)
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines
        raise ModelLoadError(
            f"The requirements in {FILE} cannot be installed: {' '.join(errors[-LAST_LINES:])}"
        )


def _wheels(folder: Path) -> list[Path]:
    return sorted((folder / WHEELS).glob("*.whl"))

"""Packages for Lambda@Edge: a model with what serves it, or the router to a server elsewhere."""

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from serving import compat, configuration
from serving.archives.staging import staged
from serving.bundle import bytecode, libraries, modules, trial
from serving.bundle.archive import Part, Size, write
from serving.bundle.model import collect
from serving.errors import ArchiveError, SettingError
from serving.hosts.edge import handler, router
from serving.settings import Settings

HOST = "serving.hosts.edge.handler"
FUNCTION = "lambda_function.py"
"""Lambda's default: the handler is lambda_function.lambda_handler."""

PROGRAM = b'''"""What Lambda calls."""

from pathlib import Path

from serving.hosts.edge.handler import load

lambda_handler = load(Path(__file__).parent).answer
'''

ALWAYS = ("numpy", "orjson")
RUNTIME = "onnxruntime"

NOT_THERE = {
    "multi_model": "it serves one model",
    "repository": "it serves one model",
    "sessions": "its environments share no folder",
    "async_output": "it answers at once",
    "emf_namespace": "CloudWatch has the function's own metrics",
}
"""Settings for what cannot be done at the edge, and why."""

NOT_TAKEN = {"base_dir", "model", "code", "cache", "workers", "threads", "canary"}
"""Settings that the package decides itself. A canary asks a server that is there all the time."""


PORTS = {"http": 80, "https": 443}

PYTHON = re.compile(r"3\.\d+")


class Built(NamedTuple):
    """A package that was written."""

    sizes: list[Size]
    """Of each part, and of all together."""
    python: str
    """The version of Python that it is for."""
    compiled: bool
    """Whether it has bytecode; a start takes seconds longer without."""
    tried: bool
    """Whether an interpreter here has run it."""
    parity: list[str]
    """What the comparisons of converted models have shown."""
    variables: Mapping[str, str]
    """The settings in it."""


def build(
    model: Path,
    settings: Settings,
    environment: Mapping[str, str],
    output: Path,
    *,
    python: str = "",
    sample: Path | None = None,
) -> Built:
    """Write the package of a model.

    Args:
        model: The model's folder.
        settings: All settings.
        environment: Where they came from: those in it go into the package.
        output: The zip to write; an older one is replaced when the new one has been tried out.
        python: The version that will run it; by default `libraries.usual`.
        sample: A file with rows for the comparison of a model that is converted.

    Raises:
        SettingError: a setting asks for what cannot be done at the edge.
        ModelLoadError: the model cannot be served there; says why.
        ArchiveError: the package would be too large, or does not work.
    """
    python = python or libraries.usual()
    if not PYTHON.fullmatch(python):
        raise SettingError(f"--python {python!r} is not allowed; it takes a version such as 3.13.")
    variables, files = _settings(environment)
    with tempfile.TemporaryDirectory() as scratch:
        alone = replace(settings, workers=1, threads=1)  # as the handler has it
        made = collect(model, alone, sample, Path(scratch))
        names = (*ALWAYS, RUNTIME) if made.runs_onnx else ALWAYS
        parts = [
            Part("model", {f"{handler.MODEL}/{name}": each for name, each in made.files.items()}),
            Part("serving", {**_core(names), **files}),
            *libraries.collect(names, python, Path(scratch, "libraries")),
        ]
        program = bytecode.interpreter(python)
        if program is not None:
            parts = bytecode.added(parts, program, Path(scratch, "compiled"))
        tried = python == libraries.here()
        sizes = _write(parts, output, Path(scratch, "trial") if tried else None)
    return Built(sizes, python, program is not None, tried, made.parity, variables)


def forward(url: str, output: Path) -> list[Size]:
    """Write the package of the router to the server at ``url``.

    Raises:
        SettingError: it is no address of a server.
        ArchiveError: the package cannot be written.
    """
    module = Path(router.__file__).read_bytes()
    address = json.dumps(_address(url)).encode()
    return _write([Part("router", {FUNCTION: module, router.ADDRESS_FILE: address})], output, None)


def _write(parts: list[Part], output: Path, trial_folder: Path | None) -> list[Size]:
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with staged(output) as scratch:
            sizes = write(parts, scratch)
            if trial_folder is not None:
                trial.run(scratch, trial_folder)
            scratch.replace(output)
    except OSError as error:
        raise ArchiveError(f"{output} cannot be written: {error}.") from error
    return sizes


def _core(names: tuple[str, ...]) -> dict[str, Path | bytes]:
    """What serves, with the stand-ins that scripts import, and the function."""
    paths = [*modules.needed(HOST, names), *compat.FOLDER.rglob("*.py")]
    files: dict[str, Path | bytes] = {
        path.relative_to(modules.ROOT).as_posix(): path for path in paths
    }
    return {**files, FUNCTION: PROGRAM}


def _settings(
    environment: Mapping[str, str],
) -> tuple[dict[str, str], dict[str, Path | bytes]]:
    """The variables that go into the package, and the files that go with them."""
    variables, files = {}, dict[str, Path | bytes]()
    for origin in configuration.explain(environment):
        if origin.name in NOT_THERE and origin.value:
            reason = NOT_THERE[origin.name]
            raise SettingError(f"{origin.source} is of no use at the edge: {reason}.")
        if origin.source not in environment or origin.name in NOT_TAKEN:
            continue
        variables[origin.source] = environment[origin.source]
        if origin.name in handler.FILES:
            source = Path(environment[origin.source])
            variables[origin.source] = name = f"{origin.name}{source.suffix}"
            files[name] = source
    written = json.dumps(variables, indent=2, sort_keys=True) + "\n"
    return variables, {**files, handler.SETTINGS: written.encode()}


def _address(url: str) -> dict[str, str | int]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SettingError(f"--forward {url!r} is no address: {error}.") from error
    beside = parts.query or parts.fragment or parts.username or parts.password
    if parts.scheme not in PORTS or not parts.hostname or beside:
        raise SettingError(
            f"--forward {url!r} is not allowed; it takes an address such as "
            "https://models.example.com/path, without a query or a user."
        )
    return {
        "scheme": parts.scheme,
        "host": parts.hostname,
        "port": port or PORTS[parts.scheme],
        "path": parts.path.rstrip("/"),
    }

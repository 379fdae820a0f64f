"""The model in a package: its files as they are, but for boosters, which become ONNX models."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from serving import engines
from serving.archives.pack import SKIPPED
from serving.compilation import conversion
from serving.engines import booster_files, programs
from serving.errors import ArchiveError, ModelLoadError, SettingError
from serving.requirements import FILE as REQUIREMENTS
from serving.requirements import WHEELS
from serving.settings import Settings

LIBRARIES = {"numpy", "onnxruntime", "orjson"}
"""What a script's requirements may name."""

_NAME = re.compile(r"\s*([A-Za-z0-9._-]+)")


class Collected(NamedTuple):
    """A model's files."""

    files: dict[str, Path | bytes]
    """By their path in the model's folder."""
    runs_onnx: bool
    """Whether ONNX Runtime predicts."""
    parity: list[str]
    """What the comparisons of converted models have shown, in words."""


def collect(folder: Path, settings: Settings, sample: Path | None, scratch: Path) -> Collected:
    """The files of the model in ``folder``, fit for a package without XGBoost or PyTorch.

    Args:
        folder: The model's folder.
        settings: All settings.
        sample: A file with rows for which a converted model is compared besides made-up ones.
        scratch: A folder for what is converted.

    Raises:
        ModelLoadError: the model cannot be served at the edge, or not be converted.
        SettingError: there is a sample, and nothing to compare.
    """
    program = programs.find(folder, settings)
    if program is not None:
        _check_requirements(program.parent)
    engine = _engine(folder, settings, program)
    files: dict[str, Path | bytes] = dict(_walk(folder))
    if program is not None:
        files |= {f"{programs.FOLDER}/{name}": path for name, path in _walk(program.parent)}
    boosters = [] if engine != "xgboost" else _boosters(folder, settings)
    if sample is not None and not boosters:
        raise SettingError("--sample is for XGBoost models, which are converted; this is none.")
    made = conversion.convert(boosters, settings, sample, scratch)
    files |= {name: booster.content for name, booster in made.items()}
    for path in boosters:
        del files[path.name]
    parity = [sentence for booster in made.values() for sentence in booster.parity]
    return Collected(files, engine != "", parity)


def _engine(folder: Path, settings: Settings, program: Path | None) -> str:
    """The name of the engine; none where a script is all there is."""
    try:
        engine, _ = engines.recognise(folder, settings)
    except ModelLoadError:
        if program is None:
            raise
        return ""
    if engine.name not in ("xgboost", "onnx"):
        raise ModelLoadError(
            f"Models of the {engine.name} engine cannot be served at the edge: its library takes "
            "more than a package may have. Save the model as ONNX, or serve it elsewhere, with "
            "--forward URL here."
        )
    if engine.name == "xgboost" and program is not None:
        raise ModelLoadError(
            f"{program.name} goes with an XGBoost model, which is converted to ONNX for the edge; "
            "a script cannot work with it there. Leave out the script, or save the model as ONNX."
        )
    return engine.name


def _boosters(folder: Path, settings: Settings) -> list[Path]:
    _, files = engines.recognise(folder, settings)
    return booster_files.unconverted(files)


def _check_requirements(code: Path) -> None:
    file = code / REQUIREMENTS
    lines = file.read_text().splitlines() if file.is_file() else []
    wanted = {line.partition("#")[0].strip() for line in lines} - {""}
    others = sorted(line for line in wanted if _name(line) not in LIBRARIES)
    if others:
        raise ModelLoadError(
            f"{REQUIREMENTS} asks for {', '.join(others)}; a package for the edge has "
            f"{', '.join(sorted(LIBRARIES))} and nothing else."
        )


def _name(requirement: str) -> str:
    found = _NAME.match(requirement)
    return found[1].lower() if found else ""


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files in a folder by their paths in it, but for caches and what pip would install."""
    for directory, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if name not in {*SKIPPED, WHEELS})
        for name in sorted(names):
            path = Path(directory, name)
            if name in SKIPPED or name == REQUIREMENTS:
                continue
            if not path.is_file():
                raise ArchiveError(f"{path} is no file; remove it.")
            yield path.relative_to(folder).as_posix(), path

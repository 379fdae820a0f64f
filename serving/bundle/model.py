"""The model in a package: its files as they are, but for boosters, which become ONNX models."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving import engines, media
from serving.archives.pack import SKIPPED
from serving.engines import script, xgboost
from serving.engines.base import CONVERTED
from serving.errors import ArchiveError, ModelLoadError, SettingError
from serving.requirements import FILE as REQUIREMENTS
from serving.requirements import WHEELS
from serving.settings import Settings
from serving.values import Payload, Request

LIBRARIES = {"numpy", "onnxruntime", "orjson"}
"""What a script's requirements may name."""

SAMPLES = {suffix: kind for suffix, kind in media.BY_SUFFIX.items() if kind in xgboost.READS}

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
    program = script.find(folder, settings)
    if program is not None:
        _check_requirements(program.parent)
    engine = _engine(folder, settings, program)
    files: dict[str, Path | bytes] = dict(_walk(folder))
    if program is not None:
        files |= {f"{script.FOLDER}/{name}": path for name, path in _walk(program.parent)}
    boosters = [] if engine != "xgboost" else _unconverted(folder, settings)
    if sample is not None and not boosters:
        raise SettingError("--sample is for XGBoost models, which are converted; this is none.")
    parity = []
    for path in boosters:
        if not settings.ensemble and path != boosters[0]:
            continue
        content, told = _convert(path, settings, sample, scratch)
        files[f"{path.name}{CONVERTED}"] = content
        parity += told
    for path in boosters:
        del files[path.name]
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


def _unconverted(folder: Path, settings: Settings) -> list[Path]:
    _, files = engines.recognise(folder, settings)
    return [path for path in files if not path.name.endswith(CONVERTED)]


def _convert(
    path: Path, settings: Settings, sample: Path | None, scratch: Path
) -> tuple[bytes, list[str]]:
    """A booster as ONNX, and how alike their answers are."""
    try:
        from serving.compilation import parity
        from serving.compilation.boosters import to_onnx
        from serving.engines import boosters, converted
    except ImportError as error:
        raise ModelLoadError(
            f"To convert {path.name} to ONNX needs more than is installed ({error}); install it "
            "with: pip install 'hybrid-serving[edge,xgboost]'."
        ) from error

    booster = boosters.read(path, settings)
    content = to_onnx(booster)
    file = scratch / f"{path.name}{CONVERTED}"
    file.write_bytes(content)
    model = xgboost.of_boosters([booster], settings)

    def expected(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        scores: NDArray[np.float32]
        scores = model.predict(Payload(rows, len(rows))).outputs[xgboost.OUTPUT]
        return scores

    found = converted.read(file, settings).predict
    rows = {"the made-up rows": parity.made_up(booster)}
    if sample is not None:
        rows[sample.name] = model.decode(_request(sample)).data
    told = []
    for source, table in rows.items():
        shown = parity.check(expected, found, table, source)
        told.append(
            f"{path.name}: {shown.equal} of {shown.rows} answers to {source} are the same to the "
            f"last bit; the largest difference is {shown.difference:.2g}"
        )
    return content, told


def _request(sample: Path) -> Request:
    kind = SAMPLES.get(sample.suffix.lower())
    if kind is None:
        raise SettingError(f"--sample {str(sample)!r} does not end in one of {', '.join(SAMPLES)}.")
    try:
        body = sample.read_bytes()
    except OSError as error:
        raise SettingError(f"--sample {str(sample)!r} cannot be read: {error.strerror}.") from error
    return Request("POST", "/invocations", {"content-type": kind}, body)


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

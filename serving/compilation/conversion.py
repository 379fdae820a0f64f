"""XGBoost models into ones that ONNX Runtime serves, with their answers compared.

The XGBoost engine serves what is made, so media types, statuses and shapes stay the same.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving import engines
from serving.compilation import folders, samples, timing
from serving.engines import script, xgboost
from serving.engines.base import CONVERTED
from serving.errors import ModelLoadError
from serving.settings import Settings
from serving.values import Payload

SIZES = (1, 32, 1024)
"""Rows of the calls that are timed."""

Rows = NDArray[np.float32]


class Booster(NamedTuple):
    """A booster that was converted."""

    content: bytes
    """The ONNX model."""
    parity: list[str]
    """What the comparisons have shown, in words."""
    rows: Rows
    """Rows that it was compared for: the sample's, or else made-up ones."""


class Speed(NamedTuple):
    """Median times of predictions of so many rows, in seconds."""

    rows: int
    before: float
    after: float


class Made(NamedTuple):
    """A model directory that was made."""

    folder: Path
    files: list[str]
    """The ONNX models in it."""
    parity: list[str]
    speed: list[Speed]
    """Of XGBoost and of ONNX Runtime."""


def convert_model(folder: Path, output: Path, settings: Settings, sample: Path | None) -> Made:
    """Make a model directory with ONNX models of one with boosters.

    What else is in the directory is copied. Of several boosters that answer together, all are
    converted; where the first answers alone, the others are left out.

    Args:
        folder: The model directory.
        output: The directory to make.
        settings: How the model is loaded.
        sample: A file with rows to compare besides made-up ones.

    Raises:
        SettingError: there is an output already, or the sample does not fit the model.
        ModelLoadError: there is no XGBoost model, or it goes with a script, or it cannot be
            converted, or the answers differ; names the worst row.
    """
    program = script.find(folder, settings)
    if program is not None:
        raise ModelLoadError(
            f"{program.name} goes with the model in {folder}. A script cannot work with a "
            "converted one, which is no Booster; leave out the script, or serve the model as it is."
        )
    engine, files = engines.recognise(folder, settings)
    found = unconverted(files)
    if engine.name != "xgboost" or not found:
        kind = "onnx" if engine.name == "xgboost" else engine.name
        raise ModelLoadError(
            f"{folder} has a model of the {kind} engine ({files[0].name}); --onnx converts "
            "XGBoost models."
        )
    with folders.copied(folder, output, [path.name for path in found]) as place:
        made = convert(found, settings, sample, place)
        paths = [place / name for name in made]
        speed = _compare_speed(files, paths, settings, next(iter(made.values())).rows)
    told = [sentence for each in made.values() for sentence in each.parity]
    return Made(output, list(made), told, speed)


def unconverted(files: Sequence[Path]) -> list[Path]:
    """Those files of the XGBoost engine that are no ONNX models."""
    return [path for path in files if not path.name.endswith(CONVERTED)]


def convert(
    paths: Sequence[Path], settings: Settings, sample: Path | None, place: Path
) -> dict[str, Booster]:
    """Convert the boosters that answer, and compare each.

    Args:
        paths: The boosters of a model directory.
        settings: How they are loaded, and whether all of them answer.
        sample: A file with rows to compare besides made-up ones.
        place: The folder to write the ONNX models to.

    Returns:
        The boosters by the names of their new files.

    Raises:
        SettingError: the sample does not fit.
        ModelLoadError: what converts is not installed, a booster cannot be converted, or the
            answers differ.
    """
    used = paths if settings.ensemble else paths[:1]
    return {f"{path.name}{CONVERTED}": _convert(path, settings, sample, place) for path in used}


def _convert(path: Path, settings: Settings, sample: Path | None, place: Path) -> Booster:
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
    file = place / f"{path.name}{CONVERTED}"
    file.write_bytes(content)
    model = xgboost.of_boosters([booster], settings)

    def expected(rows: Rows) -> Rows:
        scores: Rows = model.predict(Payload(rows, len(rows))).outputs[xgboost.OUTPUT]
        return scores

    found = converted.read(file, settings).predict
    tables = {"the made-up rows": parity.made_up(booster)}
    if sample is not None:
        tables[sample.name] = samples.decoded(samples.request(sample), model)
    told = []
    for source, table in tables.items():
        shown = parity.check(expected, found, table, source)
        told.append(
            f"{path.name}: {shown.equal} of {shown.rows} answers to {source} are the same to the "
            f"last bit; the largest difference is {shown.difference:.2g}"
        )
    return Booster(content, told, table)


def _compare_speed(
    before: list[Path], after: list[Path], settings: Settings, rows: Rows
) -> list[Speed]:
    models = [xgboost.load(files, settings) for files in (before, after)]

    def call(model: Any, size: int) -> Any:
        table = np.resize(rows, (size, rows.shape[1]))
        return partial(model.predict, Payload(table, size))

    return [Speed(size, *timing.medians([call(each, size) for each in models])) for size in SIZES]

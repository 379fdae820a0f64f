"""XGBoost models made such that ONNX Runtime can serve them too, with their answers compared.

The XGBoost engine serves what is made, so media types, statuses and shapes stay the same.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from serving import engines
from serving.compilation import folders, samples, timing
from serving.compilation.timing import Speed
from serving.engines import booster_files, conversion_manifest, onnx, programs, xgboost
from serving.engines.agreement import Agreement, Rows
from serving.engines.base import CONVERTED, XGBOOST
from serving.engines.conversion_manifest import Manifest
from serving.errors import ModelLoadError
from serving.settings import Settings
from serving.values import Payload

SIZES = (1, 32, 1024)
"""Rows of the calls that are timed."""


class Booster(NamedTuple):
    """A booster that was converted."""

    path: Path
    """Of the booster."""
    content: bytes
    """The ONNX model."""
    compared: dict[str, Agreement]
    """What the comparisons have shown, by what the rows are called."""
    rows: Rows
    """Some of the rows that were compared, the sample's first."""

    @property
    def parity(self) -> list[str]:
        """What the comparisons have shown, in words."""
        return [
            f"{self.path.name}: {shown.equal} of {shown.rows} answers to {source} are the same to "
            f"the last bit; the largest difference is {shown.difference:.2g}"
            for source, shown in self.compared.items()
        ]


class Made(NamedTuple):
    """A model directory that was made."""

    folder: Path
    files: list[str]
    """The ONNX models in it."""
    parity: list[str]
    speed: list[Speed]
    """Of XGBoost and of ONNX Runtime."""
    libraries: str
    """Which of the two a server on this machine would use, in words."""


def convert_model(folder: Path, output: Path, settings: Settings, sample: Path | None) -> Made:
    """Make a model directory with boosters and their ONNX models of one with boosters.

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
    program = programs.find(folder, settings)
    if program is not None:
        raise ModelLoadError(
            f"{program.name} goes with the model in {folder}. A script cannot work with a "
            "converted one, which is no Booster; leave out the script, or serve the model as it is."
        )
    engine, files = engines.recognise(folder, settings)
    found = booster_files.unconverted(files)
    if engine.name != XGBOOST or not found:
        kind = "onnx" if engine.name == XGBOOST else engine.name
        raise ModelLoadError(
            f"{folder} has a model of the {kind} engine ({files[0].name}); --onnx converts "
            "XGBoost models."
        )
    used = found if settings.ensemble else found[:1]
    left_out = [path.name for path in files if path not in used]
    with folders.copied(folder, output, left_out) as place:
        made = convert(used, settings, sample, place)
        for name, booster in made.items():
            (place / name).write_bytes(_with_manifest(booster))
        speed = _compare_speed(place, settings, next(iter(made.values())).rows)
        libraries = engines.load(place, replace(settings, engine="")).libraries
    told = [sentence for each in made.values() for sentence in each.parity]
    return Made(output, list(made), told, speed, libraries)


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
    content = to_onnx(booster.package())
    file = place / f"{path.name}{CONVERTED}"
    file.write_bytes(content)
    model = xgboost.of_boosters([booster], settings)

    def expected(rows: Rows) -> Rows:
        scores: Rows = model.predict(Payload(rows, len(rows))).outputs[xgboost.OUTPUT]
        return scores

    found = converted.read(file, settings).predict
    tables = {"the made-up rows": parity.made_up(booster.package())}
    if sample is not None:
        tables[sample.name] = samples.decoded(samples.request(sample), model)
    compared = {
        source: parity.check(expected, found, table, source) for source, table in tables.items()
    }
    rows = conversion_manifest.chosen(*reversed(tables.values()))
    return Booster(path, content, compared, rows)


def _with_manifest(booster: Booster) -> bytes:
    """The ONNX model with what it has to say of its conversion."""
    import onnx as library

    from serving.compilation import parity

    manifest = Manifest(
        booster.path.name,
        conversion_manifest.checksum(booster.path),
        parity.TOLERANCE,
        max(shown.difference for shown in booster.compared.values()),
        booster.rows,
    )
    model = library.load_model_from_string(booster.content)
    model.metadata_props.add(key=conversion_manifest.KEY, value=conversion_manifest.write(manifest))
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _compare_speed(place: Path, settings: Settings, rows: Rows) -> list[Speed]:
    models = [
        engines.load(place, replace(settings, engine=engine))
        for engine in (XGBOOST, onnx.ENGINE.name)
    ]
    speed = []
    for size in SIZES:
        payload = Payload(np.resize(rows, (size, rows.shape[1])), size)
        times = timing.medians([partial(model.predict, payload) for model in models])
        speed.append(Speed(timing.counted(size), *times))
    return speed

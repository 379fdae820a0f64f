"""XGBoost's files in a model directory: which there are, and which belong together."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from serving.engines.base import CONVERTED
from serving.errors import ModelLoadError

NAME = "xgboost-model"
"""What SageMaker's training writes, in whichever of the library's formats."""

SUFFIXES = {".ubj", ".xgb", ".bst", ".model"}


class Answering(NamedTuple):
    """The files of one model."""

    boosters: list[Path]
    conversions: list[Path]
    """Of those boosters, as many as have one; where there are no boosters, all that answer."""


def files(folder: Path) -> list[Path]:
    """The boosters in a model directory, and those in ONNX's format."""
    return sorted(path for path in folder.iterdir() if path.is_file() and _is_ours(path))


def _is_ours(path: Path) -> bool:
    return _is_booster(path) or conversion(path).is_file()  # as a pickle's may be


def conversion(booster: Path) -> Path:
    """Where the conversion of a booster is, if there is one."""
    return booster.with_name(booster.name + CONVERTED)


def is_converted(path: Path) -> bool:
    """Whether a file is a booster in ONNX's format, by its name."""
    return path.name.endswith(CONVERTED)


def unconverted(paths: Iterable[Path]) -> list[Path]:
    """Those files that are in XGBoost's own formats."""
    return [path for path in paths if not is_converted(path)]


def answering(paths: Sequence[Path], *, together: bool) -> Answering:
    """Of a directory's files those that answer.

    Args:
        paths: What ``files`` found, or pickles.
        together: Whether several boosters answer together; else the first does.

    Raises:
        ModelLoadError: there are boosters, and a conversion that is of none of them.
    """
    boosters = unconverted(paths)
    conversions = [path for path in paths if is_converted(path)]
    if not boosters:
        return Answering([], conversions if together else conversions[:1])
    strangers = set(conversions) - {conversion(path) for path in boosters}
    if strangers:
        raise ModelLoadError(
            f"{min(strangers).name} goes with none of the boosters here, "
            f"{', '.join(path.name for path in boosters)}. Remove it, or add the booster that it "
            "was made of."
        )
    used = boosters if together else boosters[:1]
    return Answering(used, [each for path in used if (each := conversion(path)) in conversions])


def _is_booster(path: Path) -> bool:
    if path.name == NAME or path.suffix in SUFFIXES or is_converted(path):
        return True
    if path.suffix not in (".json", "") or path.name.startswith("."):
        return False
    # The container loads files of any name; a booster's begins with the object "learner".
    return b"learner" in _first_bytes(path)


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(65536)

"""Archives of one model under many names."""

import shutil
import tarfile
from pathlib import Path


def make(model: Path, folder: Path, count: int) -> list[str]:
    """Write that many archives of a model file, and return their names."""
    first = folder / name(0)
    with tarfile.open(first, "w:gz") as archive:
        archive.add(model, model.name)
    for number in range(1, count):
        shutil.copyfile(first, folder / name(number))
    return [name(number) for number in range(count)]


def name(number: int) -> str:
    """The name of an archive."""
    return f"model-{number:04}.tar.gz"

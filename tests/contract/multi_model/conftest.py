"""A server of many models, and the models beside it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract import heavy
from tests.contract.files import read, write
from tests.contract.many import Many, platform
from tests.contract.multi_model.support import ODD_NAMES
from tests.contract.places import Place


@pytest.fixture(scope="session")
def hosted(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models as the platform lays them down: NAME/model, and files in that."""
    root = tmp_path_factory.mktemp("hosted")
    for name, folder in models.items():
        write(root / name / "model", read(folder))
    for name in ODD_NAMES:
        write(root / name / "model", read(models["stump"]))
    write(root / "onnx table" / "model", heavy.onnx_table(7, 12))
    write(root / "another" / "model", heavy.onnx_table(8, 12))
    write(root / "torch table" / "model", heavy.torch_table(9, 12))
    write(root / "forest" / "model", heavy.forest())
    return root


@pytest.fixture
def many(place: Place, hosted: Path) -> Iterator[Many]:
    """A server without a model, which tests share: what one loads leaves with it."""
    server = platform(place, hosted)
    yield server
    for name in server.names:
        assert server.unload(name).status == 200

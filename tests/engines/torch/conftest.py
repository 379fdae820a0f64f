"""An exported program, which the tests of several modules read."""

from pathlib import Path

import pytest
import torch
from torch.export import Dim

from tests.engines.torch.support import Net, export


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model.pt2"
    return export(path, Net(), torch.zeros(2, 4), dynamic=({0: Dim("rows")},))

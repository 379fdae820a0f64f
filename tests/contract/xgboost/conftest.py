"""A server of the stump."""

from pathlib import Path

import pytest

from tests.contract.boosters import raw
from tests.contract.conftest import MakeModel
from tests.contract.places import Place
from tests.models import stump
from tests.support import Server


@pytest.fixture(scope="session")
def stump_model(make_model: MakeModel) -> Path:
    return make_model({"model.json": raw(stump(), "json")})


@pytest.fixture
def server(place: Place, stump_model: Path) -> Server:
    return place.serve(stump_model)

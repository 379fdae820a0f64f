"""Batchers, closed in the end."""

from collections.abc import Iterator
from typing import Any

import pytest

from serving.batching import Cost
from serving.model import Model
from tests.batching.support import Desk, DeskOf


@pytest.fixture
def desk_of() -> Iterator[DeskOf]:
    """Opens desks, and closes them in the end."""
    desks: list[Desk] = []

    def open_desk(model: Model, cost: Cost, **options: Any) -> Desk:
        desks.append(Desk(model, cost, **options))
        return desks[-1]

    yield open_desk
    for desk in desks:
        desk.batcher.close()

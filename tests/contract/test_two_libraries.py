"""A package with a booster and its conversion: the whole server answers the same by either."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.compilation import timing
from serving.compilation.conversion import convert_model
from tests.conftest import MakeSettings
from tests.contract.boosters import ROWS, trained
from tests.contract.cases import CSV, post
from tests.contract.places import Place

SIZES = (1, 2, 7, 60)
ENGINES = ("xgboost", "onnx", "")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, make_settings: MakeSettings) -> Iterator[Path]:
    """A directory that ``serving compile --onnx`` has made."""
    folder = tmp_path_factory.mktemp("booster")
    trained("binary:logistic").save_model(folder / "model.ubj")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "SECONDS", 0.0)
        yield convert_model(folder, folder.parent / "both", make_settings(), None).folder


def rows(count: int) -> bytes:
    return "\n".join(",".join(map(repr, row)) for row in ROWS[:count].tolist()).encode()


def test_each_library_answers_with_the_same_bytes(place: Place, both: Path) -> None:
    bodies = [rows(count) for count in SIZES]
    found = []
    for engine in ENGINES:
        server = place.serve(both, SERVING_ENGINE=engine, SERVING_THREADS="1")
        answers = [server.ask(post(body, CSV)) for body in bodies]
        assert {answer.status for answer in answers} == {200}
        found.append([answer.body for answer in answers])
    assert found[0] == found[1] == found[2]


def test_requests_that_share_a_batch_get_the_answers_that_each_gets_alone(
    place: Place, both: Path
) -> None:
    server = place.serve(both, SERVING_ENGINE="", SERVING_THREADS="1")
    bodies = [rows(count) for count in SIZES] * 8
    alone = {body: server.ask(post(body, CSV)).body for body in bodies}
    with ThreadPoolExecutor(16) as clients:
        together = list(clients.map(lambda body: server.ask(post(body, CSV)).body, bodies))
    assert together == [alone[body] for body in bodies]


def test_the_log_says_which_library_answers_what(place: Place, both: Path) -> None:
    server = place.serve(both, SERVING_ENGINE="", SERVING_THREADS="1")
    (line,) = [line for line in server.log.splitlines() if "answers differ by" in line]
    assert "XGBoost for" in line

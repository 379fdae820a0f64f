"""A site in a thread of its own answers as the core does, from whatever thread it is asked."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.entry import State
from serving.errors import SettingError
from serving.hosts.background import Background
from serving.values import Request
from tests.conftest import MakeSettings
from tests.contract.cases import CASES, Case
from tests.contract.conftest import Ask
from tests.support import PATIENCE, Answer


@pytest.fixture(scope="module")
def sites(models: dict[str, Path], make_settings: MakeSettings) -> Iterator[dict[str, Background]]:
    found = {name: Background(make_settings(), folder) for name, folder in models.items()}
    for site in found.values():
        site.settled(PATIENCE)
    yield found
    for site in found.values():
        site.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.model}: {case.name}")
def test_a_background_site_answers_as_the_core_does(
    case: Case, sites: dict[str, Background], core: Ask
) -> None:
    answer = sites[case.model].ask(case.request)
    body = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
    assert Answer(answer.status, dict(answer.headers), body) == core(case.model, case.request)


def test_threads_share_one_model(sites: dict[str, Background]) -> None:
    request = Request("POST", "/invocations", {"content-type": "text/csv"}, b"0,5\n2,5\n")
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: sites["stump"].ask(request), range(200)))
    assert {answer.body for answer in answers} == {b"1.0\n3.0\n"}


def test_a_model_that_cannot_be_loaded_has_failed_with_the_reason(
    sites: dict[str, Background],
) -> None:
    state, reason = sites["broken"].settled(PATIENCE)
    assert state is State.FAILED
    assert "xgboost-model" in reason


def test_a_wrong_setting_is_an_error_where_the_site_is_made(
    models: dict[str, Path], make_settings: MakeSettings, tmp_path: Path
) -> None:
    with pytest.raises(SettingError, match="SERVING_KEYS"):
        Background(make_settings(keys=str(tmp_path / "none")), models["stump"])

"""A site in the thread that asks: asyncio is there when something is awaited, and not before."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.entry import State
from serving.errors import SettingError
from serving.hosts.alone import Alone
from tests.conftest import MakeSettings
from tests.support import get, post

SCRIPT = """
def model_fn(folder):
    return None

def transform_fn(model, body, content_type, accept):
    return (chunks() if "stream" in str(body) else body), "text/plain"

def chunks():
    yield "one "
    yield "two"
"""


@pytest.fixture
def site(tmp_path: Path, make_settings: MakeSettings) -> Iterator[Alone]:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text(SCRIPT)
    site = Alone(make_settings(), tmp_path)
    assert site.settled() == (State.READY, "")
    yield site
    site.close()


def test_whole_answers_and_streams_follow_one_another(site: Alone) -> None:
    for body, answer in [
        (b"1", b"1"),
        (b"stream", b"one two"),
        (b"2", b"2"),
        (b"stream", b"one two"),
    ]:
        assert site.ask_whole(post(body)).body == answer


def test_the_runtime_api_is_there_without_a_setting(site: Alone) -> None:
    asked = post(b"1")._replace(path="/endpoints/any/invocations")
    assert (site.ask_whole(asked).status, site.ask_whole(post(b"2")).body) == (200, b"2")


def test_the_answer_to_head_has_no_body(site: Alone) -> None:
    assert site.ask_whole(get("/ping")._replace(method="HEAD"))[::2] == (200, b"")


def test_a_model_that_fails_is_told_with_the_reason(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    site = Alone(make_settings(), tmp_path)
    state, reason = site.settled()
    assert state is State.FAILED
    assert "no model this server knows" in reason
    assert site.ask_whole(get("/ping")).status == 503
    site.close()


def test_a_wrong_setting_is_raised(tmp_path: Path, make_settings: MakeSettings) -> None:
    with pytest.raises(SettingError):
        Alone(make_settings(keys=str(tmp_path / "none")), tmp_path)

"""What is made of files: when it is made again, and when it stays as it was."""

import logging
import os
from functools import partial
from pathlib import Path

import pytest

from serving.errors import SettingError
from serving.renewal import LOOK_SECONDS, Renewed


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def look(self) -> None:
        """Let the time pass after which files are looked at."""
        self.now += LOOK_SECONDS


def words(*paths: Path) -> str:
    """What the files say, which may not be nonsense."""
    try:
        said = " ".join(path.read_text() for path in paths)
    except OSError as error:
        raise SettingError(f"{error.filename!r} cannot be read.") from error
    if "nonsense" in said:
        raise SettingError("This is nonsense.")
    return said


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("first")
    return path


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_value_is_made_of_its_files(path: Path) -> None:
    assert Renewed(partial(words, path), [path]).current() == "first"


def test_files_that_are_not_as_they_have_to_be_are_refused_at_first(path: Path) -> None:
    path.write_text("nonsense")
    with pytest.raises(SettingError, match="This is nonsense"):
        Renewed(partial(words, path), [path])


def test_a_file_that_was_written_to_is_read_at_the_next_look(path: Path, clock: Clock) -> None:
    value = Renewed(partial(words, path), [path], clock)
    path.write_text("second")
    assert value.current() == "first"
    clock.look()
    assert value.current() == "second"


def test_a_file_that_was_replaced_is_read(path: Path, tmp_path: Path, clock: Clock) -> None:
    value = Renewed(partial(words, path), [path], clock)
    other = tmp_path / "other"
    other.write_text("other")
    assert other.stat().st_size == path.stat().st_size
    os.utime(other, ns=(0, path.stat().st_mtime_ns))
    other.replace(path)
    clock.look()
    assert value.current() == "other"


def test_each_of_several_files_may_change(path: Path, tmp_path: Path, clock: Clock) -> None:
    other = tmp_path / "other"
    other.write_text("other")
    value = Renewed(partial(words, path, other), [path, other], clock)
    other.write_text("another")
    clock.look()
    assert value.current() == "first another"


def test_files_that_did_not_change_are_not_read_again(path: Path, clock: Clock) -> None:
    made: list[None] = []
    value = Renewed(partial(made.append, None), [path], clock)
    for _ in range(3):
        clock.look()
        value.current()
    assert made == [None]


@pytest.mark.parametrize("content", ["nonsense", None])
def test_a_value_stays_where_none_can_be_made_and_that_is_said_once(
    path: Path, clock: Clock, content: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    value = Renewed(partial(words, path), [path], clock)
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    for _ in range(3):
        clock.look()
        assert value.current() == "first"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("what was read before goes on to be used: ")
    path.write_text("mended")
    clock.look()
    assert value.current() == "mended"

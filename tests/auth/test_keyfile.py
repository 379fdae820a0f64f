"""The file of keys on disk: errors, and who can read it."""

from pathlib import Path

import pytest

from serving.auth import keyfile
from serving.errors import SettingError
from tests.auth.support import KEYS, TEXT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    path.write_text(TEXT)
    return path


def test_a_file_is_read(path: Path) -> None:
    assert keyfile.read(path) == KEYS


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"SERVING_KEYS='.*none' cannot be read: No such file"):
        keyfile.read(tmp_path / "none")


@pytest.mark.parametrize("content", [b"nonsense", b"", b"\xff"])
def test_a_file_that_is_no_file_of_keys_is_named(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(SettingError, match=r"SERVING_KEYS='.*keys.toml' is no file of keys: "):
        keyfile.read(path)


@pytest.mark.parametrize(("mode", "exposed"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_file_that_everybody_may_read_is_exposed(path: Path, mode: int, exposed: bool) -> None:
    path.chmod(mode)
    assert keyfile.exposed(path) is exposed


def test_no_file_is_exposed_where_there_is_none(tmp_path: Path) -> None:
    assert not keyfile.exposed(tmp_path / "none")

"""What a container may use: quotas of both versions of control groups, and a writable folder."""

import os
import pwd
import tempfile
from pathlib import Path

import pytest

from serving.machine import cpu_count, default_cache


@pytest.fixture(autouse=True)
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


def version_2(folder: Path, text: str) -> Path:
    (folder / "cpu.max").write_text(text)
    return folder


def version_1(folder: Path, quota: str, period: str = "100000\n") -> Path:
    (folder / "cpu").mkdir()
    (folder / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (folder / "cpu" / "cpu.cfs_period_us").write_text(period)
    return folder


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("10000 100000\n", 1),
        ("50000 50000\n", 1),
        ("1600000 100000\n", 8),
        ("max 100000\n", 8),
        ("", 8),
        ("nonsense", 8),
    ],
)
def test_the_quota_of_version_2_is_rounded_up(text: str, count: int, tmp_path: Path) -> None:
    assert cpu_count(version_2(tmp_path, text)) == count


@pytest.mark.parametrize(
    ("quota", "count"), [("300000\n", 3), ("250000\n", 3), ("1000\n", 1), ("-1\n", 8), ("", 8)]
)
def test_so_is_that_of_version_1(quota: str, count: int, tmp_path: Path) -> None:
    assert cpu_count(version_1(tmp_path, quota)) == count


def test_without_control_groups_the_affinity_counts(tmp_path: Path) -> None:
    assert cpu_count(tmp_path / "absent") == 8


def test_the_affinity_is_a_limit_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5})
    assert cpu_count(version_2(tmp_path, "400000 100000")) == 1


def test_the_cache_is_in_the_users_cache_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert default_cache() == tmp_path / "caches" / "hybrid-serving"


def test_by_default_that_is_in_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache() == tmp_path / ".cache" / "hybrid-serving"
    assert list(tmp_path.iterdir()) == []


def test_where_it_cannot_be_written_the_temporary_folder_takes_its_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and Path(path).exists())
    assert default_cache() == Path(tempfile.gettempdir()) / "hybrid-serving"


def test_a_home_that_may_not_be_looked_into_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/root/.cache")

    def forbidden(_path: Path, **_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "stat", forbidden)
    monkeypatch.setattr(os, "access", lambda path, mode: mode == os.F_OK and str(path) == "/root")
    assert default_cache() == Path(tempfile.gettempdir()) / "hybrid-serving"


def test_a_user_without_a_home_has_the_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)

    def unknown(_uid: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert default_cache() == Path(tempfile.gettempdir()) / "hybrid-serving"

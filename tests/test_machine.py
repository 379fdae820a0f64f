"""What a container may use: quotas of both versions of control groups, and a writable folder."""

import os
import pwd
import tempfile
from pathlib import Path

import pytest

from serving.machine import (
    cpu_count,
    default_cache,
    gpus,
    memory_limit,
    set_region,
    take_gpu,
)


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
    monkeypatch.setenv("XDG_CACHE_HOME", "/another/home/.cache")

    def forbidden(_path: Path, **_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "stat", forbidden)
    monkeypatch.setattr(
        os, "access", lambda path, mode: mode == os.F_OK and str(path) == "/another"
    )
    assert default_cache() == Path(tempfile.gettempdir()) / "hybrid-serving"


def test_a_user_without_a_home_has_the_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)

    def unknown(_uid: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert default_cache() == Path(tempfile.gettempdir()) / "hybrid-serving"


PHYSICAL = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("name", "text", "limit"),
    [
        ("memory.max", "1048576\n", 1048576),
        ("memory.max", "max\n", PHYSICAL),
        ("memory/memory.limit_in_bytes", "2097152\n", 2097152),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", PHYSICAL),
        ("elsewhere", "1", PHYSICAL),
    ],
)
def test_memory_is_what_the_control_group_allows_or_all_there_is(
    name: str, text: str, limit: int, tmp_path: Path
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    assert memory_limit(tmp_path) == limit


def test_gpus_are_counted_by_their_device_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name in ("nvidia3", "nvidia12", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    assert gpus(tmp_path) == ["0", "1"]


@pytest.mark.parametrize(("visible", "names"), [("2,GPU-8f", ["2", "GPU-8f"]), ("", [])])
def test_gpus_are_those_that_cuda_is_told_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, visible: str, names: list[str]
) -> None:
    (tmp_path / "nvidia0").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus(tmp_path) == names


@pytest.mark.parametrize(("number", "name"), [(0, "4"), (1, "7"), (2, "4")])
def test_a_process_takes_one_gpu(monkeypatch: pytest.MonkeyPatch, number: int, name: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    take_gpu(number)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == name


def test_where_there_is_no_gpu_none_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    take_gpu(0)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_the_region_is_set_unless_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    set_region("us-east-1")
    assert os.environ["AWS_DEFAULT_REGION"] == "eu-west-1"
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    set_region("")
    assert "AWS_DEFAULT_REGION" not in os.environ
    set_region("us-east-1")
    assert os.environ["AWS_DEFAULT_REGION"] == "us-east-1"

"""NeuronCores: which there are, by variables and files made up as the runtime and driver have them,
and the one that a process takes."""

import os
from pathlib import Path

import pytest

from serving.errors import SettingError
from serving.neuroncores import GROUPED, NUMBER, VISIBLE, cores, take


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (VISIBLE, NUMBER, GROUPED):
        monkeypatch.delenv(name, raising=False)


def machine(folder: Path, *counts: int | None) -> tuple[Path, Path]:
    """Devices with so many physical cores each; None: the driver's file is not there."""
    devices, driver = folder / "dev", folder / "driver"
    devices.mkdir()
    for name in ("null", "neuron", "neuron_rt"):
        (devices / name).touch()
    for number, count in enumerate(counts):
        (devices / f"neuron{number}").touch()
        if count is not None:
            (driver / f"neuron{number}").mkdir(parents=True)
            (driver / f"neuron{number}" / "core_count").write_text(f"{count}\n")
    return devices, driver


@pytest.mark.parametrize(
    ("text", "found"),
    [("2", [2]), ("0-3", [0, 1, 2, 3]), ("0,2", [0, 2]), ("4-5, 1", [4, 5, 1]), ("1,1", [1])],
)
def test_those_that_the_runtime_is_told_of_are_there(
    monkeypatch: pytest.MonkeyPatch, text: str, found: list[int]
) -> None:
    monkeypatch.setenv(VISIBLE, text)
    monkeypatch.setenv(NUMBER, "8")  # the other goes before it
    assert cores() == found


@pytest.mark.parametrize("text", ["all", "3-1", "-1", "0-", "0,,2", "1.5", "²"])
def test_what_names_none_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(VISIBLE, text)
    with pytest.raises(SettingError, match=r"^NEURON_RT_VISIBLE_CORES='.*' names no .* 0-3 or 0,2"):
        cores()


def test_a_number_of_them_is_taken_from_the_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(NUMBER, "3")
    assert cores(*machine(tmp_path, 2, 2)) == [0, 1, 2]
    monkeypatch.setenv(NUMBER, "some")
    with pytest.raises(SettingError, match=r"NEURON_RT_NUM_CORES='some' is no whole number"):
        cores()


@pytest.mark.parametrize(
    ("counts", "number"),
    [
        ((), 0),
        ((2,), 2),  # inf2.xlarge
        ((2, 2, 2), 6),
        ((8, 8), 8),  # Trainium2, whose cores are paired
        ((None, None), 4),
    ],
)
def test_by_default_there_are_those_of_all_devices(
    tmp_path: Path, counts: tuple[int | None, ...], number: int
) -> None:
    assert cores(*machine(tmp_path, *counts)) == list(range(number))


@pytest.mark.parametrize(("grouped", "number"), [("1", 8), ("2", 4)])
def test_the_runtime_may_be_told_to_pair_them_or_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, grouped: str, number: int
) -> None:
    monkeypatch.setenv(GROUPED, grouped)
    assert len(cores(*machine(tmp_path, 8))) == number


def test_zero_stands_for_all_of_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(NUMBER, "0")
    assert cores(*machine(tmp_path, 2)) == [0, 1]


@pytest.mark.parametrize(("number", "core"), [(0, "4"), (1, "5"), (2, "9")])
def test_a_process_takes_one(monkeypatch: pytest.MonkeyPatch, number: int, core: str) -> None:
    monkeypatch.setenv(VISIBLE, "4-5,9")
    take(number)
    assert os.environ[VISIBLE] == core
    assert cores() == [int(core)]


def test_where_there_is_none_none_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.neuroncores.cores", list)
    take(0)
    assert VISIBLE not in os.environ

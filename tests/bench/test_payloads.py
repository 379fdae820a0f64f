"""Bodies that are sent: files, or rows that are made up."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from serving.bench.payloads import all_of, made_up
from serving.errors import ConfigurationError


def test_files_come_with_the_media_types_of_their_suffixes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"1,2")
    (tmp_path / "b.bin").write_bytes(b"\0")
    files = [tmp_path / "a.csv", tmp_path / "b.bin"]
    assert all_of(files, 1, 1, "", 1) == [(b"1,2", "text/csv"), (b"\0", "")]
    assert all_of(files, 1, 1, "x/y", 1) == [(b"1,2", "x/y"), (b"\0", "x/y")]


def test_rows_are_the_same_in_every_media_type() -> None:
    lines = made_up(2, 3, "text/csv", 7).decode().split("\n")
    rows = [[float(cell) for cell in line.split(",")] for line in lines]
    assert np.shape(rows) == (2, 3)
    assert json.loads(made_up(2, 3, "application/json", 7)) == rows
    array = np.load(io.BytesIO(made_up(2, 3, "application/x-npy", 7)))
    assert array.tolist() == np.array(rows, np.float32).tolist()


def test_a_seed_repeats_them() -> None:
    assert made_up(1, 5, "text/csv", 1) == made_up(1, 5, "text/csv", 1)
    assert made_up(1, 5, "text/csv", 1) != made_up(1, 5, "text/csv", 2)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="none cannot be read"):
        all_of([tmp_path / "none"], 1, 1, "", 1)


def test_a_media_type_that_cannot_be_made_up_is_refused_with_those_that_can() -> None:
    with pytest.raises(ConfigurationError, match=r"only as text/csv, application/json"):
        made_up(1, 1, "image/png", 1)

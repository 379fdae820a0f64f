"""Requests that wait in a folder: order, locks, and what is left of a process that died."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving.runtime import spool
from serving.runtime.spool import Full, Job, Spool


def job(name: str = "one", body: bytes = b"\n1,2\n\xff") -> Job:
    return Job(name, "request", {"accept": "text/csv"}, "", "out", "failed", 1.5, 900, body)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def waiting(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name != spool.SLOTS]


def test_a_job_is_what_it_was(folder: Path) -> None:
    Spool(folder, 1).add(job())
    claim = Spool(folder, 1).claim()
    assert claim is not None
    assert claim.job == job()
    assert claim.attempts == 1


def test_who_came_first_is_first(folder: Path) -> None:
    queue = Spool(folder, 1)
    names = [f"job-{number}" for number in range(20)]
    for name in names:
        queue.add(job(name))
    claims = [queue.claim() for _ in names]
    assert [claim.job.inference_id for claim in claims if claim] == names


def test_what_is_claimed_is_nobody_elses(folder: Path) -> None:
    queue = Spool(folder, 1)
    queue.add(job())
    claim = queue.claim()
    assert claim is not None
    assert queue.claim() is None
    assert Spool(folder, 1).claim() is None
    claim.release()
    again = queue.claim()
    assert again is not None
    assert again.attempts == 2


def test_what_is_forgiven_does_not_count(folder: Path) -> None:
    queue = Spool(folder, 1)
    queue.add(job())
    for _ in range(3):
        claim = queue.claim()
        assert claim is not None
        assert claim.attempts == 1
        claim.forgive()
        claim.release()


def test_what_is_finished_is_gone(folder: Path) -> None:
    queue = Spool(folder, 1)
    queue.add(job())
    claim = queue.claim()
    assert claim is not None
    claim.finish()
    claim.release()
    assert queue.claim() is None
    assert waiting(folder) == []


def test_a_file_that_is_finished_while_another_opens_it_is_no_job(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Spool(folder, 1)
    queue.add(job())
    unpatched = os.open

    def opened_and_finished(path: Path, *args: int) -> int:
        file = unpatched(path, *args)
        path.unlink()
        return file

    monkeypatch.setattr(os, "open", opened_and_finished)
    assert queue.claim() is None


def test_a_process_that_dies_leaves_its_job_to_others(folder: Path) -> None:
    queue = Spool(folder, 1)
    queue.add(job())
    dying = (
        "import os, pathlib, sys; from serving.runtime.spool import Spool;"
        "queue = Spool(pathlib.Path(sys.argv[1]), 1);"
        "assert queue.slot() and queue.claim() and not queue.claim(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", dying, str(folder)], check=True)
    claim = queue.claim()
    assert claim is not None
    assert (claim.attempts, claim.job.inference_id) == (2, "one")
    assert queue.slot() is not None


def test_there_are_as_many_slots_as_there_are(folder: Path) -> None:
    queue = Spool(folder, 2)
    first, second = queue.slot(), Spool(folder, 2).slot()
    assert first is not None
    assert second is not None
    assert queue.slot() is None
    first.release()
    assert queue.slot() is not None


def test_no_more_wait_than_may(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "MOST_WAITING", 1)
    queue = Spool(folder, 1)
    queue.add(job())
    with pytest.raises(Full):
        queue.add(job())


@pytest.mark.parametrize("content", [b"", b"x", b"0", b"0[]\n", b"0{}\n", b'0{"a": 1}\n'])
def test_what_is_no_job_is_removed(
    folder: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    queue = Spool(folder, 1)
    queue.add(job())
    (folder / "0000-broken").write_bytes(content)
    claim = queue.claim()
    assert claim is not None
    assert claim.job.inference_id == "one"
    assert "0000-broken is no request, and is removed" in caplog.text
    assert len(waiting(folder)) == 1


def test_the_folder_is_the_servers_own(folder: Path) -> None:
    Spool(folder, 1).add(job())
    assert folder.stat().st_mode & 0o777 == 0o700


def test_there_is_nothing_in_a_folder_that_is_not_there(folder: Path) -> None:
    assert Spool(folder, 1).claim() is None

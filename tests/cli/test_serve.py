"""``serving serve``: what stops it before it serves. How it serves is tests/hosts' matter."""

import io
import subprocess
import tarfile
from pathlib import Path
from subprocess import PIPE

import pytest

from tests.support import PATIENCE, cli, environment, post, serving


def refusal(*arguments: str | Path, **variables: str) -> str:
    """The one line that serve ends with; it has a process of its own, since it configures it."""
    command = cli("serve", *arguments)
    done = subprocess.run(
        command,
        capture_output=True,
        env=environment(**variables),
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("serving: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def archive(path: Path, name: str) -> Path:
    """An archive with one member of that name."""
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    return path


def test_a_missing_model_is_refused(tmp_path: Path) -> None:
    told = refusal(tmp_path / "absent")
    assert f"{tmp_path / 'absent'} does not exist" in told


def test_without_a_name_it_is_where_sagemaker_mounts_it(tmp_path: Path) -> None:
    told = refusal(SAGEMAKER_BASE_DIR=str(tmp_path))
    assert f"{tmp_path / 'model'} does not exist" in told


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08\x00broken"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.tar.gz"
    file.write_bytes(content)
    assert str(file) in refusal(file, SERVING_CACHE=str(tmp_path / "cache"))


def test_an_archive_that_leaves_its_folder_is_refused(tmp_path: Path) -> None:
    file = archive(tmp_path / "model.tar.gz", "../escaped")
    assert "../escaped" in refusal(file, SERVING_CACHE=str(tmp_path / "cache"))
    assert not (tmp_path / "escaped").exists()


def test_a_bad_setting_is_refused(tmp_path: Path) -> None:
    told = refusal(tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS="many")
    assert "SAGEMAKER_MODEL_SERVER_WORKERS='many' is not allowed; it takes a whole number" in told
    assert "--port='x' is not allowed" in refusal(tmp_path, "--port", "x")


def test_an_archive_is_served_like_its_directory(folders: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "model.tar.gz"
    subprocess.run(cli("pack", folders["xgboost"], "-o", file), check=True, stdout=PIPE)
    with serving(file, tmp_path) as server:
        answer = server.ask(post(b"0,5\n2,5", content_type="text/csv"))
    assert (answer.status, answer.body) == (200, b"1.0\n3.0\n")

import os
import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.density import archives, mms
from benchmarks.density.memory import tree
from benchmarks.density.mms_handler import Model
from benchmarks.throughput import BenchmarkError
from tests.models import stump


@pytest.fixture
def stored(tmp_path: Path) -> list[Path]:
    """Two archives of a model."""
    model, folder = tmp_path / "model.ubj", tmp_path / "archives"
    stump().save_model(model)
    folder.mkdir()
    return [folder / name for name in archives.make(model, folder, 2)]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the environment is, which was not made yet."""
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("multi-model-server==1.1.11\n")
    monkeypatch.setattr(mms, "CONSTRAINTS", constraints)
    monkeypatch.setattr(mms, "HOME", tmp_path / "mms")
    return tmp_path / "mms"


def test_each_archive_becomes_a_folder_of_the_store(stored: list[Path], tmp_path: Path) -> None:
    store = tmp_path / "models"
    assert mms.unpack(stored, store) == ["model-0000", "model-0001"]
    assert [path.relative_to(store) for path in sorted(store.rglob("*.ubj"))] == [
        Path("model-0000/model.ubj"),
        Path("model-0001/model.ubj"),
    ]


def test_a_registration_waits_for_one_loaded_worker() -> None:
    assert mms.registration("a b") == (
        "/models?url=a+b&model_name=a+b&initial_workers=1&synchronous=true"
    )


def test_the_server_listens_on_loopback_alone_and_finds_the_handler() -> None:
    lines = mms.properties(20_001, Path("/w")).splitlines()
    assert {
        "inference_address=http://127.0.0.1:20001",
        "management_address=http://127.0.0.1:20001",
    } <= set(lines)
    assert "default_service_handler=/w/mms_handler.py:handle" in lines
    assert "model_store=/w/models" in lines


def test_the_port_is_one_that_the_server_takes_and_nobody_has() -> None:
    first = mms.free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first))
        assert mms.free_port() in range(first + 1, 32_767)


def test_the_handler_answers_a_prediction_a_line(stored: list[Path], tmp_path: Path) -> None:
    mms.unpack(stored[:1], tmp_path / "models")
    model = Model()
    folder = str(tmp_path / "models" / "model-0000")
    model.initialize(SimpleNamespace(system_properties={"model_dir": folder}))
    requests = [{"body": bytearray(b"0,0\n1,0\n")}, {"body": bytearray(b"1,1")}]
    assert model.handle(requests, None) == ["1.0\n3.0\n", "3.0\n"]


def test_a_tree_is_a_process_and_what_it_started() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        assert {os.getpid(), child.pid} <= tree(os.getpid())
        assert tree(child.pid) == {child.pid}


def test_missing_java_is_named_with_its_package(
    stored: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mms, "environment", lambda: Path("python"))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BenchmarkError, match="apt-get install openjdk-17-jre-headless"):
        mms.measure(stored, b"0,0")


def test_an_environment_is_made_once_for_the_same_constraints(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed: list[list[str]] = []

    def run(command: list[str], *, check: bool) -> SimpleNamespace:
        installed.append(command)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr("venv.create", lambda folder, **_: folder.mkdir(exist_ok=True))
    monkeypatch.setattr("subprocess.run", run)
    for _ in range(2):
        assert mms.environment() == home / "bin" / "python"
    assert len(installed) == 1
    assert installed[0][-2:] == ["multi-model-server", "xgboost-cpu"]

    mms.CONSTRAINTS.write_text("multi-model-server==1.1.12\n")
    mms.environment()
    assert len(installed) == 2


def test_an_environment_that_cannot_be_made_is_tried_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("venv.create", lambda folder, **_: folder.mkdir(exist_ok=True))
    failed = SimpleNamespace(returncode=1)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: failed)
    for _ in range(2):
        with pytest.raises(BenchmarkError, match="cannot be installed"):
            mms.environment()

from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.density import archives, mms
from benchmarks.density.mms_handler import Model
from benchmarks.throughput import BenchmarkError
from benchmarks.throughput.targets import REPOSITORY
from tests.models import stump


@pytest.fixture
def stored(tmp_path: Path) -> list[Path]:
    """Two archives of a model."""
    model, folder = tmp_path / "model.ubj", tmp_path / "archives"
    stump().save_model(model)
    folder.mkdir()
    return [folder / name for name in archives.make(model, folder, 2)]


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


def test_the_handler_answers_a_prediction_a_line(stored: list[Path], tmp_path: Path) -> None:
    mms.unpack(stored[:1], tmp_path / "models")
    model = Model()
    folder = str(tmp_path / "models" / "model-0000")
    model.initialize(SimpleNamespace(system_properties={"model_dir": folder}))
    requests = [{"body": bytearray(b"0,0\n1,0\n")}, {"body": bytearray(b"1,1")}]
    assert model.handle(requests, None) == ["1.0\n3.0\n", "3.0\n"]


def test_missing_java_is_named_with_its_package(
    stored: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mms, "environment", lambda: Path("python"))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BenchmarkError, match="apt-get install openjdk-17-jre-headless"):
        mms.measure(stored, b"0,0")


def test_the_environment_is_what_the_build_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def run(command: list[str], **_: object) -> SimpleNamespace:
        ran.append(command)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr("subprocess.run", run)
    assert mms.environment() == REPOSITORY / "build" / "mms" / "bin" / "python"
    assert ran == [["./build.sh", "mms"]]


def test_an_environment_that_cannot_be_made_says_what_the_build_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed = SimpleNamespace(returncode=1, stdout="build.sh: multi-model-server needs Java")
    monkeypatch.setattr("subprocess.run", lambda *_, **__: failed)
    with pytest.raises(BenchmarkError, match="needs Java"):
        mms.environment()

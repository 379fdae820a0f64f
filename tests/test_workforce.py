"""How many workers there are, and why."""

from pathlib import Path

import pytest

from serving.configuration import read
from serving.kinds import MIB
from serving.workforce import MODEL_COPIES, WORKER_BYTES, Machine, here, plan, size

MODEL = 100 * MIB
EACH = MODEL_COPIES * MODEL + WORKER_BYTES
"""What a worker with a model of that size takes."""


def machine(cpus: int = 4, workers: float = 100, gpus: int = 0, cores: int = 0) -> Machine:
    """A machine whose memory has room for that many workers."""
    return Machine(cpus, int(workers * EACH), [str(number) for number in range(gpus)], range(cores))


def test_there_is_a_worker_for_each_cpu() -> None:
    assert plan(read({}), MODEL, machine(4)) == (4, "one for each CPU this container may use")


def test_there_is_a_worker_for_each_gpu_however_many_cpus_there_are() -> None:
    assert plan(read({}), MODEL, machine(32, gpus=2)) == (2, "one for each GPU")


def test_there_is_a_worker_for_each_neuroncore() -> None:
    assert plan(read({}), MODEL, machine(32, cores=4)) == (4, "one for each NeuronCore")
    assert plan(read({}), MODEL, machine(32, cores=4, workers=2.5)).workers == 2


@pytest.mark.parametrize("variable", ["SAGEMAKER_MODEL_SERVER_WORKERS", "SAGEMAKER_TS_MIN_WORKERS"])
def test_there_are_never_more_than_neuroncores(variable: str) -> None:
    reason = "one for each NeuronCore, which processes cannot share"
    assert plan(read({variable: "8"}), MODEL, machine(32, cores=2)) == (2, reason)
    assert plan(read({variable: "2"}), MODEL, machine(32, cores=2)).workers == 2


def test_there_are_no_more_workers_than_fit_into_memory() -> None:
    count, reason = plan(read({}), MODEL, machine(8, workers=3.5))
    assert count == 3
    assert reason == f"as many as fit into {int(3.5 * 350):,} MiB, at 350 MiB each"


def test_there_is_a_worker_even_if_none_fits() -> None:
    assert plan(read({}), MODEL, machine(8, workers=0.1)).workers == 1


def test_a_number_that_is_set_is_taken_as_it_is() -> None:
    assert plan(read({}, workers=9), MODEL, machine(1, workers=0.1)) == (9, "as set")


def test_torchserves_bounds_hold_where_no_number_is_set() -> None:
    most = read({"SAGEMAKER_TS_MAX_WORKERS": "2"})
    fewest = read({"SAGEMAKER_TS_MIN_WORKERS": "6"})
    assert plan(most, MODEL, machine(4)) == (2, "the most that SAGEMAKER_TS_MAX_WORKERS allows")
    assert plan(fewest, MODEL, machine(4)) == (
        6,
        "the fewest that SAGEMAKER_TS_MIN_WORKERS allows",
    )
    assert plan(most, MODEL, machine(1)).workers == 1


def test_the_size_of_a_model_is_that_of_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "model.bin").write_bytes(b"x" * 1000)
    (tmp_path / "code" / "inference.py").write_bytes(b"x" * 24)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert size(tmp_path) == 1024


def test_this_machine_is_asked_for_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    monkeypatch.setenv("NEURON_RT_VISIBLE_CORES", "6-7")
    found = here()
    assert found.cpus >= 1
    assert found.memory > 64 * MIB
    assert found.gpus == ["3", "5"]
    assert found.neuron_cores == [6, 7]

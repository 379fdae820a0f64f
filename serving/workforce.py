"""How many worker processes a server has, where nobody says."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from serving import machine, neuroncores
from serving.kinds import MIB
from serving.settings import Settings

WORKER_BYTES = 150 * MIB
"""Memory of a worker besides its model: Python, NumPy and an engine's library."""

MODEL_COPIES = 2
"""What a model takes in memory, as a multiple of its size on disk: its file's bytes while it loads,
and what the library makes of them."""


class Machine(NamedTuple):
    """What there is for workers."""

    cpus: int
    memory: int
    """In bytes."""
    gpus: Sequence[str]
    neuron_cores: Sequence[int] = ()


class Plan(NamedTuple):
    """A number of workers, and why."""

    workers: int
    reason: str


def here() -> Machine:
    """What this container may use. Raises SettingError where a variable names no NeuronCores."""
    return Machine(machine.cpu_count(), machine.memory_limit(), machine.gpus(), neuroncores.cores())


def plan(settings: Settings, model_bytes: int, machine: Machine) -> Plan:
    """The workers for a model of that size on disk.

    One for each GPU, or each NeuronCore, or else each CPU, at most as many as fit into memory; or
    as they are set. There are never more than NeuronCores, if there are any.
    """
    wanted = _wanted(settings, model_bytes, machine)
    cores = len(machine.neuron_cores)
    if cores and wanted.workers > cores:
        return Plan(cores, "one for each NeuronCore, which processes cannot share")
    return wanted


def _wanted(settings: Settings, model_bytes: int, machine: Machine) -> Plan:
    if settings.workers:
        return Plan(settings.workers, "as set")
    if machine.gpus:
        count, reason = len(machine.gpus), "one for each GPU"
    elif machine.neuron_cores:
        count, reason = len(machine.neuron_cores), "one for each NeuronCore"
    else:
        count, reason = machine.cpus, "one for each CPU this container may use"
    need = MODEL_COPIES * model_bytes + WORKER_BYTES
    fitting = max(1, machine.memory // need)
    if fitting < count:
        count = fitting
        reason = f"as many as fit into {machine.memory // MIB:,} MiB, at {need // MIB:,} MiB each"
    if count > settings.max_workers:
        count, reason = settings.max_workers, "the most that SAGEMAKER_TS_MAX_WORKERS allows"
    if count < settings.min_workers:
        count, reason = settings.min_workers, "the fewest that SAGEMAKER_TS_MIN_WORKERS allows"
    return Plan(count, reason)


def size(folder: Path) -> int:
    """Bytes of the files in a directory."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

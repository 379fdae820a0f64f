"""The NeuronCores of this machine, and the one that a worker takes.

A core belongs to the process whose Neuron runtime has taken it, until that process ends, and a
runtime takes all that it may see. So workers that share a machine each see one, from before their
runtime begins. Source: AWS's "Neuron Runtime configuration".
"""

import os
from pathlib import Path

from serving.errors import SettingError

VISIBLE = "NEURON_RT_VISIBLE_CORES"
NUMBER = "NEURON_RT_NUM_CORES"
GROUPED = "NEURON_LOGICAL_NC_CONFIG"

DEVICES = Path("/dev")
DRIVER = Path("/sys/devices/virtual/neuron_device")
"""What the Neuron driver tells of its devices, ``neuron0/core_count`` among it (AWS's "Neuron Sysfs
User Guide")."""

FEWEST_CORES = 2
"""Of a device that torch_neuronx runs on: Inferentia2's and Trainium1's; later ones have more."""

PAIRED_FROM = 8
"""Physical cores of a device from which on the runtime makes one of two, unless it is told not to:
Trainium2's. Its numbers are then those of pairs (AWS's "Logical NeuronCore configuration")."""


def cores(devices: Path = DEVICES, driver: Path = DRIVER) -> list[int]:
    """The NeuronCores this process may use, by the runtime's numbers.

    ``NEURON_RT_VISIBLE_CORES`` names them, or else ``NEURON_RT_NUM_CORES`` says how many there are;
    this is their order in the runtime too. By default it is all cores of all devices.

    Raises:
        SettingError: a variable is not what the runtime takes.
    """
    if visible := os.environ.get(VISIBLE, "").strip():
        return _listed(visible)
    number = _whole(NUMBER, 0)
    if number:
        return list(range(number))
    found = [path.name for path in devices.glob("neuron[0-9]*")]
    return list(range(sum(_cores_of(driver / name) for name in found)))


def take(number: int) -> None:
    """Let this process's Neuron runtime see one core only. Called before the runtime begins."""
    found = cores()
    if found:
        os.environ[VISIBLE] = str(found[number % len(found)])


def _listed(text: str) -> list[int]:
    """The cores of ``0-3``, ``0,2`` or ``0-1,4``."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = (word.strip() for word in part.partition("-"))
        ends = (first, last) if dash else (first, first)
        if not all(end.isascii() and end.isdigit() for end in ends) or int(ends[0]) > int(ends[1]):
            raise SettingError(
                f"{VISIBLE}={text!r} names no NeuronCores; it takes numbers and ranges, such as 2, "
                "0-3 or 0,2."
            )
        found += range(int(ends[0]), int(ends[1]) + 1)
    return list(dict.fromkeys(found))


def _cores_of(device: Path) -> int:
    """The cores that the runtime has of a device."""
    try:
        physical = int((device / "core_count").read_text())
    except (OSError, ValueError):  # the container does not see the driver's files
        return FEWEST_CORES
    return max(1, physical // _whole(GROUPED, 2 if physical >= PAIRED_FROM else 1))


def _whole(name: str, default: int) -> int:
    text = os.environ.get(name, "").strip()
    if text and not (text.isascii() and text.isdigit()):
        raise SettingError(f"{name}={text!r} is no whole number.")
    return int(text or 0) or default

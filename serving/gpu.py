"""Memory of the GPUs that this process's models run on, and what each load takes of it."""

import ctypes
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from serving import machine

log = logging.getLogger("serving")

LIBRARY = "libnvidia-ml.so.1"
"""NVIDIA's management library (NVML), which comes with the driver, in containers too."""


class _Memory(ctypes.Structure):
    """What ``nvmlDeviceGetMemoryInfo`` gives, in bytes (``nvmlMemory_t`` of nvml.h)."""

    _fields_ = [(name, ctypes.c_ulonglong) for name in ("total", "free", "used")]


class Load:
    """A load that is under way, or over."""

    def __init__(self) -> None:
        self.gpu: int | None = None
        """Number of the GPU that it is for, where there are several."""
        self.bytes = 0
        """Of the GPU's memory, when it is over."""
        self.on_gpu = False
        """Whether what was loaded is on the GPU, or uses it."""
        self.share = 0.0
        """Of what the memory in use has grown by so far."""


class Gpu:
    """A GPU's memory. Its methods may be called in any thread.

    NVML tells processes apart by numbers that a container does not know. What it tells everywhere
    is how much is in use altogether. What that grows by is shared out among the loads that are
    under way, so that their sum is right whichever run at once.
    """

    def __init__(self, total: int = 0, used: Callable[[], int] = lambda: 0) -> None:
        """Make one of so many bytes, of which so many are in use; without any, it is no GPU."""
        self.total = total
        self._used = used
        self._lock = threading.Lock()
        self._loads: list[Load] = []
        self._seen = 0  # bytes in use, at the last look

    @classmethod
    def named(cls, name: str, library: Callable[[str], Any] = ctypes.CDLL) -> "Gpu":
        """The GPU that CUDA knows by that name; no GPU where NVML does not tell of it."""
        try:
            return cls._of(library(LIBRARY), name)
        except OSError as error:
            log.warning("the memory of GPU %s is not counted: %s", name, error)
            return cls()

    @classmethod
    def _of(cls, nvml: Any, name: str) -> "Gpu":
        device, memory = ctypes.c_void_p(), _Memory()
        _call(nvml, "nvmlInit_v2")
        if name.isdecimal():  # one number for CUDA and for NVML, unless the GPUs are of two kinds
            index = ctypes.c_uint(int(name))
            _call(nvml, "nvmlDeviceGetHandleByIndex_v2", index, ctypes.byref(device))
        else:
            _call(nvml, "nvmlDeviceGetHandleByUUID", name.encode(), ctypes.byref(device))
        _call(nvml, "nvmlDeviceGetMemoryInfo", device, ctypes.byref(memory))

        def used() -> int:
            # Where this fails, what was seen last stands.
            nvml.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory))
            return int(memory.used)

        return cls(memory.total, used)

    def begin(self) -> Load:
        """A load begins."""
        with self._lock:
            self._look()
            load = Load()
            self._loads.append(load)
        return load

    def end(self, load: Load) -> None:
        """It is over. What was ascribed to one that is not ``on_gpu`` others have taken."""
        with self._lock:
            self._look()
            self._loads.remove(load)
            if load.on_gpu:
                load.bytes = max(0, round(load.share))
            else:
                self._share_out(load.share)

    def share(self) -> float:
        """Bytes that are free for one more load, if those under way take as much as that."""
        with self._lock:
            return (self.total - self._used()) / (len(self._loads) + 1)

    def _look(self) -> None:
        used = self._used()
        self._share_out(used - self._seen)
        self._seen = used

    def _share_out(self, growth: float) -> None:
        for load in self._loads:
            load.share += growth / len(self._loads)


class Gpus:
    """The GPUs that a process sees, as CUDA numbers them. Its methods may be called in any thread.

    Each load is for the one that has the most memory free.
    """

    def __init__(self, gpus: Sequence[Gpu] = ()) -> None:
        self._gpus = tuple(gpus) or (Gpu(),)
        self._lock = threading.Lock()
        self.total = sum(gpu.total for gpu in self._gpus)
        """Bytes that they have together."""

    @classmethod
    def find(cls, library: Callable[[str], Any] = ctypes.CDLL) -> "Gpus":
        """Those that CUDA lets this process see."""
        names = machine.gpus()
        if names and names[0].startswith("MIG"):
            names = names[:1]  # CUDA uses no more than one part of a divided GPU
        return cls([Gpu.named(name, library) for name in names])

    def begin(self) -> Load:
        """A load begins."""
        if len(self._gpus) == 1:
            return self._gpus[0].begin()
        with self._lock:  # of loads that begin together, each sees those before it
            shares = [gpu.share() for gpu in self._gpus]
            number = shares.index(max(shares))
            load = self._gpus[number].begin()
            load.gpu = number
        return load

    def end(self, load: Load) -> None:
        """It is over."""
        self._gpus[load.gpu or 0].end(load)


def _call(nvml: Any, function: str, *arguments: object) -> None:
    """Call one of NVML's functions. Raises OSError where it gives an error."""
    code = getattr(nvml, function)(*arguments)
    if code:
        raise OSError(f"{function} of {LIBRARY} gives error {code}")

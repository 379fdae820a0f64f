"""Where a benchmark ran: what a reader needs to compare the figures with others."""

import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

from benchmarks.throughput.targets import executable

DISTRIBUTIONS = ("xgboost-cpu", "gunicorn", "flask", "numpy")


def describe(programs: list[str]) -> dict[str, str]:
    """Processor and versions, ``programs`` being executables that know ``-v``."""
    facts = {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "Linux": platform.release(),
        "Python": platform.python_version(),
    }
    facts |= {name: version(name) for name in DISTRIBUTIONS}
    return facts | {name: _program_version(name) for name in programs}


class Bystanders:
    """The share of the machine that others take while this process and its children work.

    A run on a busy machine measures the machine's other work too: a reader must be able to tell.
    """

    def __init__(self) -> None:
        self._before = self._seconds()

    def share(self) -> float:
        """From 0 to 1, since this object was made; children count once they have ended."""
        machine, own, elapsed = (
            now - before for now, before in zip(self._seconds(), self._before, strict=True)
        )
        return max(0.0, machine - own) / (elapsed * (os.cpu_count() or 1))

    @staticmethod
    def _seconds() -> tuple[float, float, float]:
        """CPU seconds of all processes, CPU seconds of ours, seconds on the clock."""
        # The first line, proc(5): cpu user nice system idle iowait irq softirq steal ...
        fields = [int(field) for field in Path("/proc/stat").read_text().split(maxsplit=8)[1:8]]
        busy = sum(fields) - sum(fields[3:5])
        return busy / os.sysconf("SC_CLK_TCK"), sum(os.times()[:4]), time.monotonic()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()


def _program_version(name: str) -> str:
    # wrk prints its version on stdout and ends with 1; nginx prints it on stderr.
    done = subprocess.run([executable(name), "-v"], capture_output=True, text=True, check=False)
    words = (done.stdout or done.stderr).split("\n", 1)[0].split()
    return next((word for word in words if "/" in word), "unknown")

"""What this machine, or rather this container, may use."""

import math
import os
import tempfile
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def cpu_count(cgroup: Path = CGROUP) -> int:
    """CPUs this process may use: its affinity mask, and its container's quota rounded up.

    The host's cores, which ``os.cpu_count`` gives, are what made the Java servers start 96 workers
    in a container of two CPUs.
    """
    allowed = len(os.sched_getaffinity(0))
    quota = _quota_v2(cgroup) or _quota_v1(cgroup)
    return max(1, min(allowed, math.ceil(quota) if quota else allowed))


def default_cache() -> Path:
    """Folder for what can be made again: the user's cache folder, or the temporary one.

    A container that runs as a user without a home, on a read-only file system, has only the latter.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path("~").expanduser() / ".cache")
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    writable = os.access(existing, os.W_OK)
    return (home if writable else Path(tempfile.gettempdir())) / "hybrid-serving"


def _quota_v2(cgroup: Path) -> float | None:
    quota, _, period = _text(cgroup / "cpu.max").partition(" ")
    return _ratio(quota, period)


def _quota_v1(cgroup: Path) -> float | None:
    folder = cgroup / "cpu"
    return _ratio(_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    # No limit is "max" in version 2 and -1 in version 1.
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""

"""What this machine, or rather this container, may use."""

import math
import os
import resource
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
DEVICES = Path("/dev")
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - each session has a folder of its own, mode 0700


def cpu_count(cgroup: Path = CGROUP) -> int:
    """CPUs this process may use: its affinity mask, and its container's quota rounded up.

    The host's cores, which ``os.cpu_count`` gives, are what made the Java servers start 96 workers
    in a container of two CPUs.
    """
    allowed = len(os.sched_getaffinity(0))
    quota = _quota_v2(cgroup) or _quota_v1(cgroup)
    return max(1, min(allowed, math.ceil(quota) if quota else allowed))


def resident_bytes() -> int:
    """Memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def memory_limit(cgroup: Path = CGROUP) -> int:
    """Memory this container may use, in bytes: its control group's limit, or all there is."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    texts = [_text(cgroup / name) for name in ("memory.max", "memory/memory.limit_in_bytes")]
    # No limit is "max" in version 2 and a number beyond all memory in version 1.
    return min([physical, *(int(text) for text in texts if text.isdigit())])


def gpus(devices: Path = DEVICES) -> list[str]:
    """The GPUs this process may use, by the names that CUDA knows them by."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip()]
    # CUDA counts those it sees, whatever numbers their files have.
    return [str(index) for index, _ in enumerate(devices.glob("nvidia[0-9]*"))]


def take_gpu(number: int) -> None:
    """Let this process see one GPU only. Called before anything loads CUDA."""
    names = gpus()
    if names:
        os.environ["CUDA_VISIBLE_DEVICES"] = names[number % len(names)]


def raise_file_limit() -> None:
    """Let this process, and those it starts, open as many files as they may.

    Connections and models' processes take one each; the usual first limit is 1,024.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def set_region(name: str) -> None:
    """The AWS region for libraries in this process, unless they are told another."""
    if name:
        os.environ.setdefault("AWS_DEFAULT_REGION", name)


def default_cache() -> Path:
    """Folder for what can be made again: the user's cache folder, or the temporary one.

    A container that runs as a user without a home, on a read-only file system, has only the latter.
    """
    home = _cache_home()
    # Not Path.exists, which raises for a folder in another user's home.
    existing = next(folder for folder in (home, *home.parents) if os.access(folder, os.F_OK))
    writable = os.access(existing, os.W_OK)
    return (home if writable else temporary()) / "hybrid-serving"


def temporary() -> Path:
    """Folder for temporary files, as ``tempfile`` finds it."""
    named = filter(None, map(os.environ.get, ("TMPDIR", "TEMP", "TMP")))
    for folder in (*named, "/tmp"):  # noqa: S108 - as tempfile has it
        if os.access(folder, os.W_OK | os.X_OK):
            return Path(folder)
    # It imports what compresses and what makes random numbers: too much for a function's start.
    from tempfile import gettempdir

    return Path(gettempdir())


def default_sessions() -> Path:
    """Folder for sessions: in shared memory where that can be written, or the temporary one."""
    memory = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK | os.X_OK) else None
    return (memory or temporary()) / "sagemaker_sessions"


def _cache_home() -> Path:
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # the user has no home
        return temporary()


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

"""The libraries in a package: those that are installed, less what a server never imports."""

import fnmatch
import re
import subprocess
import sys
import sysconfig
from importlib.metadata import Distribution, distributions
from pathlib import Path

from serving.bundle.archive import Part
from serving.errors import ArchiveError, SettingError

PLATFORM = "x86_64"
"""The only processor there is at the edge."""

OLDEST_PYTHON = (3, 12)
"""Lambda runs this one and later ones on Amazon Linux 2023, and older ones on Amazon Linux 2."""

GLIBC, OLD_GLIBC = (2, 34), (2, 26)
"""The C library of each; most libraries' wheels need 2.28."""

USUAL_PYTHON = "3.13"
"""For which a package is, where this Python is one of the older ones."""

NAMED_TAGS = {"manylinux1": 5, "manylinux2010": 12, "manylinux2014": 17}
"""Platforms that wheels name otherwise than by the version of glibc 2 (PEP 600)."""

UNUSED = (
    # of every library
    "*/__pycache__/*", "*.pyi", "*.pxd", "*.pyx", "*.h", "*.a", "*.c", "*/py.typed", "*/tests/*",
    # to compile, to test and to document
    "numpy/_pyinstaller/*", "numpy/conftest.py", "numpy/distutils/*", "numpy/doc/*",
    "numpy/f2py/*", "numpy/random/_examples/*", "numpy/testing/*", "numpy/_core/*_tests.*.so",
    # for NumPy's own tests of its vector instructions; what computes with them is elsewhere
    "numpy/_core/_simd.*.so",
    # the same code again, for C programs
    "onnxruntime/capi/libonnxruntime.so*",
    # to make models
    "onnxruntime/backend/*", "onnxruntime/capi/convert_*", "onnxruntime/capi/training/*",
    "onnxruntime/datasets/*", "onnxruntime/quantization/*", "onnxruntime/tools/*",
    "onnxruntime/training/*", "onnxruntime/transformers/*",
)  # fmt: skip
"""Patterns of paths that are left out. A test imports and runs what is left."""

LICENCES = ("*.dist-info/licenses/*", "*.dist-info/LICEN[CS]E*")
"""Of the folder with a distribution's metadata, what goes with it."""


def here() -> str:
    """The version of this Python, as ``--python`` takes it."""
    return "{}.{}".format(*sys.version_info[:2])


def usual() -> str:
    """The version of Python that a package is for, unless another is named."""
    return USUAL_PYTHON if too_old(here()) else here()


def too_old(python: str) -> bool:
    """Whether Lambda runs a version of Python on the older of its systems."""
    return tuple(map(int, python.split("."))) < OLDEST_PYTHON


def glibc(python: str) -> tuple[int, int]:
    """The version of the C library beside a version of Python on Lambda."""
    return OLD_GLIBC if too_old(python) else GLIBC


def collect(names: tuple[str, ...], python: str, scratch: Path) -> list[Part]:
    """A part for each of the libraries, in the version that is installed here.

    Those that are installed are taken if they are for that Python and for Lambda's C library; else
    pip fetches the wheels that are.

    Args:
        names: Of distributions.
        python: The version of Python that imports them.
        scratch: A folder for what pip installs.

    Raises:
        SettingError: a library is not installed here, or this machine's are of no use at the edge.
        ArchiveError: pip has no wheel for that Python.
    """
    folders = sys.path
    installed = [_find(name, folders) for name in names]
    if python != here() or not all(_runs(each, glibc(python)) for each in installed):
        _install([f"{each.name}=={each.version}" for each in installed], python, scratch)
        folders = [str(scratch)]
    elif sysconfig.get_platform() != f"linux-{PLATFORM}":
        raise SettingError(
            f"The libraries here are for {sysconfig.get_platform()}, and Lambda@Edge is "
            f"linux-{PLATFORM}. Build there, or name another version of Python with --python to "
            "have wheels fetched."
        )
    return [Part(name, _files(_find(name, folders))) for name in names]


def _find(name: str, folders: list[str]) -> Distribution:
    found = next(iter(distributions(name=name, path=folders)), None)
    if found is None:
        raise SettingError(f"{name} is not installed; install it with: pip install {name}.")
    return found


def _runs(library: Distribution, glibc: tuple[int, int]) -> bool:
    """Whether a library runs with that C library, as far as its wheel says."""
    said = re.findall(r"^Tag: .*-(\S+)$", library.read_text("WHEEL") or "", re.MULTILINE)
    needs = [_needs(tag) for tags in said for tag in tags.split(".")]
    return not needs or min(needs) <= glibc


def _needs(tag: str) -> tuple[int, int]:
    """The C library that a platform tag asks for; none where it names none."""
    numbers = re.match(r"manylinux_(\d+)_(\d+)_", tag)
    if numbers:
        return int(numbers[1]), int(numbers[2])
    return 2, NAMED_TAGS.get(tag.partition("_")[0], 0)


def _files(library: Distribution) -> dict[str, Path | bytes]:
    return {
        file.as_posix(): Path(str(file.locate()))
        for file in library.files or ()
        if _is_used(file.as_posix())
    }


def _is_used(path: str) -> bool:
    if path.startswith("../"):  # a command
        return False
    if ".dist-info/" in path:
        return any(fnmatch.fnmatchcase(path, pattern) for pattern in LICENCES)
    return not any(fnmatch.fnmatchcase(path, pattern) for pattern in UNUSED)


def _install(requirements: list[str], python: str, folder: Path) -> None:
    platforms = [
        word
        for minor in range(17, glibc(python)[1] + 1)
        for word in ("--platform", f"manylinux_2_{minor}_{PLATFORM}")
    ]
    options = ["--target", str(folder), "--python-version", python, "--only-binary", ":all:"]
    quiet = ["--no-deps", "--no-compile", "--quiet", "--no-input", "--disable-pip-version-check"]
    done = subprocess.run(  # noqa: S603 - the operator's own words
        [sys.executable, "-m", "pip", "install", *options, *platforms, *quiet, *requirements],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        advice = f" Python {USUAL_PYTHON} has a newer one: --python {USUAL_PYTHON}."
        raise ArchiveError(
            f"There are no wheels of {', '.join(requirements)} for Python {python} on "
            f"linux-{PLATFORM} with glibc {'.'.join(map(str, glibc(python)))}, which Lambda has: "
            f"{' '.join(errors[-2:]) or done.stderr.strip()}{advice if too_old(python) else ''}"
        )

"""XGBoost's library through its C interface, which is documented and stable, without its package.

The package imports SciPy, which costs time at a start, and memory. What works with boosters as the
package's users know them imports it still: scripts, pickles, conversions.
"""

import ctypes
import importlib.util
import json
import math
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from serving.engines.base import XGBOOST

if TYPE_CHECKING:
    import xgboost

NAME = "libxgboost.so"


class XGBoostError(ValueError):
    """The library refuses; says why."""


class Owner(Protocol):
    """Holds a handle of a booster, and frees it in the end, as the package's Booster does."""

    handle: Any


def _path() -> str:
    spec = importlib.util.find_spec(XGBOOST)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "lib" / NAME
        if path.is_file():
            return str(path)
    from xgboost.libpath import find_lib_path  # other packagers have it elsewhere

    return str(find_lib_path()[0])


def _load() -> ctypes.CDLL:
    path = _path()
    try:
        return ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(f"{path} cannot be loaded: {error}", name=XGBOOST) from error


LIBRARY = _load()
LIBRARY.XGBGetLastError.restype = ctypes.c_char_p


def check(status: int) -> None:
    """Return if a call went well. Raises XGBoostError with the library's message if not."""
    if status:
        raise XGBoostError(LIBRARY.XGBGetLastError().decode(errors="replace"))


def version() -> str:
    """The library's version."""
    parts = [ctypes.c_int() for _ in range(3)]
    LIBRARY.XGBoostVersion(*map(ctypes.byref, parts))
    return ".".join(str(part.value) for part in parts)


def _free_with(owner: Owner, free: Callable[[Any], object]) -> None:
    """Free a handle with its owner, unless the process ends: a thread may be in the library."""
    weakref.finalize(owner, free, owner.handle).atexit = False


class _Handle:
    """A new booster in the library's memory, which goes with this object."""

    def __init__(self) -> None:
        self.handle = ctypes.c_void_p()
        check(LIBRARY.XGBoosterCreate(None, ctypes.c_uint64(0), ctypes.byref(self.handle)))
        _free_with(self, LIBRARY.XGBoosterFree)


class Matrix:
    """Rows in the library's memory, which go with this object."""

    def __init__(self, handle: ctypes.c_void_p) -> None:
        """Own a handle."""
        self.handle = handle
        _free_with(self, LIBRARY.XGDMatrixFree)

    @classmethod
    def proxy(cls) -> "Matrix":
        """What stands for the rows of a call that brings its own."""
        handle = ctypes.c_void_p()
        check(LIBRARY.XGProxyDMatrixCreate(ctypes.byref(handle)))
        return cls(handle)

    @classmethod
    def of(cls, rows: NDArray[np.float32]) -> "Matrix":
        """A copy of rows, NaN where a value is missing. Raises XGBoostError at an infinity."""
        handle = ctypes.c_void_p()
        config = json.dumps({"missing": math.nan}).encode()
        check(LIBRARY.XGDMatrixCreateFromDense(array_interface(rows), config, ctypes.byref(handle)))
        return cls(handle)


def array_interface(rows: NDArray[np.float32]) -> bytes:
    """Where rows are that lie in one piece, as the library reads it."""
    return b'{"data":[%d,true],"shape":[%d,%d],"typestr":"<f4","version":3}' % (
        rows.ctypes.data,
        *rows.shape,
    )


class Booster:
    """A booster in the library's memory."""

    def __init__(self, owner: Owner) -> None:
        """Work with what has a booster's handle: the package's Booster does too."""
        self._owner = owner

    @classmethod
    def read(cls, content: bytes) -> "Booster":
        """The booster in a file's content, JSON or UBJSON. Raises XGBoostError."""
        made = _Handle()
        check(
            LIBRARY.XGBoosterLoadModelFromBuffer(
                made.handle, content, ctypes.c_uint64(len(content))
            )
        )
        return cls(made)

    @property
    def handle(self) -> Any:
        """What the library knows it by, as long as this object is there."""
        return self._owner.handle

    def package(self) -> "xgboost.Booster":
        """The package's Booster for it, of which there is one from now on, with its parameters."""
        import xgboost

        if not isinstance(self._owner, xgboost.Booster):
            # From what a file of it would hold: the package takes nobody else's handle.
            content, size = ctypes.POINTER(ctypes.c_char)(), ctypes.c_uint64()
            config = b'{"format": "ubj"}'
            check(
                LIBRARY.XGBoosterSaveModelToBuffer(
                    self.handle, config, ctypes.byref(size), ctypes.byref(content)
                )
            )
            raw = bytearray(ctypes.string_at(content, size.value))
            made = xgboost.Booster(model_file=raw)
            made.load_config(self._config())
            self._owner = made
        return self._owner

    def set(self, name: str, value: object) -> None:
        """Set a parameter. Raises XGBoostError."""
        check(LIBRARY.XGBoosterSetParam(self.handle, name.encode(), str(value).encode()))

    def config(self) -> dict[str, Any]:
        """All parameters, as the library names and nests them."""
        learner: dict[str, Any] = json.loads(self._config())["learner"]
        return learner

    def width(self) -> int:
        """The number of features of a row."""
        found = ctypes.c_uint64()
        check(LIBRARY.XGBoosterGetNumFeature(self.handle, ctypes.byref(found)))
        return found.value

    def attribute(self, name: str) -> str | None:
        """What was noted at the training by that name, if anything was."""
        found, value = ctypes.c_int(), ctypes.c_char_p()
        check(
            LIBRARY.XGBoosterGetAttr(
                self.handle, name.encode(), ctypes.byref(value), ctypes.byref(found)
            )
        )
        return value.value.decode() if found.value and value.value is not None else None

    def _config(self) -> str:
        size, text = ctypes.c_uint64(), ctypes.c_char_p()
        check(LIBRARY.XGBoosterSaveJsonConfig(self.handle, ctypes.byref(size), ctypes.byref(text)))
        return (text.value or b"").decode()

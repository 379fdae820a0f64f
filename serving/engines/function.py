"""One function of a user's script: its signature read once, its errors turned into ours."""

import asyncio
import inspect
import threading
import traceback
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from serving.engines import cuda
from serving.engines.context import Context
from serving.errors import (
    ConfigurationError,
    DeviceLost,
    ModelLoadError,
    PredictionError,
    RequestError,
    ServingError,
)
from serving.problems import catch
from serving.streaming import Stream

ARGUMENTS = {
    "pre_model_fn": ("model_dir",),
    "model_fn": ("model_dir",),
    "model_warmup_fn": ("model_dir", "model"),
    "input_fn": ("input_data", "content_type"),
    "predict_fn": ("data", "model"),
    "output_fn": ("prediction", "accept"),
    "transform_fn": ("model", "input_data", "content_type", "accept"),
}
"""What each function of a script takes; each may take a context besides, as its last argument."""

_thread = threading.local()


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a script. A coroutine function is run to its end, in this thread's own loop."""

    name: str
    target: Callable[..., Any]
    takes_context: bool

    def __call__(self, *arguments: Any, context: Context) -> Any:
        """Call it for a request.

        Raises:
            ServingError: it failed. An error of the toolkit passes as it is, one with a status
                gives that to the response, and any other is a PredictionError.
        """
        value = catch(self._run, *arguments, context=context)
        if isinstance(value, BaseException):
            raise failure(self.name, value) from value
        return value

    def load(self, *arguments: Any, context: Context) -> Any:
        """Call it while the model loads. Raises ModelLoadError where it fails."""
        value = catch(self._run, *arguments, context=context)
        if isinstance(value, ConfigurationError):
            raise value
        if isinstance(value, BaseException):
            place = where(value, Path(context.system_properties["model_dir"]))
            raise ModelLoadError(f"{self.name} failed{place}: {describe(value)}") from value
        return value

    def _run(self, *arguments: Any, context: Context) -> Any:
        value = self.target(*arguments, context) if self.takes_context else self.target(*arguments)
        return _finish(value) if inspect.isawaitable(value) else value


def inspect_function(name: str, target: Any, program: Path) -> Function:
    """Read a function's signature.

    Raises:
        ModelLoadError: it is no function, or takes other arguments than it will get.
    """
    expected = ARGUMENTS[name]
    if not callable(target):
        raise ModelLoadError(f"{name} in {program.name} is {type(target).__name__}, no function.")
    signature = inspect.signature(target)
    parameters = signature.parameters.values()
    positional = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
    surplus = positional - len(expected)
    fits = surplus in (0, 1) or (
        surplus < 0 and any(p.kind is p.VAR_POSITIONAL for p in parameters)
    )
    if not fits or any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters):
        raise ModelLoadError(
            f"{name}{signature} in {program.name} takes other arguments than it gets, which are "
            f"({', '.join(expected)}) or ({', '.join(expected)}, context)."
        )
    return Function(name, target, takes_context=surplus == 1)


def failure(name: str, error: BaseException) -> ServingError:
    """What a script's exception becomes for the client, who sees no traceback."""
    if isinstance(error, ServingError):
        return error
    for status in (getattr(error, "status_code", None), getattr(error, "status", None)):
        if isinstance(status, int) and 400 <= status <= 599:
            message = getattr(error, "message", None) or getattr(error, "detail", None) or error
            return _with_status(type(error).__name__, status)(str(message))
    if reason := cuda.lost(error):
        return DeviceLost(f"{name} failed: {reason}")
    return cuda.kind(error)(f"{name} failed: {describe(error)}")


def body(name: str, value: Any, context: Context) -> bytes | Stream:
    """The body that a script's function returned; a generator's is made while it is sent.

    Raises:
        PredictionError: it is neither text nor bytes nor a generator of such.
    """
    if isinstance(value, Iterator | AsyncIterator):
        return Stream(value, partial(_content, name), partial(_broken, name, context))
    return _content(name, value)


def _broken(name: str, context: Context, error: BaseException) -> ServingError:
    """The failure of a generator: when it fails, its request is known to nobody else."""
    problem = failure(name, error)
    problem.request_id = context.get_request_id()
    return problem


def _content(name: str, value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise PredictionError(
        f"{name} returned {type(value).__name__}; it must return text or bytes, a generator of "
        "such, or a pair of one of these and a content type."
    )


def describe(error: BaseException) -> str:
    """An exception's type and message."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def where(error: BaseException, folder: Path) -> str:
    """The innermost place in ``folder`` an exception came through, `` at model.py, line 3``."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" at {Path(error.filename).name}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    return f" at {Path(inside[-1].filename).name}, line {inside[-1].lineno}" if inside else ""


@lru_cache
def _with_status(name: str, status: int) -> type[ServingError]:
    """An error class of that status, named as the script's own: the response gives its name."""
    return type(name, (RequestError if status < 500 else PredictionError,), {"status": status})


def _finish(awaitable: Awaitable[Any]) -> Any:
    async def wait() -> Any:
        return await awaitable

    runner: asyncio.Runner | None = getattr(_thread, "runner", None)
    if runner is None:
        runner = _thread.runner = asyncio.Runner()
        weakref.finalize(threading.current_thread(), runner.get_loop().close)
    return runner.run(wait())

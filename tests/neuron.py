"""A stand-in for AWS's torch_neuronx, and files like those it makes.

What is compiled runs on the CPU, but takes one shape only. In a file, the code that names Neuron's
compiled program lies beside that of the model, so that it is known as Neuron's.
"""

import sys
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

CODE = """\
class NeuronModule(Module):
  model : __torch__.torch.classes.neuron.Model
"""
"""Of what TorchScript's code has in a file of torch_neuronx 2.x."""


LOADS = """\
import torch

def model_fn(model_dir):
    return torch.nn.Flatten()
"""
"""A script that loads the model itself, so that no other can be served with it."""


class FixedOne(torch.nn.Module):
    """Refuses another shape than it was made for."""

    def __init__(self, program: Any, shapes: list[list[int]]) -> None:
        super().__init__()
        self.program = program
        self.shapes: list[list[int]] = shapes

    def forward(self, argument_1: torch.Tensor) -> Any:
        assert list(argument_1.shape) == self.shapes[0], "the shape is not that of the program"
        return self.program(argument_1)


class FixedTwo(FixedOne):
    """The same with two inputs."""

    def forward(self, argument_1: torch.Tensor, argument_2: torch.Tensor) -> Any:  # type: ignore[override]
        assert list(argument_1.shape) == self.shapes[0], "the shape is not that of the program"
        assert list(argument_2.shape) == self.shapes[1], "the shape is not that of the program"
        return self.program(argument_1, argument_2)


class Library(ModuleType):
    """The stand-in; it keeps what it was asked for."""

    def __init__(self) -> None:
        super().__init__("torch_neuronx")
        self.traced: list[tuple[list[tuple[int, ...]], dict[str, Any]]] = []
        """Shapes and options of each call of ``trace``."""

    def trace(
        self, func: Callable[..., Any], inputs: Sequence[torch.Tensor], **options: Any
    ) -> Any:
        func(*inputs)  # it is traced by running it
        self.traced.append(([tuple(each.shape) for each in inputs], options))
        return compiled(func, *inputs)


def compiled(func: Callable[..., Any], *inputs: torch.Tensor) -> Any:
    """A module that runs ``func`` for inputs of these shapes only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.jit.trace(func, inputs)  # type: ignore[no-untyped-call]
        kind = FixedTwo if len(inputs) == 2 else FixedOne
        # The result's type is known once it is compiled.
        return torch.jit.script(kind(program, [list(each.shape) for each in inputs]))


def save_scripted(path: Path, module: torch.nn.Module) -> Path:
    """A module as TorchScript, to be compiled."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(module), path)
    return path


def save_plain(path: Path, func: Callable[..., Any], *inputs: torch.Tensor) -> Path:
    """The same as TorchScript that needs no Neuron."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(compiled(func, *inputs), path)
    return path


def save(path: Path, func: Callable[..., Any], *inputs: torch.Tensor) -> Path:
    """A file of torch_neuronx."""
    return mark(save_plain(path, func, *inputs))


def mark(path: Path) -> Path:
    """Make a TorchScript file look like one of torch_neuronx."""
    with zipfile.ZipFile(path, "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/code/__torch__/torch_neuronx/xla_impl/trace.py", CODE)
    return path


def provide(monkeypatch: pytest.MonkeyPatch) -> Library:
    """Let ``import torch_neuronx`` give the stand-in."""
    library = Library()
    monkeypatch.setitem(sys.modules, "torch_neuronx", library)
    return library


def install(monkeypatch: pytest.MonkeyPatch) -> Library:
    """The same, and files of torch_neuronx load only after that was imported."""
    library = provide(monkeypatch)
    load: Any = torch.jit.load

    def load_marked(*arguments: Any, **options: Any) -> Any:
        assert "torch_neuronx" in sys.modules, "Unknown type name '...classes.neuron.Model'"
        assert not options, "a compiled program is not moved"
        return load(*arguments, **options)

    monkeypatch.setattr(torch.jit, "load", load_marked)
    return library

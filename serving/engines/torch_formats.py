"""A Model of each kind of PyTorch file. Imports PyTorch: import it only for such a model."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch.export.graph_signature import InputKind
from torch.export.passes import move_to_device_pass
from torch.utils import _pytree as pytree

from serving.engines import declared, plain, rows, tensors
from serving.engines.torch_runner import (
    Runner,
    Stacking,
    Whole,
    device,
    failure,
    name_leaves,
    to_tensor,
)
from serving.errors import ModelLoadError, PredictionError
from serving.model import Model, Native, Tensor
from serving.problems import catch
from serving.settings import Settings
from serving.values import Payload, Prediction, Request

NUMBERS = ("float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8", "bool")
"""Types that PyTorch and NumPy share."""


def scripted(path: Path, settings: Settings) -> Model:
    """A TorchScript file on its device. Raises ModelLoadError where it is damaged."""
    where = device(settings.gpu)
    return of_script(opened(path, map_location=where), settings, where=where)


def opened(path: Path, **options: Any) -> Any:
    """The module of a TorchScript file, with ``torch.jit.load``'s options.

    Raises:
        ModelLoadError: the file is damaged.
    """
    with warnings.catch_warnings():
        # The loader announces that TorchScript will be superseded; files of it remain.
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        module = catch(torch.jit.load, str(path), **options)
    if isinstance(module, BaseException):
        raise _damaged(path, module) from module
    return module.eval()


def of_script(
    script: Any,
    settings: Settings,
    *,
    where: torch.device,
    engine: str = "torch",
    module: Callable[..., Any] | None = None,
    wrap: Callable[[rows.Call], rows.Call] = lambda call: call,
) -> Model:
    """A TorchScript module. It names its inputs, but says nothing of their types and shapes.

    JSON and CSV become float32, as SageMaker's PyTorch toolkit has it; npy bodies keep their type.

    Args:
        script: The module, or one of several that take and answer alike.
        settings: The default media type of answers.
        where: The device that it takes its tensors on.
        engine: The engine's name.
        module: What is called instead of it.
        wrap: Makes the model's call of that of the module.
    """
    arguments = [a for a in script.forward.schema.arguments[1:] if not a.has_default_value()]
    inputs = tuple(Tensor(argument.name, "", ()) for argument in arguments)
    runner = Runner(module or script, inputs, where)
    call = wrap(runner)
    # What a module that changes itself answers depends on how often it is called.
    changes = script.inlined_graph.findAllNodes("prim::SetAttr")
    stacking = Stacking(call, limit=0) if changes else Stacking(call)

    def predict(payload: Payload) -> Prediction:
        whole = isinstance(payload.data, Whole)
        outputs = runner(payload.data) if whole else call(payload.data)
        stacking.learn(payload)
        return Prediction(outputs)

    others = [f"{a.name}: {a.type}" for a in arguments if str(a.type) != "Tensor"]
    decode = partial(tensors.decode, inputs=inputs, stacks=stacking)
    return Model(
        engine=engine,
        decode=partial(_refuse, others) if others else decode,
        predict=predict,
        encode=tensors.encode,
        reads=tensors.READS,
        writes=tensors.writes(settings),
        inputs=inputs,
        devices=(str(where) if engine == "torch" else engine,),
        native=runner.native(module or script, () if others else inputs, stacking),
        overlap=runner.overlap,
        take=None if others else partial(tensors.take, inputs=inputs, stacks=stacking),
    )


def exported(path: Path, settings: Settings) -> Model:
    """A program of ``torch.export``, which declares types and shapes.

    Raises:
        ModelLoadError: the file is damaged, or an input has a type that NumPy does not have.
    """
    with path.open("rb") as file:
        program = catch(torch.export.load, file)
    if isinstance(program, BaseException):
        raise _damaged(path, program) from program
    where = device(settings.gpu)
    if where.type != "cpu":
        program = move_to_device_pass(program, where)
    module = program.module()
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    specs = program.graph_signature.input_specs
    names = [spec.arg.name for spec in specs if spec.kind == InputKind.USER_INPUT]
    inputs = _declare({name: values[name] for name in names})
    _check(path, inputs)
    positional, keywords = pytree.tree_unflatten(names, program.call_spec.in_spec)

    def nested(*given: torch.Tensor) -> Any:
        remaining = iter(given)
        # What is no tensor was fixed when the program was exported.
        flat = [
            next(remaining) if isinstance(v, torch.Tensor) else v for v in map(values.get, names)
        ]
        arguments, named = pytree.tree_unflatten(flat, program.call_spec.in_spec)
        return module(*arguments, **named)

    simple = not keywords and [*positional] == names == [tensor.name for tensor in inputs]
    answered = [values.get(spec.arg.name) for spec in program.graph_signature.output_specs]
    leaves: dict[str, Any] = {}
    name_leaves(pytree.tree_unflatten(answered, program.call_spec.out_spec), "", leaves)
    runner = Runner(module if simple else nested, inputs, where)
    return declared.build(
        "torch",
        runner,
        inputs,
        _declare(leaves),
        settings,
        device=str(where),
        native=partial(runner.native, module),
        overlap=runner.overlap,
    )


def prepared(module: torch.nn.Module, settings: Settings) -> torch.nn.Module:
    """The module on its device, with the layers off that are for training only."""
    return module.to(device(settings.gpu)).eval()


def of_module(module: torch.nn.Module, settings: Settings) -> Model:
    """A module of Python code, a pickled one or what a script's ``model_fn`` returned, as it is.

    Nothing is known of what it takes and answers: it gets the one tensor of the body, and its
    result is neither named nor stacked.
    """
    where = device(settings.gpu)
    inputs = (Tensor("input", "", ()),)

    def argument(data: Any) -> Any:
        value = data.value if isinstance(data, Whole) else to_tensor(data["input"])
        return value.to(where) if isinstance(value, torch.Tensor) else value

    def predict(payload: Payload) -> Prediction:
        with torch.no_grad():
            result = catch(lambda: module(argument(payload.data)))
        if isinstance(result, BaseException):
            raise failure(result) from result
        return Prediction(result)

    return Model(
        engine="torch",
        decode=partial(tensors.decode, inputs=inputs, stacks=lambda _: False),
        predict=predict,
        encode=plain.encode,
        reads=tensors.READS,
        writes=tensors.writes(settings),
        inputs=inputs,
        foreign=frozenset({"predict"}),
        devices=(str(where),),
        native=Native(
            model=lambda: module,
            payload=lambda value: Payload(Whole(value)),
            argument=argument,
            result=lambda result: result,
        ),
        take=partial(tensors.take, inputs=inputs, stacks=lambda _: False),
        give=plain.give,
    )


def _declare(values: Mapping[str, Any]) -> tuple[Tensor, ...]:
    """Those of an exported program's values that are tensors."""
    return tuple(
        Tensor(
            name,
            str(value.dtype).removeprefix("torch."),
            tuple(axis if isinstance(axis, int) else None for axis in value.shape),
        )
        for name, value in values.items()
        if isinstance(value, torch.Tensor)
    )


def _check(path: Path, inputs: Sequence[Tensor]) -> None:
    for tensor in inputs:
        if tensor.dtype not in NUMBERS:
            raise ModelLoadError(
                f"{path.name} takes {tensor.name!r} as {tensor.dtype}, which no body carries; let "
                f"the model take one of {', '.join(NUMBERS)} and convert it."
            )


def _refuse(arguments: Sequence[str], _request: Request) -> NoReturn:
    raise PredictionError(
        f"The model takes {', '.join(arguments)}; the server reads bodies into tensors only. A "
        "code/inference.py with an input_fn can make what the model takes."
    )


def _damaged(path: Path, error: BaseException) -> ModelLoadError:
    # Some messages go on with advice, some with a listing.
    reason = str(error).strip().partition("\n")[0].partition(". ")[0]
    return ModelLoadError(f"{path.name} does not load: {type(error).__name__}: {reason}.")

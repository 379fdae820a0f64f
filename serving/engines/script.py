"""A user's script: its functions in place of an engine's.

The functions are those of SageMaker's inference toolkits: ``model_fn(model_dir)`` loads,
``input_fn(input_data, content_type)`` decodes, ``predict_fn(data, model)`` predicts,
``output_fn(prediction, accept)`` encodes; ``transform_fn(model, input_data, content_type, accept)``
does the last three in one; ``pre_model_fn(model_dir)`` runs before the model is loaded, and
``model_warmup_fn(model_dir, model)`` after. Each may take a ``context`` besides, as its last
argument (see :class:`serving.engines.context.Context`), and may be a coroutine function.

A script that says ``stack_rows = True`` has a ``predict_fn`` that takes the rows of several
requests at once and answers with as many: its data are then NumPy arrays, or dictionaries of them,
whose first axis is the rows, and so are its answers.
"""

import itertools
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from pathlib import Path

from serving import sessions
from serving.engines import plain
from serving.engines.context import Context
from serving.engines.function import ARGUMENTS, Function, describe, inspect_function, where
from serving.engines.programs import FOLDER
from serving.engines.stages import Stages, Transform
from serving.errors import ModelLoadError
from serving.model import Model
from serving.problems import catch
from serving.settings import Settings

LOADING = {"pre_model_fn", "model_fn", "model_warmup_fn"}
"""Functions that run while the model loads; the others run for each request."""

_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Hooks:
    """The functions a script has."""

    functions: Mapping[str, Function]
    stack_rows: bool

    @property
    def loads_itself(self) -> bool:
        """Whether the script loads the model, so that no engine need know its files."""
        return "model_fn" in self.functions

    @property
    def answers_itself(self) -> bool:
        """Whether the script writes the response, in whatever media type it likes."""
        return bool(self.functions.keys() & {"output_fn", "transform_fn"})


def load(program: Path, folder: Path, code: Path | None = None) -> Hooks:
    """Import a script, read its functions' signatures, and call its ``pre_model_fn``.

    Modules in ``code``, its folder, can be imported by it; the default is that of the model.

    Raises:
        ModelLoadError: the import fails, or a function takes other arguments than it will get.
    """
    sys.dont_write_bytecode = True  # a model's folder is only read
    if (place := str(code or folder / FOLDER)) not in sys.path:
        sys.path.insert(0, place)
    # A name of its own: several models may each bring an inference.py.
    name = f"serving_script_{next(_numbers)}"
    loader = SourceFileLoader(name, str(program))
    spec = ModuleSpec(name, loader, origin=str(program))
    spec.has_location = True
    module = module_from_spec(spec)
    sys.modules[name] = module  # where pickles and data classes look for their module
    error = catch(loader.exec_module, module)
    if isinstance(error, BaseException):
        del sys.modules[name]
        place = where(error, folder) or f" at {program.name}"
        raise ModelLoadError(f"Importing the script failed{place}: {describe(error)}") from error
    functions = {
        known: inspect_function(known, getattr(module, known), program)
        for known in ARGUMENTS
        if hasattr(module, known)
    }
    hooks = Hooks(functions, stack_rows=getattr(module, "stack_rows", False))
    _check(hooks, program)
    if "pre_model_fn" in functions:
        functions["pre_model_fn"].load(str(folder), context=Context(None, folder))
    return hooks


def override(model: Model | None, hooks: Hooks, folder: Path, settings: Settings) -> Model:
    """A model with a script's functions in place of its own.

    Args:
        model: The engine's; None where the script's ``model_fn`` loads the model.
        hooks: The script's functions.
        folder: The model directory.
        settings: The default media type of answers, and where sessions are kept.

    Raises:
        ModelLoadError: a function that loads failed, or one is missing.
    """
    functions, context = hooks.functions, Context(None, folder)
    if model is None:
        loaded = functions["model_fn"].load(str(folder), context=context)
        model = plain.model(
            loaded,
            replace(settings, default_accept="") if hooks.answers_itself else settings,
            predicts=not functions.keys() & {"predict_fn", "transform_fn"},
        )
    if functions.keys() <= LOADING - {"model_warmup_fn"}:
        return model
    if model.native is None:
        raise ModelLoadError(
            f"A model of the {model.engine} engine cannot be combined with functions of a script "
            "yet; a model_fn can load it instead."
        )
    if "model_warmup_fn" in functions:
        functions["model_warmup_fn"].load(str(folder), model.native.model(), context=context)
    if functions.keys() <= LOADING:
        return model
    accept = settings.default_accept or model.writes[0]
    contexts = partial(Context, folder=folder, store=sessions.of(settings))
    if "transform_fn" in functions:
        transform = functions["transform_fn"]
        return Transform(transform, model.native.model(), contexts, accept).model(model)
    stages = Stages(
        model,
        model.native,
        functions,
        contexts,
        default_accept=accept,
        stack_rows=hooks.stack_rows,
    )
    return stages.model(settings)


def _check(hooks: Hooks, program: Path) -> None:
    names = hooks.functions.keys()
    parts = sorted(names & {"input_fn", "predict_fn", "output_fn"})
    if "transform_fn" in names and parts:
        raise ModelLoadError(
            f"{program.name} has transform_fn, which does all of a request, and {', '.join(parts)} "
            "too, which would never be called; remove one or the other."
        )
    if hooks.stack_rows:
        takers = [hooks.functions.get(name) for name in ("input_fn", "predict_fn")]
        if takers[1] is None or any(function and function.takes_context for function in takers):
            raise ModelLoadError(
                f"{program.name} says stack_rows = True, which needs a predict_fn, and no context "
                "in it or in input_fn: stacked rows belong to several requests."
            )

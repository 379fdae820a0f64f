"""ONNX models optimised once by ONNX Runtime, rather than whenever they are loaded."""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from serving.compilation import answers, folders, onnx_models, timing
from serving.compilation.timing import Speed
from serving.engines import onnx
from serving.settings import Settings

LEVELS = {
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
"""How much is done: rewriting that any runtime understands; fused operators of ONNX Runtime's own
besides; layouts of this machine's processor besides."""

ERROR = 3
"""ONNX Runtime's severity: at level ``all`` it warns that the file is for this machine."""


class Optimised(NamedTuple):
    """A model directory that was made."""

    folder: Path
    file: str
    nodes: tuple[int, int]
    """Of the graph, before and after."""
    source: str
    """What the answers were compared for."""
    difference: float
    """The largest of two answers."""
    speed: list[Speed]
    """Of loading and of predictions."""


def optimise(
    folder: Path, output: Path, settings: Settings, *, sample: Path | None, level: str
) -> Optimised:
    """Make a model directory of one with an ONNX model, whose graph is optimised.

    Args:
        folder: The model directory; what else is in it is copied.
        output: The directory to make.
        settings: How the model is loaded.
        sample: A file with rows for which the answers are compared; none: made-up ones.
        level: One of LEVELS.

    Raises:
        SettingError: there is an output already, or the sample does not fit the model.
        ModelLoadError: there is no ONNX model, it cannot be optimised, or the answers differ; names
            the worst row.
    """
    folders.check(folder, output)
    original = onnx_models.read(folder, settings, sample)
    expected = onnx_models.answers(original.model, original.calls, original.source)
    with onnx_models.written(original, output) as path:
        onnx_models.attempt("optimised", partial(_write, original.path, path, level))
        model = onnx.load([path], settings)
        found = onnx_models.answers(model, original.calls, original.source)
        difference = answers.check(expected, found, original.source)
        opens = [partial(onnx.open_session, each, settings) for each in (original.path, path)]
        speed = [Speed("loading", *timing.medians(opens))]
        speed += onnx_models.compare_speed(original, model)
        nodes = _nodes(original.path), _nodes(path)
    return Optimised(output, path.name, nodes, original.source, difference, speed)


def _write(source: Path, target: Path, level: str) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, LEVELS[level])
    options.optimized_model_filepath = str(target)
    options.log_severity_level = ERROR
    onnxruntime.InferenceSession(source, options, ["CPUExecutionProvider"])


def _nodes(path: Path) -> int:
    import onnx as library

    model: Any = library.load(path, load_external_data=False)
    return len(model.graph.node)

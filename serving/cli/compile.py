"""``serving compile``: make a model directory that answers faster, or on a certain machine."""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from serving import workforce
from serving.cli.common import Environment, read_settings
from serving.errors import SettingError
from serving.preparing import model_folder, with_code
from serving.settings import Settings

if TYPE_CHECKING:
    from serving.compilation.answers import Difference
    from serving.compilation.timing import Speed

LEVELS = ("basic", "extended", "all")

BELONG = {
    "batch_sizes": "neuron",
    "target": "neuron",
    "level": "optimize",
    "labels": "int8",
    "static": "int8",
    "tolerance": "int8",
}
"""Options that are for one target only."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("source", metavar="MODEL", help="model directory, archive or URL")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("compiled"), help="directory to make [compiled]"
    )
    parser.add_argument(
        "--sample",
        type=Path,
        metavar="FILE",
        help="the body of a request, of the media type of its suffix; its rows are compared",
    )
    group = parser.add_mutually_exclusive_group(required=True)
    for name, summary in {
        "onnx": "an XGBoost model for ONNX Runtime, if it answers the same",
        "optimize": "an ONNX model with its graph optimised, if it answers the same",
        "int8": "an ONNX model quantised to 8-bit integers, and what that costs in accuracy",
        "neuron": "for AWS's Inferentia and Trainium, with torch_neuronx",
    }.items():
        group.add_argument(f"--{name}", dest="to", action="store_const", const=name, help=summary)
    optimize = parser.add_argument_group("with --optimize")
    optimize.add_argument(
        "--level",
        choices=LEVELS,
        help="basic, extended: with ONNX Runtime's own operators, or all: for processors such as "
        "this machine's only [extended]",
    )
    int8 = parser.add_argument_group("with --int8, which needs --sample")
    int8.add_argument("--labels", type=Path, metavar="FILE", help="the class of each row, a line")
    int8.add_argument(
        "--static",
        action="store_const",
        const=True,
        help="calibrate with every other row of the sample; for convolutions",
    )
    int8.add_argument(
        "--tolerance", type=_distance, metavar="X", help="largest difference of two answers allowed"
    )
    neuron = parser.add_argument_group("with --neuron, which needs --sample")
    neuron.add_argument(
        "--batch-sizes",
        type=_sizes,
        metavar="N,N",
        help="numbers of rows to compile for; others are filled up to the next [1,8]",
    )
    neuron.add_argument(
        "--target",
        metavar="NAME",
        help="what to compile for where there is no NeuronCore, such as inf2 or trn1",
    )


def run(options: argparse.Namespace, environment: Environment) -> int:
    """Compile, and say what was made.

    Raises:
        ConfigurationError: that is not possible; says why.
    """
    for name, target in BELONG.items():
        if getattr(options, name) is not None and target != options.to:
            raise SettingError(f"--{name.replace('_', '-')} goes with --{target}.")
    if options.to in ("int8", "neuron") and options.sample is None:
        raise SettingError(f"--{options.to} needs --sample, a file with the body of a request.")
    settings = read_settings(options, environment)
    folder = model_folder(options.source, settings)
    settings = _as_served(with_code(settings, folder), folder)
    told = TARGETS[options.to](options, folder, settings)
    print(f"{options.output}: {told.made}")
    print(*told.findings, sep="\n", end="\n" * bool(told.findings))
    if told.speed:
        print("\n" + "\n".join(_table(told, settings.model_threads)))
    return 0


class Told(NamedTuple):
    """What a compilation has to say."""

    made: str
    """Names of files."""
    findings: list[str]
    """Lines."""
    columns: tuple[str, str] = ("before", "after")
    figures: Sequence[tuple[str, str, str]] = ()
    """Lines of the table above the times."""
    speed: Sequence["Speed"] = ()


def _as_served(settings: Settings, folder: Path) -> Settings:
    """With as many workers as would serve, so that a model gets the threads that it would have."""
    plan = workforce.plan(settings, workforce.size(folder), workforce.here())
    return replace(settings, workers=plan.workers)


def _onnx(options: argparse.Namespace, folder: Path, settings: Settings) -> Told:
    from serving.compilation import conversion

    made = conversion.convert_model(folder, options.output, settings, options.sample)
    findings = [*made.parity, f"a server on this machine would use {made.libraries}"]
    return Told(", ".join(made.files), findings, ("XGBoost", "ONNX Runtime"), speed=made.speed)


def _optimize(options: argparse.Namespace, folder: Path, settings: Settings) -> Told:
    from serving.compilation import answers, optimization

    level = options.level or "extended"
    made = optimization.optimise(
        folder, options.output, settings, sample=options.sample, level=level
    )
    finding = (
        f"the answers to {made.source} differ by {made.difference:.2g} at most; allowed was "
        f"{answers.TOLERANCE}"
    )
    files = f"{made.file}, {made.nodes[1]} nodes made of {made.nodes[0]}"
    return Told(files, [finding], speed=made.speed)


def _int8(options: argparse.Namespace, folder: Path, settings: Settings) -> Told:
    from serving.compilation import quantization
    from serving.compilation.timing import counted

    made = quantization.quantise(
        folder,
        options.output,
        settings,
        sample=options.sample,
        labels=options.labels,
        static=bool(options.static),
        tolerance=options.tolerance,
    )
    findings = [f"the answers to {made.source}, {counted(made.rows)}:"]
    findings += [f"  {each.output}: {_difference(each)}" for each in made.differences]
    size, other = (f"{size / 1024:,.1f} KB" for size in made.size)
    figures = [("size", size, other)]
    if made.accuracy:
        share, other = (f"{share:.2%}" for share in made.accuracy)
        figures = [("accuracy", share, other), *figures]
    return Told(made.file, findings, figures=figures, speed=made.speed)


def _neuron(options: argparse.Namespace, folder: Path, settings: Settings) -> Told:
    from serving.compilation import neuron

    made = neuron.compile_model(
        folder,
        options.output,
        settings,
        sample=options.sample,
        sizes=options.batch_sizes or (1, 8),
        target=options.target or "",
    )
    left_out = not made.code and (folder / "code").is_dir()
    findings = ["code/ is left out: its model_fn would load another model"] * left_out
    return Told(", ".join(made.files), findings)


TARGETS: dict[str, Callable[[argparse.Namespace, Path, Settings], Told]] = {
    "onnx": _onnx,
    "optimize": _optimize,
    "int8": _int8,
    "neuron": _neuron,
}


def _difference(found: "Difference") -> str:
    words = []
    numbers = not math.isnan(found.largest)
    if numbers:
        words.append(f"differs by {found.largest:.3g} at most, {found.mean:.3g} in the mean")
    if found.same is not None:
        words.append(f"the same {'class' if numbers else 'value'} for {found.same:.2%}")
    return "; ".join(words)


def _table(told: Told, threads: int) -> Iterator[str]:
    """Lines of figures and of times, before and after."""
    line = "{:<12}{:>14}{:>14}"
    yield f"{line.format('', *told.columns)}   {threads} thread{'s' * (threads > 1)}, medians"
    for figures in told.figures:
        yield line.format(*figures)
    for what, before, after in told.speed:
        times = (f"{seconds * 1e6:,.0f} µs" for seconds in (before, after))
        yield f"{line.format(what, *times)}   {before / after:.2f} times as fast"


def _sizes(text: str) -> tuple[int, ...]:
    words = text.split(",")
    if not all(word.strip().isdecimal() and int(word) > 0 for word in words):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers such as 1,8")
    return tuple(sorted({int(word) for word in words}))


def _distance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no distance such as 0.01")
    return value

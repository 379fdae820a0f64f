"""``serving compile``: make a model directory that answers faster, or on a certain machine."""

import argparse
import math
from dataclasses import replace
from pathlib import Path

from serving import workforce
from serving.cli.common import Environment, read_settings
from serving.errors import SettingError
from serving.preparing import model_folder, with_code
from serving.settings import Settings

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
    TARGETS[options.to](options, folder, _as_served(with_code(settings, folder), folder))
    return 0


def _as_served(settings: Settings, folder: Path) -> Settings:
    """With as many workers as would serve, so that a model gets the threads that it would have."""
    plan = workforce.plan(settings, workforce.size(folder), workforce.here())
    return replace(settings, workers=plan.workers)


def _onnx(options: argparse.Namespace, folder: Path, settings: Settings) -> None:
    from serving.compilation import conversion

    made = conversion.convert_model(folder, options.output, settings, options.sample)
    print(f"{made.folder}: {', '.join(made.files)}")
    print(*made.parity, sep="\n")
    _print_head("XGBoost", "ONNX Runtime", settings)
    for speed in made.speed:
        _print_times(_counted(speed.rows), speed.before, speed.after)


def _optimize(options: argparse.Namespace, folder: Path, settings: Settings) -> None:
    from serving.compilation import answers, optimization

    made = optimization.optimise(
        folder,
        options.output,
        settings,
        sample=options.sample,
        level=options.level or "extended",
    )
    print(f"{made.folder}: {made.file}, {made.nodes[1]} nodes made of {made.nodes[0]}")
    print(
        f"the answers to {made.source} differ by {made.difference:.2g} at most; allowed was "
        f"{answers.TOLERANCE}"
    )
    _print_head("before", "after", settings)
    for speed in made.speed:
        _print_times(*speed)


def _int8(options: argparse.Namespace, folder: Path, settings: Settings) -> None:
    from serving.compilation import quantization

    made = quantization.quantise(
        folder,
        options.output,
        settings,
        sample=options.sample,
        labels=options.labels,
        static=bool(options.static),
        tolerance=options.tolerance,
    )
    print(f"{made.folder}: {made.file}")
    print(f"the answers to {made.source}, {_counted(made.rows)}:")
    for each in made.differences:
        words = []
        numbers = not math.isnan(each.largest)
        if numbers:
            words.append(f"differs by {each.largest:.3g} at most, {each.mean:.3g} in the mean")
        if each.same is not None:
            words.append(f"the same {'class' if numbers else 'value'} for {each.same:.2%}")
        print(f"  {each.output}: {'; '.join(words)}")
    _print_head("before", "after", settings)
    if made.accuracy:
        print(f"{'accuracy':<12}{made.accuracy[0]:>14.2%}{made.accuracy[1]:>14.2%}")
    print("{:<12}{:>14}{:>14}".format("size", *(f"{size / 1024:,.1f} KB" for size in made.size)))
    for speed in made.speed:
        _print_times(*speed)


def _neuron(options: argparse.Namespace, folder: Path, settings: Settings) -> None:
    from serving.compilation import neuron

    made = neuron.compile_model(
        folder,
        options.output,
        settings,
        sample=options.sample,
        sizes=options.batch_sizes or (1, 8),
        target=options.target or "",
    )
    print(f"{made.folder}: {', '.join(made.files)}")
    if not made.code and (folder / "code").is_dir():
        print("code/ is left out: its model_fn would load another model")


TARGETS = {"onnx": _onnx, "optimize": _optimize, "int8": _int8, "neuron": _neuron}


def _print_head(before: str, after: str, settings: Settings) -> None:
    threads = settings.model_threads
    print(f"\n{'':<12}{before:>14}{after:>14}   {threads} thread{'s' * (threads > 1)}, medians")


def _print_times(what: str, before: float, after: float) -> None:
    times = "".join(f"{seconds * 1e6:>11,.0f} µs" for seconds in (before, after))
    print(f"{what:<12}{times}   {before / after:.2f} times as fast")


def _counted(rows: int) -> str:
    return f"{rows:,} row{'s' * (rows > 1)}"


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

"""``serving compile``: make a model directory for a certain kind of machine."""

import argparse
from pathlib import Path

from serving.cli.common import Environment, read_settings
from serving.errors import SettingError
from serving.preparing import model_folder, with_code
from serving.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("source", metavar="MODEL", help="model directory, archive or URL")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("compiled"), help="directory to make [compiled]"
    )
    targets = parser.add_mutually_exclusive_group(required=True)
    targets.add_argument(
        "--neuron",
        dest="compile",
        action="store_const",
        const=_neuron,
        help="for AWS's Inferentia and Trainium, with torch_neuronx",
    )
    neuron = parser.add_argument_group("with --neuron")
    neuron.add_argument("--sample", type=Path, metavar="FILE", help="the body of a request")
    neuron.add_argument(
        "--batch-sizes",
        type=_sizes,
        default=(1, 8),
        metavar="N,N",
        help="numbers of rows to compile for; others are filled up to the next [1,8]",
    )
    neuron.add_argument(
        "--target",
        default="",
        metavar="NAME",
        help="what to compile for where there is no NeuronCore, such as inf2 or trn1",
    )


def run(options: argparse.Namespace, environment: Environment) -> int:
    """Compile, and say what was made.

    Raises:
        ConfigurationError: that is not possible; says why.
    """
    settings = read_settings(options, environment)
    folder = model_folder(options.source, settings)
    return int(options.compile(options, folder, with_code(settings, folder)))


def _neuron(options: argparse.Namespace, folder: Path, settings: Settings) -> int:
    from serving.compilation import neuron

    if options.sample is None:
        raise SettingError("--neuron needs --sample, a file with the body of a request.")
    made = neuron.compile_model(
        folder,
        options.output,
        settings,
        sample=options.sample,
        sizes=options.batch_sizes,
        target=options.target,
    )
    print(f"{made.folder}: {', '.join(made.files)}")
    if not made.code and (folder / "code").is_dir():
        print("code/ is left out: its model_fn would load another model")
    return 0


def _sizes(text: str) -> tuple[int, ...]:
    words = text.split(",")
    if not all(word.strip().isdecimal() and int(word) > 0 for word in words):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers such as 1,8")
    return tuple(sorted({int(word) for word in words}))

"""``serving edge``: make a package for Lambda@Edge."""

import argparse
from pathlib import Path

from serving.cli.common import Environment, read_settings
from serving.errors import SettingError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add = parser.add_argument
    add("model", nargs="?", help="model directory, archive or URL")
    add("-o", "--output", type=Path, default=Path("edge.zip"), help="[edge.zip]")
    add("--forward", metavar="URL", help="no model: pass all requests on to the server at URL")
    add("--sample", type=Path, metavar="FILE", help="rows on which a converted model is compared")
    add("--python", default="", metavar="VERSION", help="of Lambda's runtime [this one's, or 3.13]")


def run(options: argparse.Namespace, environment: Environment) -> int:
    """Write the package, and say what is in it.

    Raises:
        ConfigurationError: the model cannot be served at the edge; says why.
    """
    if (options.model is None) == (options.forward is None):
        raise SettingError("Name a model, or a server with --forward URL, and not both.")
    from serving.bundle import edge
    from serving.bundle.archive import Size, mib
    from serving.preparing import model_folder, with_code

    def table(sizes: list[Size]) -> None:
        print(f"{'':<14}{'zipped':>12}{'unzipped':>12}")
        for size in sizes:
            print(f"{size.name:<14}{mib(size.zipped):>12}{mib(size.unzipped):>12}")

    if options.forward is not None:
        table(edge.forward(options.forward, options.output))
        print(f"{options.output}: passes requests on to {options.forward}")
        return 0
    settings = read_settings(options, environment)
    folder = model_folder(options.model, settings)
    built = edge.build(
        folder,
        with_code(settings, folder),
        environment,
        options.output,
        python=options.python,
        sample=options.sample,
    )
    table(built.sizes)
    for sentence in built.parity:
        print(sentence)
    for name, text in sorted(built.variables.items()):
        print(f"{name}={text}")
    tried = "tried out here" if built.tried else "not tried out: this is another Python"
    print(f"{options.output}: for Python {built.python}, {tried}")
    if not built.compiled:
        print(
            f"It has no bytecode, since there is no python{built.python} on the PATH: each start "
            "compiles it first, which takes seconds."
        )
    return 0

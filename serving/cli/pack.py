"""``serving pack``: make a model archive."""

import argparse
from pathlib import Path

from serving import archives
from serving.cli.common import Environment
from serving.progress import Bar


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("folder", type=Path, help="the model directory")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("model.tar.gz"), help="[model.tar.gz]"
    )


def run(options: argparse.Namespace, _environment: Environment) -> int:
    """Pack and say what was made. Raises ArchiveError."""
    with Bar("Packing") as progress:
        packed = archives.pack(options.folder, options.output, progress=progress)
    print(f"{packed.path}: {packed.files} files, {packed.bytes:,} bytes, sha256 {packed.sha256}")
    return 0

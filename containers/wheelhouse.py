"""Fetches all wheels that an image is made of, for a site where no package index answers."""

import os
import subprocess
import sys
import tomllib
from argparse import ArgumentParser, Namespace
from pathlib import Path

from containers.build import extra_indexes
from containers.images import ROOT, Failure, Image, by_name

PIP = ROOT / "build" / "pip"
"""An environment with a pip of its own: Debian's Python has none."""

GLIBC = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014", "manylinux_2_5")
"""Names of platforms that Debian 12 satisfies; pip takes the ones it is told, and no older."""

BUILD = ("hatchling", "pip")
"""What the Dockerfile installs beside an image's extras."""


def arguments(parser: ArgumentParser) -> None:
    """Which wheels, and where they go."""
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--image", default="cpu", metavar="NAME")
    parser.add_argument("--only", metavar="EXTRAS")


def wheelhouse(given: Namespace, images: dict[str, Image]) -> None:
    """Fetches the wheels that the lock names into the folder.

    They are for x86-64, or for this machine's own processor with ``ARCH=aarch64`` in its
    environment.

    Raises:
        Failure: pip does; it says why.
    """
    image = by_name(images, given.image)
    wanted = requirements(image.chosen(given.only))
    if not (PIP / "bin" / "pip").exists():
        subprocess.run([sys.executable, "-m", "venv", PIP], check=True)
    given.folder.mkdir(parents=True, exist_ok=True)
    command = [PIP / "bin" / "pip", "download", "--quiet", "--dest", given.folder]
    command += ["--constraint", ROOT / image.lock, "--only-binary", ":all:"]
    command += ["--python-version", image.python]
    processor = os.environ.get("ARCH", "x86_64")
    for name in GLIBC:
        command += ["--platform", f"{name}_{processor}"]
    for index in extra_indexes(image, image.chosen(given.only)).split():
        command += ["--extra-index-url", index]
    if subprocess.run([*command, *BUILD, *wanted], check=False).returncode != 0:
        raise Failure("pip did not get all wheels; it says why above")
    count = sum(1 for _ in given.folder.glob("*.whl"))
    only = f" --only {given.only}" if given.only else ""
    build = f"./build.sh {image.name}{only} --wheelhouse {given.folder}"
    print(f"{given.folder} has {count} wheels: {build} -- --build-arg PIP_NO_INDEX=1")


def requirements(extras: list[str]) -> list[str]:
    """What the project needs with these extras, as pyproject.toml says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional: dict[str, list[str]] = project["optional-dependencies"]
    return [*project["dependencies"], *(need for extra in extras for need in optional[extra])]

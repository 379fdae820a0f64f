"""Puts an image into one file that a site without a registry can check and load."""

import gzip
import hashlib
import tarfile
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path

from containers.engine import Engine
from containers.images import OCI, reference

LAYERS = "image.tar.gz"
SUMS = "SHA256SUMS"
NOTE = "README"
FAST = 1
"""gzip's level. Most of an image is libraries, which a higher one makes little smaller, slowly."""


def arguments(parser: ArgumentParser) -> None:
    """What is saved, and where to."""
    parser.add_argument("image", metavar="NAME")
    parser.add_argument("folder", type=Path, nargs="?", default=Path(), metavar="DIR")


def save(given: Namespace, engine: Engine) -> Path:
    """Writes NAME-VERSION.tar into the folder: the image, its checksum, and how to load it.

    Raises:
        Failure: the image is not built.
    """
    image = reference(given.image)
    engine.need("save")
    engine.built(image)
    version = engine.inspect(image, f'{{{{index .Config.Labels "{OCI}version"}}}}')
    given.folder.mkdir(parents=True, exist_ok=True)
    archive: Path = given.folder / f"{image.replace('/', '-').replace(':', '-')}-{version}.tar"
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        layers, sums, note = (Path(scratch, name) for name in (LAYERS, SUMS, NOTE))
        with gzip.open(layers, "wb", compresslevel=FAST) as sink:
            engine.pour(sink, "save", image)
        note.write_text(instructions(image, archive.name))
        with layers.open("rb") as source:
            digest = hashlib.file_digest(source, "sha256").hexdigest()
        told = hashlib.sha256(note.read_bytes()).hexdigest()
        sums.write_text(f"{digest}  {LAYERS}\n{told}  {NOTE}\n")
        finished = Path(scratch, archive.name)
        with tarfile.open(finished, "w") as tar:
            for file in (note, sums, layers):
                tar.add(file, file.name)
        finished.replace(archive)
    print(archive)
    return archive


def instructions(image: str, archive: str) -> str:
    """How the image comes out of the archive again."""
    return f"""{image}, to be loaded where no registry answers:

    tar -xf {archive}
    sha256sum --check {SUMS}
    docker load --input {LAYERS}
"""

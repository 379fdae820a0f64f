"""Builds an image with what its site has: an index, certificates, wheels, a base."""

import os
import shlex
import shutil
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from containers.engine import Engine
from containers.images import ROOT, Failure, Image, base_digest, existing, labels, reference

WHEELHOUSE = ROOT / "build" / "wheelhouse"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True)
class Site:
    """What build.sh found out about this machine; empty where it found nothing."""

    base: str = os.environ.get("SITE_BASE", "")
    """Takes the place of Python's public image where no registry answers."""

    ca: str = os.environ.get("SITE_CA", "")
    """The certificates that pip has been told to trust."""

    index: str = os.environ.get("SITE_INDEX", "")
    """The index that pip has been told to use."""

    torch_wheel: str = os.environ.get("SITE_TORCH_WHEEL", "")
    """A wheel of PyTorch for CPUs in a folder that pip has been told of."""


def arguments(parser: ArgumentParser) -> None:
    """The options of a build."""
    parser.add_argument("--only", metavar="EXTRAS")
    parser.add_argument("--base", metavar="IMAGE")
    parser.add_argument("--tag")
    parser.add_argument("--wheelhouse", type=existing, metavar="DIR")
    parser.add_argument("--ca", type=existing, metavar="FILE")
    parser.add_argument("--index", metavar="URL")
    parser.add_argument("--dry-run", action="store_true")


def build(
    image: Image, given: Namespace, engine: Engine, site: Site, docker: Sequence[str]
) -> None:
    """Builds the image by its Dockerfiles, one on the other, or prints how.

    Args:
        image: what is built.
        given: the options of `arguments`.
        engine: builds it.
        site: where it is built.
        docker: more options of `docker build`.

    Raises:
        Failure: an option is wrong, or the engine fails.
    """
    extras = image.chosen(given.only)
    engine.need(image.name)
    slim = f"-{given.only.replace(',', '-')}" if given.only else ""
    tag = given.tag or reference(f"{image.name}{slim}")
    base = given.base or choose_base(image.base, site.base, engine)
    fill_wheelhouse(given.wheelhouse, site.torch_wheel if "torch" in extras else "")
    digests = engine.inspect(base, "{{json .RepoDigests}}") if engine.has(base) else "null"
    labelled = labels(image, extras, base, base_digest(digests))
    options = [*common_options(given, engine, site), *docker]

    below = base
    for number, file in enumerate(image.files, 1):
        last = number == len(image.files)
        made = tag if last else f"{tag}.step{number}"
        command = ["build", *options, "--file", file, "--tag", made]
        command += ["--build-arg", f"BASE_IMAGE={below}"]
        if file == "containers/cpu/Dockerfile":
            command += ["--build-arg", f"EXTRAS={','.join(extras)}"]
            command += ["--build-arg", f"LOCK={image.lock}"]
            command += ["--build-arg", f"PIP_EXTRA_INDEX_URL={extra_indexes(image, extras)}"]
        if last:
            for name, value in labelled.items():
                command += ["--label", f"{name}={value}"]
        command.append(".")
        if given.dry_run:
            print(shlex.join(["docker", *command]))
        else:
            engine.run(*command)
        below = made


def common_options(given: Namespace, engine: Engine, site: Site) -> list[str]:
    """What each of an image's builds is told about the site."""
    options: list[str] = []
    for name in PROXIES:
        if os.environ.get(name):
            options += ["--build-arg", name]
    if index := given.index or site.index:
        options += ["--build-arg", f"PIP_INDEX_URL={index}"]
    if ca := given.ca or site.ca:
        options += ["--secret", f"id=ca,src={ca}"]
    # With an attestation beside it an image becomes a list of manifests, which Lambda refuses.
    if "--provenance" in engine.ask("build", "--help"):
        options.append("--provenance=false")
    return options


def extra_indexes(image: Image, extras: list[str]) -> str:
    """Where pip looks besides; TORCH_INDEX_URL names another place than the list of images."""
    if any(WHEELHOUSE.glob("torch-*")):
        extras = [extra for extra in extras if extra != "torch"]
    places = {extra: place for extra, place in image.indexes.items() if extra in extras}
    chosen = [os.environ.get(f"{extra.upper()}_INDEX_URL", at) for extra, at in places.items()]
    return " ".join(filter(None, chosen))


def choose_base(public: str, own: str, engine: Engine) -> str:
    """The image to build on, fetched or made where it is not here."""
    if engine.has(public):
        return public
    able = public.startswith("python:")
    if not (able and engine.has(own)):
        if engine.can("pull", public):
            return public
        if not able:
            raise Failure(f"{public} is not here and cannot be pulled: --base names another")
        subprocess.run([ROOT / "build.sh", "base"], check=True)
    print(f"{public} is not here: building on {own} instead.", file=sys.stderr)
    return own


def fill_wheelhouse(folder: Path | None, torch_wheel: str) -> None:
    """Lays a folder's wheels where the Dockerfile looks; with none, PyTorch's that is at hand."""
    shutil.rmtree(WHEELHOUSE, ignore_errors=True)
    WHEELHOUSE.mkdir(parents=True)
    wheels = sorted(folder.glob("*.whl")) if folder else []
    if folder and not wheels:
        raise Failure(f"there is no wheel in {folder}")
    if not folder and torch_wheel:
        wheels = [Path(torch_wheel)]
    for wheel in wheels:
        shutil.copy2(wheel, WHEELHOUSE)

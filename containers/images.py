"""The list of images, and the labels that say where one comes from."""

import json
import re
import subprocess
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
LIST = ROOT / "containers" / "images.toml"
REPOSITORY = "hybrid-serving"
OCI = "org.opencontainers.image."
"""Prefix of the labels that https://specs.opencontainers.org/image-spec/annotations/ names."""

EXTRAS = "hybrid-serving.extras"
UNKNOWN = "unknown"
INPUTS = ("LICENSE", "README.md", "constraints.txt", "containers", "pyproject.toml", "serving")
"""What an image is made of."""


class Failure(Exception):
    """What a person gets to read, in one line, when a command cannot do what it is told."""


@dataclass(frozen=True)
class Image:
    """One entry of images.toml, which says what the fields mean."""

    name: str
    description: str
    dockerfiles: list[str]
    base: str
    python: str
    lock: str
    extras: list[str]
    platforms: list[str]
    needs: list[str] = field(default_factory=list)
    indexes: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def files(self) -> list[str]:
        """The Dockerfiles, from the project's root."""
        return [f"containers/{name}/Dockerfile" for name in self.dockerfiles]

    def chosen(self, only: str | None) -> list[str]:
        """The extras that are installed: all, or those asked for, with commas between.

        Raises:
            Failure: one that this image does not have.
        """
        if only is None:
            return [*self.extras, *self.needs]
        for name in only.split(","):
            if name not in self.extras:
                able = f"{', '.join(self.extras[:-1])} and {self.extras[-1]}"
                raise Failure(f"--only takes {able}, with commas between; '{name}' is none")
        return [*only.split(","), *self.needs]


def read(path: Path = LIST) -> dict[str, Image]:
    """All images by name."""
    entries = tomllib.loads(path.read_text())
    return {name: Image(name, **entry) for name, entry in entries.items()}


def reference(name: str) -> str:
    """What an engine calls an image that is known here by its tag alone."""
    return name if ":" in name else f"{REPOSITORY}:{name}"


def version() -> str:
    """The version of the package, as serving/__init__.py has it."""
    found = re.search(
        '^__version__ = "(.*)"', (ROOT / "serving" / "__init__.py").read_text(), re.MULTILINE
    )
    if found is None:
        raise Failure("serving/__init__.py has no __version__")
    return found[1]


def provenance(root: Path = ROOT) -> dict[str, str]:
    """Which source an image is built from, as far as git knows.

    A revision whose files were changed afterwards ends in ``-dirty``. ``created`` is the time of
    the revision and not of the build, so that equal sources make equal labels.
    """
    revision = _git(root, "rev-parse", "HEAD") or UNKNOWN
    if revision != UNKNOWN and _git(root, "status", "--porcelain", "--", *INPUTS):
        revision += "-dirty"
    labels = {
        f"{OCI}revision": revision,
        f"{OCI}source": _public(_git(root, "config", "--get", "remote.origin.url")),
    }
    if created := _git(root, "log", "-1", "--format=%cI"):
        labels[f"{OCI}created"] = created
    return labels


def labels(image: Image, extras: list[str], base: str, digest: str | None) -> dict[str, str]:
    """All labels of an image built on a base; the digest is the base's in its registry, if any."""
    common = {
        f"{OCI}title": REPOSITORY,
        f"{OCI}description": image.description,
        f"{OCI}licenses": "Apache-2.0",
        f"{OCI}version": version(),
        f"{OCI}base.name": base,
        EXTRAS: ",".join(extras),
    }
    if digest:
        common[f"{OCI}base.digest"] = digest
    return common | provenance() | image.labels


def by_name(images: dict[str, Image], name: str) -> Image:
    """One of the images.

    Raises:
        Failure: there is none of that name.
    """
    try:
        return images[name]
    except KeyError:
        raise Failure(f"there is no image {name}, but {', '.join(images)}") from None


def existing(path: str) -> Path:
    """A path on the command line, which leads somewhere.

    Raises:
        Failure: it does not.
    """
    if not Path(path).exists():
        raise Failure(f"there is no {path}")
    return Path(path).resolve()


def base_digest(repository_digests: str) -> str | None:
    """The digest in what an engine tells of an image; none where no registry has it."""
    found: list[str] = json.loads(repository_digests) or []
    return found[0].partition("@")[2] if found else None


def _public(address: str) -> str:
    """A repository's address without a user's name and password; of a path, nothing."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https", "ssh", "git") or not parts.hostname:
        return UNKNOWN
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


def _git(root: Path, *arguments: str) -> str:
    """What git prints; nothing where it fails, or is not there."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""

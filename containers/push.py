"""Pushes an image to any registry; for Amazon's it also makes the repository and logs in."""

import re
import sys
from argparse import ArgumentParser, Namespace

from containers import ecr
from containers.engine import Engine
from containers.images import OCI, REPOSITORY, UNKNOWN, Failure, reference

TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
SHORT = 12
"""Digits of a revision that tell it from all others, as git and ECR's users write it."""


def arguments(parser: ArgumentParser) -> None:
    """What is pushed, and where to."""
    parser.add_argument("image", metavar="NAME")
    parser.add_argument("--registry", required=True, metavar="HOST[/PREFIX]")
    parser.add_argument("--tag", action="append", default=[])


def push(given: Namespace, engine: Engine) -> None:
    """Pushes an image under all its tags, and prints the one name that never means another.

    Raises:
        Failure: the image is not built, a tag is malformed, or the registry refuses.
    """
    local = reference(given.image)
    engine.need("push")
    engine.built(local)
    kind = local.partition(":")[2]
    host, _, prefix = given.registry.removeprefix("https://").rstrip("/").partition("/")
    path = f"{prefix}/{REPOSITORY}" if prefix else REPOSITORY
    names = [f"{host}/{path}:{tag}" for tag in tags(kind, local, engine, given.tag)]
    if owner := ecr.account(host):
        if ecr.ensure(owner, path):
            print(f"The repository {path} is new.", file=sys.stderr)
        engine.run(
            "login", "--username", "AWS", "--password-stdin", host, stdin=ecr.password(owner)
        )
    for name in names:
        engine.run("tag", local, name)
        engine.run("push", name)
    digests = engine.inspect(names[0], '{{join .RepoDigests "\\n"}}').splitlines()
    print(next(found for found in digests if found.startswith(f"{host}/{path}@")))
    for name in names:
        engine.ask("image", "rm", name)


def tags(kind: str, image: str, engine: Engine, more: list[str]) -> list[str]:
    """The tags of an image: by version and revision, which it bears itself, and those asked for.

    One repository has all kinds of image, so its kind comes first: ``cpu-0.1.0``.
    """
    version, revision = (
        engine.inspect(image, f'{{{{index .Config.Labels "{OCI}{label}"}}}}')
        for label in ("version", "revision")
    )
    digits, dash, changed = revision.partition("-")
    revisions = [] if digits == UNKNOWN else [f"{kind}-{digits[:SHORT]}{dash}{changed}"]
    for tag in more:
        if not TAG.fullmatch(tag):
            raise Failure(f"'{tag}' is no tag: letters, digits, '_', '.' and '-', at most 128")
    return [f"{kind}-{version}", *revisions, *more]

"""What build.sh does with images: ``python -m containers COMMAND``."""

import sys
from argparse import ArgumentParser
from typing import NoReturn

from containers import build, push, save, sizes, wheelhouse
from containers.engine import Engine
from containers.images import Failure, read

VERBS = {"push": push, "save": save, "sizes": sizes, "wheelhouse": wheelhouse}


class Parser(ArgumentParser):
    """Complains as build.sh does: in one line."""

    def error(self, message: str) -> NoReturn:
        """A wrong argument.

        Raises:
            Failure: always.
        """
        raise Failure(f"{self.prog}: {message}")


def main(arguments: list[str]) -> None:
    """Does what the arguments say, the first of which is a command.

    Raises:
        Failure: it cannot be done.
    """
    images, engine = read(), Engine()
    parser = Parser(prog=arguments[0], add_help=False, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in (*images, *VERBS, "list"):
        command = commands.add_parser(name, prog=name, add_help=False, allow_abbrev=False)
        if name != "list":
            VERBS.get(name, build).arguments(command)
    ours, docker = arguments, []
    if "--" in arguments:
        end = arguments.index("--")
        ours, docker = arguments[:end], arguments[end + 1 :]
    given = parser.parse_args(ours)
    match given.command:
        case "list":
            print("\n".join(sizes.listing(images, engine)))
        case "push":
            push.push(given, engine)
        case "save":
            save.save(given, engine)
        case "sizes":
            sizes.sizes(given, images, engine)
        case "wheelhouse":
            wheelhouse.wheelhouse(given, images)
        case name:
            build.build(images[name], given, engine, build.Site(), docker)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failure as failure:
        sys.exit(f"build.sh: {failure}")

"""How large the images are, and what takes the space."""

import json
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path

from containers.engine import Engine
from containers.images import OCI, REPOSITORY, ROOT, Image

PAGE = ROOT / "docs" / "images.md"
BEGIN, END = "<!-- ./build.sh sizes --write -->", "<!-- end -->"
LARGEST = 6
"""Packages that are named for an image."""

MEGA = 1e6
PARTS = """
import json, re, sys
from importlib.metadata import distributions
from pathlib import Path

site = Path(next(path for path in sys.path if path.endswith("site-packages")))
sizes = {}
for entry in site.iterdir():
    size = sum(file.lstat().st_size for file in [entry, *entry.rglob("*")] if file.is_file())
    name = re.sub(r"(-[\\d.+a-z]+\\.dist-info|\\.libs|\\.py|\\.cpython.*)$", "", entry.name)
    sizes[name] = sizes.get(name, 0) + size
print(json.dumps(sizes))
"""
"""Prints the bytes that each Python package of an image takes, those of its libraries included."""


@dataclass(frozen=True)
class Size:
    """Of one image, in bytes."""

    tag: str
    whole: int
    added: int
    """Beside the base image."""

    parts: dict[str, int]


def arguments(parser: ArgumentParser) -> None:
    """Whether the page is to be renewed."""
    parser.add_argument("--write", action="store_true")


def sizes(given: Namespace, images: dict[str, Image], engine: Engine) -> None:
    """Prints the table of all images that are built here, or writes it into docs/images.md."""
    engine.need("sizes")
    tags = engine.ask("image", "ls", "--format", "{{.Tag}}", REPOSITORY).split()
    lines = table([measure(tag, engine) for tag in sorted(tags) if is_built(tag, images)])
    if not given.write:
        print("\n".join(lines))
        return
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text("\n".join([f"{before}{BEGIN}", "", *lines, "", f"{END}{after}"]))


def is_built(tag: str, images: dict[str, Image]) -> bool:
    """Whether a build makes a tag unless it is told another: a name, with --only's extras."""
    name, *only = tag.split("-")
    return name in images and set(only) <= set(images[name].extras)


def measure(tag: str, engine: Engine) -> Size:
    """The size of an image, as its engine counts it, and of the packages in it."""
    image = f"{REPOSITORY}:{tag}"
    whole = int(engine.inspect(image, "{{.Size}}"))
    base = engine.inspect(image, f'{{{{index .Config.Labels "{OCI}base.name"}}}}')
    found = engine.ask("run", "--rm", "--entrypoint", "python", image, "-c", PARTS)
    parts: dict[str, int] = json.loads(found)
    return Size(tag, whole, whole - int(engine.inspect(base, "{{.Size}}")), parts)


def table(measured: list[Size]) -> list[str]:
    """The lines of a table in Markdown."""
    lines = ["| image | MB | added to its base | largest parts |", "|---|---|---|---|"]
    for size in measured:
        ranked = sorted(size.parts.items(), key=lambda part: part[1], reverse=True)[:LARGEST]
        parts = ", ".join(f"{name} {count / MEGA:.0f}" for name, count in ranked)
        row = f"| `{size.tag}` | {size.whole / MEGA:.0f} | {size.added / MEGA:.0f} | {parts} |"
        lines.append(row)
    return lines


def listing(images: dict[str, Image], engine: Engine) -> list[str]:
    """The list of images with what of it is built here, in columns."""
    rows = [("IMAGE", "EXTRAS", "BASE", "PLATFORMS", "SIZE")]
    for image in images.values():
        name = f"{REPOSITORY}:{image.name}"
        size = (
            f"{int(engine.inspect(name, '{{.Size}}')) / MEGA:.0f} MB" if engine.has(name) else "-"
        )
        extras = ",".join([*image.extras, *image.needs])
        rows.append((name, extras, image.base, ",".join(image.platforms), size))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def page_of(path: Path) -> str:
    """The part of a page that `sizes` writes."""
    return path.read_text().partition(BEGIN)[2].partition(END)[0]

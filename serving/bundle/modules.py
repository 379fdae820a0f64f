"""Which of the toolkit's modules one of them needs, itself included, as far as imports tell."""

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The folder with the toolkit's."""


def needed(module: str, libraries: Iterable[str]) -> list[Path]:
    """The files of a module and of all that it imports, in whatever depth, sorted.

    Modules that cannot be imported without other libraries than ``libraries`` are left out, with
    what only they import: they are imported where such a library is there.
    """
    known = {*sys.stdlib_module_names, *libraries, "serving"}
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if name in found or path is None:
            continue
        tree = ast.parse(path.read_text())
        if any(each.partition(".")[0] not in known for each in _imports(tree.body)):
            continue
        found[name] = path
        package = name.rpartition(".")[0]
        waiting += [*_imports(ast.walk(tree)), *([package] if package else [])]
    return sorted(found.values())


def _file(name: str) -> Path | None:
    if name.partition(".")[0] != "serving":
        return None
    path = ROOT.joinpath(*name.split("."))
    return next(
        (each for each in (path / "__init__.py", path.with_suffix(".py")) if each.is_file()), None
    )


def _imports(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """The names that are imported, each of which may be a module or something in one."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)

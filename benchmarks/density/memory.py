"""Memory of a process and of all that it started."""

from pathlib import Path

from serving.footprint import proportional_bytes


def of_tree(pid: int) -> int:
    """Proportional set size of a process and its descendants, in bytes.

    A page that several processes share counts once in all.
    """
    return sum(map(proportional_bytes, tree(pid)))


def tree(pid: int) -> set[int]:
    """A process and its descendants."""
    parents = _parents()
    known, found = set[int](), {pid}
    while found:
        known |= found
        found = {child for child, parent in parents.items() if parent in found} - known
    return known


def _parents() -> dict[int, int]:
    """Each process's parent."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                # The name, in parentheses, may have spaces; the parent is the second field after.
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):  # it has ended since
                continue
            parents[int(folder.name)] = int(fields[1])
    return parents

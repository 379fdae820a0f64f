"""Where a symbolic link in a model's folder may point: to something else in that folder."""

import os
from pathlib import Path, PurePosixPath


def leaves(link: PurePosixPath, target: str) -> bool:
    """Whether a link leaves its folder as written, before anything is looked up.

    Such a link means something else wherever the folder is moved.

    Args:
        link: the link's own path, relative to the folder.
        target: what it points to.
    """
    path = PurePosixPath(os.path.normpath(link.parent / target))
    return path.is_absolute() or ".." in path.parts


def destination(link: Path) -> Path:
    """What a link leads to in the end, through every other link on the way.

    Raises:
        OSError: it leads to nothing, or round in a circle.
    """
    return Path(os.path.realpath(link, strict=True))

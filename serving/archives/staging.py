"""Write beside the target and rename at the end: what bears the final name is always complete."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A path of its own beside ``target``, on the same file system, where nothing exists yet.

    The body makes a file or a folder there and renames it to ``target``. What still bears the
    staged name at the end is removed, whatever happened.
    """
    path = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        yield path
    finally:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

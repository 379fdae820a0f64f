"""The file of keys: how it is read, and who else can."""

import stat
from pathlib import Path

from serving.auth import keys
from serving.auth.keys import Keys
from serving.errors import SettingError


def read(path: Path) -> Keys:
    """The keys in a file.

    Raises:
        SettingError: it cannot be read, or is not as it has to be.
    """
    named = f"SERVING_KEYS={str(path)!r}"
    try:
        return keys.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"{named} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise SettingError(f"{named} is no file of keys: {error}.") from error


def exposed(path: Path) -> bool:
    """Whether there is a file that every user of this machine may read, or write to."""
    try:
        return bool(path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH))
    except OSError:
        return False

"""Authentication: who may ask this server, and for what.

Off unless the settings name a file of keys. With one, a `Guard` stands before the application and
asks every request but a ping for a signature of AWS's kind (`sigv4`) or a bearer token (`bearer`).
A key is for predictions, for the management of models, or for the metrics (`scopes`).
"""

from functools import partial
from pathlib import Path

from serving.auth.advice import advice
from serving.call import Handler
from serving.settings import Settings

__all__ = ["advice", "guarded"]


def guarded(handle: Handler, settings: Settings) -> Handler:
    """``handle`` with a guard before it where the settings name keys, and as it is where not.

    Raises:
        SettingError: the file of keys cannot be read, or is not as it has to be.
    """
    if not settings.keys:
        return handle
    # Imported where there are keys: a Lambda function without them starts sooner.
    from serving.auth import keyfile
    from serving.auth.guard import Guard
    from serving.renewal import Renewed

    path = Path(settings.keys)
    return Guard(handle, Renewed(partial(keyfile.read, path), [path]).current).handle

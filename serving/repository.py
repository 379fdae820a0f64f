"""A model repository: a folder, or an address, with archives and model directories by their paths.

On premises it stands for what SageMaker's platform does on a multi-model endpoint: a model is
fetched when it is first asked for, by the name that the client gives it.
"""

from pathlib import Path

from serving.errors import BadRequest, ModelNotFound

LONGEST_NAME = 1024
"""Characters; SageMaker's limit for X-Amzn-SageMaker-Target-Model."""


class Repository:
    """Where models lie, by name."""

    def __init__(self, root: str) -> None:
        """Take a path, or an address such as ``s3://bucket/models``."""
        self._root = root.rstrip("/")
        self._folder = None if "://" in root else Path(root)

    def url(self, name: str) -> str:
        """Where the model of that name lies.

        Nothing is scanned: a local path is looked at, and an address not even that.

        Raises:
            BadRequest: this can be no name of a model.
            ModelNotFound: there is none.
        """
        check(name)
        if self._folder is None:
            return f"{self._root}/{name}"
        path = self._folder / name
        try:
            path.stat()
        except OSError:  # also where a part of the name is longer than that of a file may be
            raise ModelNotFound(f"Model not found in model store: {name}") from None
        return str(path)


def check(name: str) -> None:
    """Return if the name can be that of a model in a repository. Raises BadRequest if not."""
    parts = name.split("/")
    odd = not name.isprintable() or "\\" in name or "://" in name
    if odd or len(name) > LONGEST_NAME or {"", ".", ".."} & set(parts):
        raise BadRequest(
            f"{name[:100]!r} cannot be a model; a name is a path in the repository, such as "
            f"team/churn.tar.gz, of at most {LONGEST_NAME:,} characters."
        )

"""Modules that scripts written for AWS's toolkits import, for images that do not have them.

This folder goes to the end of a script's import path: where a toolkit is installed, the toolkit is
what the script gets.
"""

from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
"""What goes on the path."""


class Absent:
    """Stands for a name that scripts import and have no use for while they serve.

    One script often both trains and serves, and imports for both.
    """

    def __init__(self, name: str) -> None:
        if name.rpartition(".")[2].startswith("__"):
            raise AttributeError(name)  # Python looks for names of its own in modules
        self._name = name

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        """Refuse."""
        raise NotImplementedError(
            f"{self._name} is not there: this server has what scripts need to answer requests, "
            "not to train."
        )

    def __getattr__(self, name: str) -> "Absent":
        return Absent(f"{self._name}.{name}")

"""Where a user's script lies, without importing what runs it."""

from pathlib import Path

from serving.errors import ModelLoadError
from serving.settings import Settings

FOLDER = "code"
DEFAULT = "inference.py"


def find(folder: Path, settings: Settings) -> Path | None:
    """The script in a model directory, if it has one.

    Raises:
        ModelLoadError: the settings name a script that is not there.
    """
    name = settings.program if settings.program.endswith(".py") else f"{settings.program}.py"
    code = settings.code_folder(folder)
    program = code / name
    if program.is_file():
        return program
    if name != DEFAULT:
        raise ModelLoadError(
            f"There is no {code.name}/{name} in {code.parent}, which SAGEMAKER_PROGRAM asks for."
        )
    return None

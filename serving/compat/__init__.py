"""Modules that scripts written for AWS's toolkits import, for images that do not have them.

This folder goes to the end of a script's import path: where the toolkit is installed, the toolkit
is what the script gets.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
"""What goes on the path."""

"""The commands that docs/deploying.md tells people to run."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "deploying.md"


def commands(heading: str) -> str:
    """The block of shell commands in the section with that heading."""
    _, _, rest = PAGE.read_text().partition(f"# {heading}\n")
    section = re.split(r"^##+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    (block,) = re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    return str(block)

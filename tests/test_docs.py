"""Every link in the pages leads somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("containers/*.md"),
    *ROOT.glob("benchmarks/*.md"),
    *ROOT.glob("inference_scripts/*.md"),
]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^()\s]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def text(page: Path) -> str:
    """A page without its blocks of code."""
    return FENCED.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """What links to its headings are named, as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", text(page), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_to_a_heading_of_it(page: Path) -> None:
    for link in LINK.findall(text(page)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{link}: there is no {path}"
        if anchor:
            assert anchor in anchors(target), f"{link}: {target.name} has no such heading"


def test_the_pages_are_found_and_have_links() -> None:
    assert sum(len(LINK.findall(text(page))) for page in PAGES) > 10

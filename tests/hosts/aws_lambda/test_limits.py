"""What Lambda cannot do is one table, which the page about it repeats."""

from dataclasses import fields
from pathlib import Path

from serving.hosts.aws_lambda.limits import CANNOT
from serving.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "lambda.md"

SWITCHED_OFF = {"async_output", "sessions", "emf_namespace"}
"""Shown by test_starting.py to be off."""

SHOWN = {"streaming", "size", "batching", "direct"}
"""Shown by test_host.py and test_replies.py; that there is one invocation at a time is Lambda's."""


def test_the_page_has_the_table() -> None:
    lines = PAGE.read_text().splitlines()
    start = lines.index("| elsewhere | on Lambda |") + 2
    rows = [f"| {limit.what} | {limit.instead} |" for limit in CANNOT.values()]
    assert lines[start : start + len(rows)] == rows
    assert lines[start + len(rows)] == ""


def test_a_row_that_is_a_setting_switches_it_off() -> None:
    assert {item.name for item in fields(Settings)} & CANNOT.keys() == SWITCHED_OFF


def test_each_other_row_is_shown_by_a_test() -> None:
    assert CANNOT.keys() - SWITCHED_OFF == SHOWN

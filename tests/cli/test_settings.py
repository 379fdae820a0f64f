"""``serving settings``."""

import re

from serving.configuration import explain
from tests.cli.conftest import Command

LINE = re.compile(r"(?P<name>[A-Z_]+)(?: or [A-Z_]+)* = (?P<value>.+?)   \[(?P<source>.+)\]")


def test_every_setting_is_printed_with_its_value_and_its_source(command: Command) -> None:
    result = command("settings", "--port", "9000", SERVING_MODEL="/m", OMP_NUM_THREADS="3")
    assert (result.status, result.err) == (0, "")
    printed = {}
    for line in result.out.splitlines():
        if not line.startswith("    "):
            match = LINE.fullmatch(line)
            assert match, line
            printed[match["name"]] = (match["value"], match["source"])
    assert len(printed) == len(explain({}))
    assert printed["SAGEMAKER_BIND_TO_PORT"] == ("9000", "command line")
    assert printed["SERVING_MODEL"] == ("/m", "SERVING_MODEL")
    assert printed["SERVING_THREADS"] == ("3", "OMP_NUM_THREADS")
    assert printed["SERVING_ENGINE"] == ("(none)", "default")
    assert all(origin.meaning in result.out for origin in explain({}))


def test_a_bad_value_is_refused_in_one_line(command: Command) -> None:
    result = command("settings", SERVING_MAX_QUEUE="many")
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        "serving: SERVING_MAX_QUEUE='many' is not allowed; it takes a whole number from 1 to "
        "1,000,000.\n"
    )


def test_so_is_a_bad_option(command: Command) -> None:
    result = command("settings", "--workers", "0")
    assert result.status == 2
    assert result.err.startswith("serving: --workers='0' is not allowed")

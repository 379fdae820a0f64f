"""``serving settings --markdown``: the page in docs."""

from dataclasses import fields
from pathlib import Path

import pytest

from serving.cli import main
from serving.environment import INSTEAD
from serving.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_in_docs_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--markdown"]) == 0
    assert capsys.readouterr().out == PAGE.read_text()


def test_the_page_is_the_same_whatever_is_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", "9000")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    main(["settings", "--markdown"])
    assert capsys.readouterr().out == PAGE.read_text()


def test_the_page_has_a_row_for_each_variable() -> None:
    known = [name for field in fields(Settings) for name in field.metadata["variables"]]
    rows = [line.split("`")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert rows == [*known, *INSTEAD]


def test_a_setting_is_printed_in_the_unit_of_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MAX_CONTENT_LENGTH", "6291456")
    assert main(["settings"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "SAGEMAKER_MAX_PAYLOAD_IN_MB = 6   [MAX_CONTENT_LENGTH]" in lines
    assert "    Also read: MAX_CONTENT_LENGTH, SAGEMAKER_MAX_REQUEST_SIZE." in lines

"""The progress bar: what a terminal sees, and that nothing else sees anything."""

import io
from collections.abc import Iterator

import pytest

from serving.progress import Bar, silent


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        """What was drawn on the one line, one after the other."""
        return self.getvalue().replace("\x1b[K", "").split("\r")[1:]


@pytest.fixture(autouse=True)
def columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def ticking(step: float) -> Iterator[float]:
    now = 0.0
    while True:
        yield now
        now += step


def test_a_known_total_is_drawn_as_a_bar() -> None:
    terminal = Terminal()
    with Bar("Packing", terminal, ticking(1.0).__next__) as progress:
        progress(0, 4_000_000)
        progress(2_000_000, 4_000_000)
        progress(4_000_000, 4_000_000)
    assert terminal.lines()[:3] == [
        "Packing  [                        ]   0%  0.0 MB of 4.0 MB",
        "Packing  [############            ]  50%  2.0 MB of 4.0 MB",
        "Packing  [########################] 100%  4.0 MB of 4.0 MB",
    ]


def test_an_unknown_total_is_drawn_as_a_count() -> None:
    terminal = Terminal()
    with Bar("Downloading", terminal) as progress:
        progress(12_345_678, None)
    assert terminal.lines()[0] == "Downloading  12.3 MB"


def test_gigabytes_are_drawn_as_such() -> None:
    terminal = Terminal()
    with Bar("Downloading", terminal) as progress:
        progress(1_500_000_000, None)
    assert terminal.lines()[0] == "Downloading  1.50 GB"


def test_it_is_drawn_at_a_modest_rate_and_the_end_always() -> None:
    terminal = Terminal()
    with Bar("Packing", terminal, ticking(0.001).__next__) as progress:
        for done in range(151):
            progress(done * 10_000, 1_500_000)
    assert [line.split("%")[0][-4:] for line in terminal.lines()] == ["   0", "  67", " 100"]


def test_it_ends_with_a_new_line_whatever_happens() -> None:
    terminal = Terminal()

    def work() -> None:
        with Bar("Packing", terminal) as progress:
            progress(1, 2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert terminal.getvalue().endswith("\n")
    assert terminal.getvalue().count("\n") == 1


def test_work_that_never_reports_draws_nothing() -> None:
    terminal = Terminal()
    with Bar("Packing", terminal):
        pass
    assert terminal.getvalue() == ""


def test_more_than_the_total_is_not_more_than_all() -> None:
    terminal = Terminal()
    with Bar("Packing", terminal) as progress:
        progress(3, 2)
    assert "100%" in terminal.getvalue()


def test_a_line_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    terminal = Terminal()
    with Bar("A long label", terminal) as progress:
        progress(1_000_000, 2_000_000)
    assert {len(line.rstrip("\n")) for line in terminal.lines()} == {29}


def test_where_there_is_no_terminal_nothing_is_written() -> None:
    stream = io.StringIO()
    with Bar("Packing", stream) as progress:
        assert progress is silent
        progress(1, 2)
    assert stream.getvalue() == ""


def test_standard_error_is_where_it_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar("Packing") as progress:
        progress(1, 2)
    assert capsys.readouterr() == ("", "")

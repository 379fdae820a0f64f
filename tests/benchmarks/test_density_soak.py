"""The soak: its models are what they say, it judges what it should, a short one finds nothing."""

from pathlib import Path

import pytest

from benchmarks.density import soak, zoo
from benchmarks.density.soak import MIB, Results, Sample, main, missed, tables
from benchmarks.density.visitor import Answer, Tally
from benchmarks.density.zoo import SHARES, Kind
from serving import archives
from serving.errors import ArchiveError

BEFORE = Sample(60, 100 * MIB, 3, 5, 30)
GOOD = Results(Tally(), BEFORE, BEFORE._replace(seconds=600), 10, 1)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[zoo.Model]:
    return zoo.make(tmp_path_factory.mktemp("zoo"), 12)


def test_the_models_are_of_all_kinds(models: list[zoo.Model]) -> None:
    assert len(models) == 12
    assert {model.kind for model in models} == {*SHARES, Kind.BOOSTER}


def test_no_two_models_and_no_two_versions_answer_alike(models: list[zoo.Model]) -> None:
    good = [model for model in models if not model.complaint]
    for model in good:
        model.publish()
    answers = [answer for model in good for answer in model.answers]
    assert len(answers) == 2 * len(good)
    assert len(set(answers)) == len(answers)


def test_a_corrupt_archive_is_one_and_the_others_are_not(
    models: list[zoo.Model], tmp_path: Path
) -> None:
    for model in models:
        if model.kind is Kind.CORRUPT:
            with pytest.raises(ArchiveError, match="is refused"):
                archives.fetch(str(model.path), tmp_path, limit=MIB)
        else:
            assert any(archives.fetch(str(model.path), tmp_path, limit=MIB).iterdir())


def test_an_answer_is_counted_and_one_that_should_be_another_is_told() -> None:
    tally = Tally()
    tally.count("load", Answer(200, b"all is well"), 200, b"well")
    tally.count("load", Answer(200, b"something else"), 200, b"well")
    tally.count("load", Answer(507, b"well, no"), 200, b"well")
    assert tally.done == {"load: 200": 2, "load: 507": 1}
    assert tally.surprises == ["load: 200 b'something else'", "load: 507 b'well, no'"]


def test_a_good_run_misses_nothing() -> None:
    assert missed(GOOD) == []
    assert missed(GOOD._replace(last=BEFORE._replace(memory=104 * MIB))) == []


@pytest.mark.parametrize(
    ("results", "words"),
    [
        (GOOD._replace(last=BEFORE._replace(memory=106 * MIB)), "changed by 6.0%, not 5% at most"),
        (GOOD._replace(last=BEFORE._replace(memory=94 * MIB)), "changed by -6.0%"),
        (GOOD._replace(last=BEFORE._replace(processes=4)), "more processes"),
        (GOOD._replace(last=BEFORE._replace(files=31)), "more files"),
        (GOOD._replace(workers=2), "1 workers were lost"),
    ],
)
def test_what_is_not_as_it_should_be_is_said(results: Results, words: str) -> None:
    (sentence,) = missed(results)
    assert words in sentence


def test_surprises_are_shown() -> None:
    tally = Tally()
    tally.count("load", Answer(507, b"no"), 200)
    assert missed(GOOD._replace(tally=tally))[1:] == ["load: 507 b'no'"]


def test_the_table_has_the_memory_and_every_kind_of_request() -> None:
    tally = Tally()
    tally.count("load", Answer(200, b""), 200)
    table = tables(GOOD._replace(tally=tally))
    assert "| memory, MiB | 100.0 | 100.0 |" in table
    assert "| load: 200 | 1 |" in table


def test_a_short_run_gets_no_answer_that_it_should_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soak, "GROWTH", 1.0)  # a server that has just begun grows
    assert main(["--minutes", "0.1", "--models", "40", "--check"]) == 0
    printed = capsys.readouterr().out
    assert "| booster, by its target: 200 |" in printed
    assert "| newest version: 200 |" in printed

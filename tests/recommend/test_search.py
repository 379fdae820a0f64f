"""The best of a small grid, in a quarter of the time that all of it would take."""

from itertools import product

import pytest

from serving.recommend.search import SHORT, Candidate, Trial, best

GRID = {
    "workers": ["2", "1"],
    "threads": ["1", "2"],
    "rows": ["1024", "1", "16", "128"],
    "engine": ["", "xgboost", "onnx"],
}
ALL = [tuple(zip(GRID, values, strict=True)) for values in product(*GRID.values())]


def scaling(candidate: Candidate) -> float:
    """Two workers are better than two threads, and both together are too many."""
    given = dict(candidate)
    used = int(given["workers"]) * int(given["threads"])
    return {1: 500.0, 2: 900.0, 4: 700.0}[used] + 50 * (given["workers"] == "2")


def batching(candidate: Candidate) -> float:
    given = dict(candidate)
    rows = {"1": 0.3, "16": 0.9, "128": 1.0, "1024": 0.95}[given["rows"]]
    return scaling(candidate) * rows


def library(candidate: Candidate) -> float:
    """The one is faster for small batches, the other for large ones; what chooses costs little."""
    given = dict(candidate)
    small = given["rows"] in ("1", "16")
    if not given["engine"]:
        return batching(candidate) * 1.59
    return batching(candidate) * (1.6 if (given["engine"] == "onnx") == small else 1.0)


def too_slow(candidate: Candidate) -> float:
    """Only batches of one row are in time."""
    given = dict(candidate)
    return scaling(candidate) if given["rows"] == "1" else -float(given["rows"])


@pytest.mark.parametrize("surface", [scaling, batching, library, too_slow])
def test_the_best_is_found_in_a_quarter_of_the_time(surface: object) -> None:
    assert callable(surface)
    spent = 0.0

    def measure(candidate: Candidate, effort: float) -> float:
        nonlocal spent
        spent += effort
        score: float = surface(candidate)
        return score

    leader, tried = best(GRID, measure)
    assert leader.score == max(surface(candidate) for candidate in ALL)
    assert spent <= len(ALL) / 4
    assert leader in tried


def test_what_is_far_behind_gets_no_long_trial() -> None:
    efforts: dict[str, list[float]] = {"good": [], "bad": []}

    def measure(candidate: Candidate, effort: float) -> float:
        ((_, value),) = candidate
        efforts[value].append(effort)
        return 100.0 if value == "good" else 10.0

    leader, _ = best({"quality": ["good", "bad"]}, measure)
    assert leader == Trial((("quality", "good"),), 100.0, whole=True)
    assert efforts == {"good": [SHORT, 1.0], "bad": [SHORT]}


def test_a_short_trial_alone_makes_no_leader() -> None:
    """The second looks better at first, and is not."""

    def measure(candidate: Candidate, effort: float) -> float:
        ((_, value),) = candidate
        return {("a", SHORT): 90.0, ("a", 1.0): 100.0, ("b", SHORT): 150.0, ("b", 1.0): 80.0}[
            value, effort
        ]

    leader, _ = best({"x": ["a", "b"]}, measure)
    assert leader.candidate == (("x", "a"),)

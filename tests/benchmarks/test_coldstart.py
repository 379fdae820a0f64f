"""The cold start benchmark's own arithmetic."""

from benchmarks.coldstart.report import Result, missed, table

FAST = Result("xgboost", bare=[1.0, 2.0, 1.0], ours=[1.2, 2.0, 1.1])
SLOW = Result("onnx", bare=[1.0], ours=[1.31])


def test_the_ratio_is_the_median_of_the_rounds() -> None:
    assert FAST.ratio == 1.1


def test_the_table_has_medians_and_the_lowest_in_milliseconds() -> None:
    assert table([FAST, SLOW]).splitlines() == [
        "| model | bare, ms | lowest | ours, ms | lowest | ratio |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| xgboost | 1000 | 1000 | 1200 | 1100 | 1.10 |",
        "| onnx | 1000 | 1000 | 1310 | 1310 | 1.31 |",
    ]


def test_a_bar_that_is_missed_is_named() -> None:
    assert missed(FAST) == []
    assert missed(SLOW) == ["onnx: the first answer takes 1.31 times; the bar is 1.3."]

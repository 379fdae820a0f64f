"""Whether a UBJSON document is whole: every cut is seen, nothing whole is refused."""

import numpy as np
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from serving.engines.ubjson import check


def text(value: bytes) -> bytes:
    return b"L" + len(value).to_bytes(8, "big") + value


def count(number: int) -> bytes:
    return b"L" + number.to_bytes(8, "big", signed=True)


SCALARS = st.sampled_from(
    [
        *(b"Z", b"T", b"F", b"i\x01", b"U\xff", b"C}", b"I\x00\x01", b"l\x00\x00\x00]"),
        *(b"d\x7f\x80\x00\x00", b"L" + b"]" * 8, b"D" + b"}" * 8, b"S" + text(b"a}]b")),
    ]
)
ARRAYS = st.tuples(st.sampled_from([b"d4", b"l4", b"L8", b"U1"]), st.integers(0, 9)).map(
    lambda kind: b"[$" + kind[0][:1] + b"#" + count(kind[1]) + b"]" * (kind[1] * int(kind[0][1:]))
)
DOCUMENTS = st.recursive(
    SCALARS | ARRAYS,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda values: b"[" + b"".join(values) + b"]")
        | st.lists(inner, max_size=4).map(lambda v: b"[#" + count(len(v)) + b"".join(v))
        | st.lists(inner, max_size=4).map(
            lambda values: b"{" + b"".join(text(b"key}") + value for value in values) + b"}"
        )
    ),
    max_leaves=12,
)


@given(DOCUMENTS)
def test_what_is_whole_passes_and_no_cut_does(document: bytes) -> None:
    check(document)
    for length in range(len(document)):
        with pytest.raises(ValueError, match=f"it ends at byte {length}, before it is complete"):
            check(document[:length])


@given(st.binary(max_size=60) | st.binary(max_size=60).map(b"{L".__add__))
def test_any_bytes_are_whole_or_not(content: bytes) -> None:
    try:
        check(content)
    except ValueError as error:
        assert str(error).startswith("it ")  # noqa: PT017 - bytes may be whole by chance


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it ends at byte 0"),
        (b"x", "it has no value at byte 0, where one should be"),
        (b"[ZxZ]", "it has no value at byte 2"),
        (b"[$x#" + count(1), "it has no value at byte 2"),
        (b"{i\x01aZ}", "it has no length at byte 1"),
        (b"[$dL", "it has no length at byte 3"),
        (b"S" + count(-1), "it has a negative length at byte 2"),
        (b"[$L#" + count(2**62), "it ends at byte 13"),
        (b"[#" + count(2**62) + b"Z", "it ends at byte 12"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(content)


@pytest.mark.parametrize(
    "kind", ["squarederror", "logistic", "softprob", "linear", "dart", "stopped"]
)
def test_every_booster_is_whole_and_no_cut_of_it_is(
    kind: str, boosters: dict[str, xgboost.Booster]
) -> None:
    content = bytes(boosters[kind].save_raw("ubj"))
    check(content)
    for length in range(0, len(content), 97):
        with pytest.raises(ValueError, match=f"it ends at byte {length}"):
            check(content[:length])


def test_so_is_one_with_names_categories_and_attributes(table: NDArray[np.float32]) -> None:
    rows = np.abs(np.nan_to_num(table)).round()
    matrix = xgboost.DMatrix(
        rows,
        rows.sum(axis=1),
        feature_names=["größe", "b", "c", "d", "e"],
        feature_types=["c", "q", "int", "i", "float"],
        enable_categorical=True,
    )
    booster = xgboost.train({"max_cat_to_onehot": 1, "nthread": 1}, matrix, 3)
    booster.set_attr(note="a}]{")
    check(bytes(booster.save_raw("ubj")))

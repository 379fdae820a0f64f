"""Python's numbers into arrays: what is packed is what NumPy would make, and the rest is left."""

import math

import numpy as np
import pytest

from serving.codecs.numbers import PACKABLE, nested, pack

FLOAT32 = np.dtype(np.float32)
INT64 = np.dtype(np.int64)


@pytest.mark.parametrize("letter", PACKABLE)
def test_numbers_are_packed_as_every_type(letter: str) -> None:
    dtype = np.dtype(letter)

    array = pack([1, 2, 3, 4], (2, 2), dtype)

    assert array is not None
    assert array.dtype == dtype
    assert array.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("value", ["1", None, [1.0], b"1", 10**400, {}])
def test_what_is_no_number_of_the_type_is_not_packed(value: object) -> None:
    assert pack([0.5, value], (2,), FLOAT32) is None


@pytest.mark.parametrize("value", [0.5, 2**63, "1"])
def test_what_is_no_integer_of_the_type_is_not_packed(value: object) -> None:
    assert pack([value], (1,), INT64) is None


def test_integers_are_exact_beyond_what_a_double_holds() -> None:
    array = pack([2**53 + 1], (1,), INT64)

    assert array is not None
    assert array.tolist() == [2**53 + 1]


def test_doubles_are_rounded_as_numpy_rounds_them() -> None:
    values = [0.1, 1 / 3, 1 + 2**-24, 1e-45, -0.0, math.pi, 1e300, -1e300]

    array = pack(values, (8,), FLOAT32)

    assert array is not None
    with np.errstate(over="ignore"):
        assert array.tobytes() == np.array(values, np.float32).tobytes()


@pytest.mark.parametrize(
    "value", [[1, 2.5], [[1, 2], [3, 4]], [[[1.5], [2]], [[3], [4]], [[5], [6]]], [True, False]]
)
def test_nested_lists_have_the_shape_that_numpy_gives_them(value: list[object]) -> None:
    array = nested(value, FLOAT32)

    assert array is not None
    assert np.array_equal(array, np.array(value, np.float32))


@pytest.mark.parametrize(
    "value",
    [
        *([], [[]], [[], []], {}, 1.5, "12", None),
        *([[1, 2], [3]], [1, [2]], [[1], 2], [["12"], ["34"]], [[1], {"a": 1}], [[1], "2"]),
    ],
)
def test_what_is_ragged_empty_or_no_list_of_numbers_is_not_packed(value: object) -> None:
    assert nested(value, FLOAT32) is None


def test_types_that_struct_does_not_have_are_not_packed() -> None:
    assert nested([0.5], np.dtype(np.float16)) is None

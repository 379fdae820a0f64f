"""The exceptions of the API: what their docstring draws, and what becomes of the core's answers."""

import re

from serving.runtime import faults
from serving.runtime.faults import Fault, ValidationError
from serving.values import Response

KINDS = {
    name: value
    for name, value in vars(faults).items()
    if isinstance(value, type) and issubclass(value, Fault) and value is not Fault
}
ROW = re.compile(r"[├└]── (\w+) +(\d+)")


def test_the_docstring_draws_what_there_is() -> None:
    assert faults.__doc__ is not None
    drawn = {name: int(status) for name, status in ROW.findall(faults.__doc__)}
    assert drawn == {name: kind.status for name, kind in KINDS.items()}


def test_their_codes_are_the_names_of_the_classes() -> None:
    assert {kind.type for kind in KINDS.values()} == KINDS.keys()


def test_a_message_is_cut_and_can_always_be_written() -> None:
    answer = faults.response(ValidationError("\udcff" + "x" * 5000))
    assert answer.body == b'{"Message":"?' + b"x" * (faults.MAX_MESSAGE - 1) + b'"}'


def test_a_response_names_its_error_for_the_client() -> None:
    error = ValidationError("No.")
    error.headers = (("retry-after", "1"),)
    assert faults.response(error, (("x-amzn-requestid", "7"),)) == Response(
        400,
        b'{"Message":"No."}',
        "application/json",
        (
            ("x-amzn-errortype", "ValidationError"),
            ("retry-after", "1"),
            ("x-amzn-requestid", "7"),
        ),
    )

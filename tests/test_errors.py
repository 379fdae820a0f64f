"""The tree of errors: what the docstring draws is what there is."""

import re

import pytest

from serving import errors
from serving.errors import ConfigurationError, RequestError, ServingError

KINDS = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, ServingError)
}
ROW = re.compile(r"^(?P<lead>[ │├└─]*)(?P<name>[A-Z]\w+)(?: +(?P<status>\d{3}))?", re.MULTILINE)


def test_the_tree_in_the_docstring_is_the_tree_of_classes() -> None:
    assert errors.__doc__ is not None
    branches: list[tuple[int, type[ServingError]]] = []
    drawn = errors.__doc__.partition("::")[2]
    for row in ROW.finditer(drawn):
        kind, depth = KINDS[row["name"]], len(row["lead"])
        while branches and branches[-1][0] >= depth:
            branches.pop()
        if branches:
            assert kind.__bases__ == (branches[-1][1],)
        if row["status"]:
            assert kind.status == int(row["status"])
        branches.append((depth, kind))
    assert {row["name"] for row in ROW.finditer(drawn)} == KINDS.keys()


@pytest.mark.parametrize("kind", list(KINDS.values()), ids=lambda kind: kind.__name__)
def test_a_status_says_whose_fault_it_is(kind: type[ServingError]) -> None:
    assert (400 <= kind.status < 500) is issubclass(kind, RequestError)
    assert 400 <= kind.status < 600
    assert str(kind("What is wrong.")) == "What is wrong."


def test_the_operators_errors_are_no_clients_errors() -> None:
    assert not issubclass(ConfigurationError, RequestError)

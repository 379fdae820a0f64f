"""The core answers each case as the table says."""

import pytest

from tests.contract.cases import CASES, Case
from tests.contract.conftest import Ask


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.model}: {case.name}")
def test_the_core_answers_as_the_table_says(case: Case, core: Ask) -> None:
    answer = core(case.model, case.request)
    headers = dict(case.headers)
    if case.content_type:
        headers["content-type"] = case.content_type
    assert (answer.status, answer.headers) == (case.status, headers), answer.body
    if isinstance(case.body, bytes):
        assert answer.body == case.body
    else:
        case.body(answer.body)


def test_each_case_has_a_name_of_its_own() -> None:
    names = [(case.model, case.name) for case in CASES]
    assert len(set(names)) == len(names)

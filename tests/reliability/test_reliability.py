"""After each fault the server answers the next good request, and the page in docs says so."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.reliability.bench import Bench
from tests.reliability.fault import Fault
from tests.reliability.page import FAULTS, PATH, page


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with closing(Bench(tmp_path_factory.mktemp("bench"))) as bench:
        yield bench


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_has_its_outcome_and_the_next_request_is_answered(
    fault: Fault, bench: Bench
) -> None:
    assert bench.try_out(fault) == fault.outcome


def test_the_page_in_docs_is_up_to_date() -> None:
    assert page(lambda fault: fault.outcome) == PATH.read_text()


def test_each_fault_has_a_name_of_its_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)

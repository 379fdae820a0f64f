"""What a request is called."""

import uuid

import pytest

from serving import identity


@pytest.mark.parametrize("field", identity.NAMES)
def test_a_client_names_its_request(field: str) -> None:
    assert identity.given({field: " a-1 "}) == identity.of({field: " a-1 "}) == "a-1"


def test_of_several_names_sagemakers_comes_first() -> None:
    headers = {"x-request-id": "c", "x-amzn-requestid": "b", "x-amzn-sagemaker-inference-id": "a"}
    assert identity.given(headers) == "a"


@pytest.mark.parametrize("name", ["", " ", "x" * 129, "a\tb", "naïve", "a\x7f", "\u2028"])
def test_a_name_that_is_not_fit_to_be_shown_is_not_taken(name: str) -> None:
    assert identity.given({"x-amzn-sagemaker-inference-id": name}) == ""
    assert identity.given({"x-amzn-sagemaker-inference-id": name, "x-request-id": "b"}) == "b"


def test_a_request_without_a_name_gets_one_of_its_own() -> None:
    first, second = identity.of({}), identity.of({})
    assert first != second
    assert uuid.UUID(first).version == 4


def test_a_request_without_a_name_gets_one() -> None:
    headers = {"x-request-id": " ", "accept": "text/csv"}
    named = identity.named(headers)
    assert uuid.UUID(identity.given(named))
    assert identity.of(named) == identity.given(named)
    assert named["accept"] == "text/csv"
    assert identity.given(headers) == ""


def test_a_request_keeps_the_name_it_has() -> None:
    headers = {"x-amzn-requestid": "a"}
    assert identity.named(headers) is headers

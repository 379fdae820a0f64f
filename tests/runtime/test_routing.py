"""Which variant and which model answer a request."""

import random
from collections import Counter
from itertools import cycle

import pytest

from serving.runtime.endpoints import Endpoint, Variant
from serving.runtime.faults import ValidationError
from serving.runtime.routing import Route, Router

TWO = Endpoint("fraud", (Variant("stable", "7.tar.gz", 9.0), Variant("next", "8.tar.gz", 1.0)))
MIXED = Endpoint(
    "fraud",
    (Variant("stable", "7.tar.gz"), Variant("free")),
    containers={"prepare": "p.tar.gz"},
    components={"explain": "e.tar.gz", "same": ""},
)


def router(endpoint: Endpoint, *points: float, multi_model: bool = True) -> Router:
    """One whose chances are these, again and again."""
    return Router(endpoint, cycle(points or (0.0,)).__next__, multi_model=multi_model)


@pytest.mark.parametrize(
    ("point", "variant"),
    [(0.0, "stable"), (0.899, "stable"), (0.9, "next"), (1.0 - 2**-53, "next")],
)
def test_a_variant_gets_its_part_of_the_requests(point: float, variant: str) -> None:
    assert router(TWO, point).route({}).variant == variant


def test_in_the_long_run_the_parts_are_those_of_the_weights() -> None:
    chosen = Router(TWO, random.Random(7).random, multi_model=True)
    counts = Counter(chosen.route({}).variant for _ in range(10_000))
    assert counts["next"] == pytest.approx(1000, rel=0.1)


def test_a_variant_without_weight_is_asked_only_by_name() -> None:
    endpoint = Endpoint("fraud", (Variant("dark", "", 0.0), Variant("a"), Variant("b")))
    chances = [number / 100 for number in range(100)]
    chosen = router(endpoint, *chances, multi_model=False)
    assert {chosen.route({}).variant for _ in chances} == {"a", "b"}
    assert chosen.route({"TargetVariant": "dark"}).variant == "dark"


def test_the_variant_that_a_request_names_wins() -> None:
    assert router(TWO, 0.0).route({"TargetVariant": "next"}) == Route("next", "8.tar.gz")


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(
        ValidationError, match="Endpoint fraud has no variant 'old'; there is stable, next"
    ):
        router(TWO).route({"TargetVariant": "old"})


def test_a_session_keeps_its_variant() -> None:
    chosen = router(TWO, 0.0, 0.95)
    for number in range(200):
        session = {"SessionId": f"session-{number}"}
        assert chosen.route(session) == chosen.route(session)
    variants = {chosen.route({"SessionId": f"session-{n}"}).variant for n in range(200)}
    assert variants == {"stable", "next"}


def test_a_session_that_is_opened_is_any_request() -> None:
    chosen = router(TWO, 0.0, 0.95)
    opened = [chosen.route({"SessionId": "NEW_SESSION"}).variant for _ in range(2)]
    assert opened == ["stable", "next"]


def test_a_request_may_name_a_container_or_a_component_instead_of_the_variants_model() -> None:
    chosen = router(MIXED)
    assert chosen.route({"TargetContainerHostname": "prepare"}) == Route("stable", "p.tar.gz")
    assert chosen.route({"InferenceComponentName": "explain"}) == Route("stable", "e.tar.gz")
    assert chosen.route({"InferenceComponentName": "same"}) == Route("stable", "")


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("TargetContainerHostname", "has no container 'x'; there is prepare"),
        ("InferenceComponentName", "has no inference component 'x'; there is explain, same"),
    ],
)
def test_an_unknown_container_or_component_is_refused(member: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        router(MIXED).route({member: "x"})
    with pytest.raises(ValidationError, match="there is none"):
        router(TWO).route({member: "x"})


def test_where_the_variant_has_no_model_the_request_names_one() -> None:
    chosen = router(MIXED)
    free = {"TargetVariant": "free"}
    assert chosen.route({**free, "TargetModel": "a.tar.gz"}) == Route("free", "a.tar.gz")
    with pytest.raises(ValidationError, match="has several models; name one as TargetModel"):
        chosen.route(free)


def test_where_the_variant_has_a_model_the_request_names_none() -> None:
    with pytest.raises(ValidationError, match="chooses the model itself and takes no TargetModel"):
        router(TWO).route({"TargetModel": "a.tar.gz"})


def test_a_server_of_one_model_takes_no_target_model() -> None:
    chosen = router(Endpoint("churn"), multi_model=False)
    assert chosen.route({}) == Route("AllTraffic", "")
    with pytest.raises(ValidationError, match="has one model and takes no TargetModel"):
        chosen.route({"TargetModel": "a.tar.gz"})


def test_without_a_file_all_names_are_the_one_model() -> None:
    chosen = router(Endpoint("any", open=True), multi_model=False)
    assert chosen.route({}) == Route("AllTraffic", "")
    named = {"TargetVariant": "blue", "TargetContainerHostname": "a", "InferenceComponentName": "b"}
    assert chosen.route(named) == Route("blue", "")


def test_a_route_is_what_the_core_knows_the_model_by() -> None:
    assert Route("a", "b.tar.gz").headers == {"x-amzn-sagemaker-target-model": "b.tar.gz"}
    assert Route("a", "").headers == {}

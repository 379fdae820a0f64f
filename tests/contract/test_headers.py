"""Contract §1.4: SageMaker's header fields reach the script, and come back only if it sets them."""

import json
from pathlib import Path

from tests.contract.cases import JSON, post
from tests.contract.headers import GIVEN, SET
from tests.contract.places import Place


def test_the_fields_of_a_request_reach_the_script(place: Place, mirror: Path) -> None:
    answer = place.serve(mirror).ask(post(b"{}", JSON, **GIVEN))
    seen = json.loads(answer.body)["headers"]
    assert {name: seen.get(name) for name in GIVEN} == GIVEN


def test_a_field_may_be_written_in_any_case(place: Place, mirror: Path) -> None:
    shouted = {name.upper(): value for name, value in GIVEN.items()}
    answer = place.serve(mirror).ask(post(b"{}", JSON, **shouted))
    seen = json.loads(answer.body)["headers"]
    assert {name: seen.get(name) for name in GIVEN} == GIVEN


def test_no_field_comes_back_by_itself(place: Place, mirror: Path) -> None:
    answer = place.serve(mirror).ask(post(b"{}", JSON, **GIVEN))
    assert answer.headers == {"content-type": JSON}


def test_the_fields_that_the_script_sets_come_back(place: Place, mirror: Path) -> None:
    told = json.dumps({"set": SET, "status": 201}).encode()
    answer = place.serve(mirror).ask(post(told, JSON, **GIVEN))
    assert answer.status == 201
    assert answer.headers == {"content-type": JSON, **SET}


def test_what_a_script_sets_for_one_request_is_not_in_the_next(place: Place, mirror: Path) -> None:
    server = place.serve(mirror)
    told = json.dumps({"set": SET}).encode()
    server.ask(post(told, JSON, **GIVEN))
    answer = server.ask(post(b"{}", JSON))
    assert answer.headers == {"content-type": JSON}
    assert not json.loads(answer.body)["headers"].keys() & GIVEN.keys()

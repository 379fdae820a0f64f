"""The Lambda host, asked by each kind of event, answers as the core does."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from awslambdaric.lambda_runtime_exception import FaultException
from awslambdaric.lambda_runtime_marshaller import to_json

from serving.hosts.aws_lambda.host import Host
from tests.conftest import MakeSettings
from tests.contract.cases import CASES, JSON, Case
from tests.contract.conftest import Ask
from tests.hosts.aws_lambda.shapes import SHAPES, Context, Shape, answer, sent


@pytest.fixture(scope="module")
def hosts(models: dict[str, Path], make_settings: MakeSettings) -> Iterator[dict[str, Host]]:
    found = {name: Host(make_settings(), folder) for name, folder in models.items()}
    for host in found.values():
        host.settled()
    yield found
    for host in found.values():
        host.close()


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.model}: {case.name}")
def test_lambda_answers_as_the_core_does(
    case: Case, shape: Shape, hosts: dict[str, Host], core: Ask
) -> None:
    reply = hosts[case.model](sent(shape(case.request)), Context())
    assert answer(json.loads(to_json(reply))) == core(case.model, case.request)


def is_json(case: Case) -> bool:
    """Whether a direct invocation can ask as the case does."""
    request = case.request
    if request.path != "/invocations" or request.headers.get("content-type") != JSON:
        return False
    try:
        json.loads(request.body)
    except ValueError:
        return False
    return request.headers.get("accept", JSON) == JSON


PLAIN = [case for case in CASES if is_json(case)]


@pytest.mark.parametrize("case", PLAIN, ids=lambda case: f"{case.model}: {case.name}")
def test_plain_json_is_answered_with_what_the_core_answers(
    case: Case, hosts: dict[str, Host], core: Ask
) -> None:
    headers = {**case.request.headers, "accept": JSON}
    expected = core(case.model, case.request._replace(headers=headers))
    told = json.loads(expected.body)
    event = json.loads(case.request.body)
    if expected.status == 200:
        assert hosts[case.model](event, Context()) == told
        return
    with pytest.raises(FaultException) as raised:
        hosts[case.model](event, Context())
    assert raised.value.exception_type == told["type"]
    assert raised.value.msg == f"{told['code']}: {told['message']}"


def test_there_are_such_cases_of_both_kinds() -> None:
    assert {case.status for case in PLAIN} >= {200, 400}

"""What is answered under which path, by which method, in which type."""

import json

import pytest

from serving.settings import MIB
from serving.values import Payload, Request, Response
from tests.application.support import SAMPLE, Opened, ask, at_once, problem
from tests.support import Fake, get, post


async def test_an_invocation_is_answered_in_the_default_type(opened: Opened) -> None:
    async with opened(Fake().model(**SAMPLE)) as application:
        answer = await ask(application, post(b"1\n2"))
        assert answer == Response(200, b"2\n4\n", "text/plain")


async def test_the_type_is_the_one_that_accept_prefers(opened: Opened) -> None:
    async with opened(Fake().model()) as application:
        answer = await ask(application, post(b"1", accept="text/plain;q=0.5, text/csv"))
        assert answer.content_type == "text/csv"


async def test_a_script_that_decides_gets_accept_as_it_came(opened: Opened) -> None:
    async with opened(Fake().model("encode", writes=())) as application:
        answer = await ask(application, post(b"1", accept="image/png, */*;q=2"))
        assert answer.content_type == "image/png, */*;q=2"
        assert (await ask(application, post(b"1"))).content_type == ""


@pytest.mark.parametrize("path", ["/", "/ping/", "/invocation", "/PING", "", "/ping?x", "//ping"])
async def test_other_paths_are_not_found_and_those_there_are_are_named(
    opened: Opened, path: str
) -> None:
    async with opened(Fake().model()) as application:
        status, kind, message = problem(at_once(application, get(path)))
        assert (status, kind) == (404, "NotFound")
        assert repr(path) in message
        assert all(known in message for known in application.paths)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/invocations", "POST"),
        ("PUT", "/invocations", "POST"),
        ("POST", "/ping", "GET, HEAD"),
        ("post", "/invocations", "POST"),
        ("POST", "/execution-parameters", "GET"),
    ],
)
async def test_other_methods_are_not_allowed_and_those_that_are_are_named(
    opened: Opened, method: str, path: str, allowed: str
) -> None:
    async with opened(Fake().model()) as application:
        answer = at_once(application, Request(method, path, {}, b""))
        assert problem(answer)[:2] == (405, "MethodNotAllowed")
        assert answer.headers == (("allow", allowed),)


async def test_an_empty_body_is_answered_with_nothing(opened: Opened) -> None:
    fake = Fake()
    async with opened(fake.model()) as application:
        empty = post(accept="image/png", content_type="nonsense")
        assert at_once(application, empty) == Response(204)
        assert fake.threads == {}


async def test_an_empty_body_is_the_scripts_to_judge(opened: Opened) -> None:
    fake = Fake()

    def decode(_request: Request) -> Payload:
        return fake.decode(post(b"7"))

    async with opened(fake.model("decode", decode=decode)) as application:
        assert (await ask(application, post())).body == b"14\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [(post(b"1", accept="image/png"), 406), (post(b"one"), 400), (post(b"1", accept="*;q=x"), 406)],
)
async def test_what_is_refused_costs_no_inference(
    opened: Opened, request_: Request, status: int
) -> None:
    fake = Fake()
    async with opened(fake.model()) as application:
        assert at_once(application, request_).status == status
        assert fake.calls == []


class TestExecutionParameters:
    """What batch transform is told."""

    @pytest.mark.parametrize(
        ("workers", "max_body", "transforms", "payload"),
        [
            (1, 25 * MIB, 1, 25),
            (4, 25 * MIB, 4, 25),
            (8, 25 * MIB, 8, 12),
            (1, 500 * MIB, 1, 100),
            (300, 25 * MIB, 100, 1),
            (0, 25 * MIB, 1, 25),
        ],
    )
    async def test_all_that_is_under_way_is_a_hundred_megabytes_at_most(
        self,
        opened: Opened,
        workers: int,
        max_body: int,
        transforms: int,
        payload: int,
    ) -> None:
        async with opened(Fake().model(), workers=workers, max_body=max_body) as application:
            answer = at_once(application, get("/execution-parameters"))
            assert (answer.status, answer.content_type) == (200, "application/json")
            assert isinstance(answer.body, bytes)
            assert json.loads(answer.body) == {
                "MaxConcurrentTransforms": transforms,
                "BatchStrategy": "MULTI_RECORD",
                "MaxPayloadInMB": payload,
            }

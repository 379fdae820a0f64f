"""What the log says of a failure in a batch: whose it was."""

import logging

import pytest

from serving.call import Call
from serving.execution import Outcome, run
from serving.model import Model
from serving.values import Payload, Prediction, Response
from tests.support import Fake, Recorder, post


def call(model: Model, number: float, name: str) -> Call:
    request = post(b"%g" % number, x_request_id=name)
    made = Call(request, "text/plain", Recorder())
    made.payload = None if "decode" in model.foreign else model.decode(request)
    return made


def statuses(outcome: Outcome) -> list[int]:
    return [answer.status for _, answer in outcome.answers]


def names(caplog: pytest.LogCaptureFixture) -> list[object]:
    return [getattr(record, "request_id", None) for record in caplog.records]


def failing(*_: object) -> Response:
    raise ValueError("no")


def test_one_that_fails_among_others_is_logged_once_with_its_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = Fake().model()
    calls = [call(model, number, name) for number, name in ((1, "a"), (-1, "b"), (2, "c"))]
    assert statuses(run(model, calls)) == [200, 500, 200]
    assert names(caplog) == ["b"]


def test_one_that_is_alone_is_too(caplog: pytest.LogCaptureFixture) -> None:
    model = Fake().model()
    assert statuses(run(model, [call(model, -1, "a")])) == [500]
    assert names(caplog) == ["a"]


@pytest.mark.parametrize("stage", ["decode", "encode"])
def test_so_is_one_whose_body_or_answer_fails(stage: str, caplog: pytest.LogCaptureFixture) -> None:
    model = Fake().model("decode", "encode", **{stage: failing})
    assert statuses(run(model, [call(model, 1, "a")])) == [500]
    assert names(caplog) == ["a"]


def test_a_failure_of_nobody_alone_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    fake = Fake()

    def alone(payload: Payload) -> Prediction:
        if payload.rows > 1:
            raise ValueError("one row at a time")
        return fake.predict(payload)

    model = fake.model(predict=alone)
    outcome = run(model, [call(model, 1, "a"), call(model, 2, "b")])
    assert [answer.body for _, answer in outcome.answers] == [b"2\n", b"4\n"]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == "2 requests failed together, but not alone: one row at a time"

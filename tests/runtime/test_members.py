"""The rules for what a request may say, as the API's definition has them."""

import pytest
from botocore.session import Session

from serving.runtime import members
from serving.runtime.faults import ValidationError
from serving.runtime.members import ASYNC, INVOKE, STREAM, Members

PREFIX = "x-amzn-sagemaker-"
TABLES = {
    "InvokeEndpoint": INVOKE,
    "InvokeEndpointWithResponseStream": STREAM,
    "InvokeEndpointAsync": ASYNC,
}


@pytest.mark.parametrize(("operation", "known"), TABLES.items(), ids=TABLES)
def test_members_come_in_the_header_fields_of_the_definition(
    operation: str, known: Members
) -> None:
    service = Session().get_service_model("sagemaker-runtime")
    shapes = service.operation_model(operation).input_shape.members
    fields = {
        shape.serialization["name"].lower(): name
        for name, shape in shapes.items()
        if shape.serialization.get("location") == "header"
    }
    assert {field: member.name for field, member in known.items()} == fields


@pytest.mark.parametrize(("operation", "known"), TABLES.items(), ids=TABLES)
def test_no_member_may_be_longer_than_in_the_definition(operation: str, known: Members) -> None:
    service = Session().get_service_model("sagemaker-runtime")
    shapes = service.operation_model(operation).input_shape.members
    for member in known.values():
        if shapes[member.name].type_name == "string":
            assert member.rule.most == shapes[member.name].metadata["max"]


@pytest.mark.parametrize(
    ("known", "field", "value"),
    [
        (INVOKE, "content-type", ""),
        (INVOKE, PREFIX + "target-variant", "a--b-1"),
        (INVOKE, PREFIX + "target-model", "folder/model v2.tar.gz"),
        (INVOKE, PREFIX + "session-id", "NEW_SESSION"),
        (STREAM, PREFIX + "session-id", "0a-1b"),
        (ASYNC, PREFIX + "inputlocation", "s3://bucket/key with spaces"),
        (ASYNC, PREFIX + "inputlocation", "https://bucket.s3.amazonaws.com/key?X-Amz-Signature=1"),
        (ASYNC, PREFIX + "inputlocation", "file:///inputs/one.csv"),
        (ASYNC, PREFIX + "inputlocation", "file:/inputs/one.csv"),
        (ASYNC, PREFIX + "filename", "part-1_a.csv"),
        (ASYNC, PREFIX + "s3outputpathextension", "2026/01/(a)'b'!*"),
    ],
)
def test_what_the_rules_allow(known: Members, field: str, value: str) -> None:
    assert members.read({field: value}, known).values == {known[field].name: value}


@pytest.mark.parametrize(
    ("known", "field", "value", "message"),
    [
        (INVOKE, "accept", "t\u00e9xt/csv", r"Accept is 't.xt/csv'; it takes ASCII characters\."),
        (INVOKE, PREFIX + "target-variant", "", "TargetVariant is ''"),
        (INVOKE, PREFIX + "target-variant", "a-", "letters, digits, and hyphens between them"),
        (INVOKE, PREFIX + "target-model", " a", "not a space first"),
        (INVOKE, PREFIX + "enable-explanations", "", "EnableExplanations is ''"),
        (INVOKE, PREFIX + "inference-id", "a\tb", "printable ASCII"),
        (STREAM, PREFIX + "session-id", "NEW_SESSION", "SessionId is 'NEW_SESSION'"),
        (ASYNC, PREFIX + "inputlocation", "s3://", "an address, such as s3://bucket/key"),
        (ASYNC, PREFIX + "inputlocation", "/etc/passwd", "InputLocation is '/etc/passwd'"),
        (ASYNC, PREFIX + "filename", ".hidden", "neither of these three first"),
        (ASYNC, PREFIX + "s3outputpathextension", "s3://elsewhere", "S3OutputPathExtension is"),
        (ASYNC, PREFIX + "s3outputpathextension", "../up", "no part of it begins with a dot"),
        (ASYNC, PREFIX + "s3outputpathextension", "a/.spool", "no part of it begins with a dot"),
        (ASYNC, PREFIX + "requestttlseconds", "1e3", "RequestTTLSeconds is '1e3'; it takes a"),
    ],
)
def test_what_the_rules_refuse(known: Members, field: str, value: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        members.read({field: value}, known)


def test_a_member_may_be_as_long_as_it_may_be() -> None:
    field = PREFIX + "inference-id"
    assert members.read({field: "x" * 64}, INVOKE).passed == {field: "x" * 64}
    with pytest.raises(ValidationError, match="InferenceId has 65 characters; it may have 64"):
        members.read({field: "x" * 65}, INVOKE)


def test_only_what_the_api_knows_is_passed_on_and_what_traces_a_request() -> None:
    trace = {"traceparent": "00-1-2-01", "tracestate": "a=b", "x-amzn-trace-id": "Root=1"}
    headers = {"authorization": "AWS4", "cookie": "a=b", "content-type": "text/csv", **trace}
    assert members.read(headers, INVOKE).passed == {"content-type": "text/csv", **trace}


@pytest.mark.parametrize("number", [0, 11])
def test_a_number_has_bounds(number: int) -> None:
    assert members.whole({}, "Count", 1, 10, 5) == 5
    with pytest.raises(ValidationError, match=f"Count is {number}; it takes 1 to 10"):
        members.whole({"Count": str(number)}, "Count", 1, 10, 5)

"""SageMaker's header fields: those that a model is given, and those that it may set."""

PREFIX = "x-amzn-sagemaker-"
GIVEN = {
    f"{PREFIX}custom-attributes": "c" * 1024,
    f"{PREFIX}target-model": "sub/model.tar.gz",
    f"{PREFIX}inference-id": "i" * 64,
    f"{PREFIX}session-id": "s-1",
    f"{PREFIX}target-variant": "blue",
    f"{PREFIX}target-container-hostname": "second",
    f"{PREFIX}enable-explanations": "`true`",
    f"{PREFIX}inference-component": "component",
    f"{PREFIX}adapter-identifier": "adapter",
    f"{PREFIX}adapter-alias": "alias",
    f"{PREFIX}request-id": "8a6c41f2-0000-4000-8000-000000000000",
}
SET = {
    f"{PREFIX}custom-attributes": "trace=2",
    f"{PREFIX}new-session-id": "s-2; Expires=2027-01-01T00:00:00Z",
    f"{PREFIX}closed-session-id": "s-1",
    "x-amzn-inference-metering": '{"Dimension":"tokens","ConsumedUnits":3}',
}

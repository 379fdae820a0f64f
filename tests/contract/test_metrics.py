"""Contract §1.7: SageMaker reads /metrics on the server's own port, in Prometheus' format."""

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.contract.cases import CSV, get, post
from tests.contract.places import Place
from tests.support import Server


def samples(server: Server) -> dict[str, float]:
    """All values, by their names and labels."""
    answer = server.ask(get("/metrics"))
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.body.decode())
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in families
        for sample in family.samples
    }


def test_requests_are_counted_by_status(place: Place, models: dict[str, Path]) -> None:
    server = place.serve(models["onnx"])
    before = samples(server)
    answers = [server.ask(post(body, CSV)) for body in (b"1,2", b"1,2\n3,4", b"1,2,3")]
    assert [answer.status for answer in answers] == [200, 200, 400]
    after = samples(server)
    for name, count in (
        ("serving_requests_total 200", 2),
        ("serving_requests_total 400", 1),
        ("serving_request_seconds_count", 3),
        ("serving_batch_rows_sum", 3),
    ):
        assert after[name] - before.get(name, 0) == count, name


def test_the_time_of_each_stage_and_what_the_model_takes_are_told(
    place: Place, models: dict[str, Path]
) -> None:
    server = place.serve(models["onnx"])
    server.ask(post(b"1,2", CSV))
    seen = samples(server)
    for stage in ("wait", "decode", "predict", "encode"):
        assert seen[f"serving_stage_seconds_count {stage}"] > 0
    assert seen["serving_model_load_seconds"] > 0
    assert seen["serving_memory_bytes"] > 10_000_000
    assert seen["serving_queue_depth"] == 0


def test_the_counts_are_those_of_all_workers(place: Place, models: dict[str, Path]) -> None:
    server = place.serve(models["onnx"], SAGEMAKER_MODEL_SERVER_WORKERS="2")
    for _ in range(20):
        assert server.ask(post(b"1,2", CSV)).status == 200
    # What another worker counted is told within a second, once it is there.
    server.wait_until(lambda _: samples(server)["serving_workers"] == 2)
    server.wait_until(lambda _: samples(server)["serving_requests_total 200"] == 20)

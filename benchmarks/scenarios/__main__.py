"""Command line: ``python -m benchmarks.scenarios [NAME ...]``."""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import command
from benchmarks.scenarios import scenario
from benchmarks.scenarios.models import MODELS
from benchmarks.scenarios.scenario import Scenario, Variant
from benchmarks.scenarios.server import Conductor, Server
from benchmarks.throughput.workload import FEATURES
from serving.bench import page, payloads, results
from serving.bench.connection import resolve
from serving.bench.engine import Engine
from serving.bench.histogram import Histogram
from serving.bench.target import Message, requests, target, zipf

TARGET_MODEL = "x-amzn-sagemaker-target-model"
TIMEOUT, CONNECTIONS, SEED = 30.0, 1000, 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenarios that are named, or all, and print a table of each."""
    options = _parse(arguments)

    def measure() -> list[str]:
        return [_run(scenario.read(name), options.output) for name in options.names]

    return command.run(measure, "\n\n".join, lambda _: [], check=False)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scenarios", description=__doc__)
    known = scenario.names()
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)} (all)")
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="write a page and the figures of each here"
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(known):
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}")
    options.names = options.names or known
    return options


def _run(given: Scenario, output: Path | None) -> str:
    """Measure all variants; the text has a table of them together."""
    stages: list[dict[str, Any]] = []
    found: dict[str, Any] = {}
    for variant in given.variants:
        print(f"{given.name} {variant.name}".strip(), file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="scenario-") as directory:
            found = _measure(variant, Path(directory))
        for each in found["stages"]:
            name = f"{variant.name}: {each['stage']}" if variant.name else each["stage"]
            stages.append({**each, "stage": name})
    found = {**found, "url": given.name, "stages": stages}
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        (output / f"{given.name}.json").write_text(json.dumps(found, indent=1))
        (output / f"{given.name}.html").write_text(page.page(found))
    return f"**{given.name}**: {given.about}\n\n{results.table(found)}"


def _measure(variant: Variant, directory: Path) -> dict[str, Any]:
    made = MODELS[variant.model](directory)
    cache = {"SERVING_CACHE": str(directory / "cache")}
    server = Server({**made.environment, **cache, **variant.server}, directory)
    if variant.starts:
        return _measure_starts(server, variant)
    where = target(f"http://127.0.0.1:{server.port}", "/invocations")
    body = payloads.made_up(variant.rows, FEATURES, variant.content_type, SEED)
    fields = [{"content-type": variant.content_type}]
    if made.names:
        fields = [{**fields[0], TARGET_MODEL: name} for name in made.names]
    messages = [Message(each, body) for each in fields]
    sent = requests(where, messages, zipf(len(messages), variant.zipf), None, SEED)
    engine = Engine(where, resolve(where), sent, timeout=TIMEOUT, most_connections=CONNECTIONS)
    with server:
        try:
            engine.run(variant.warm_up)
            conductor = Conductor(server, variant.signals)
            conductor.start()
            recorders = [engine.run(stage) for stage in variant.stages]
            conductor.end()
        finally:
            engine.close()
    return results.document(where.url, recorders)


def _measure_starts(server: Server, variant: Variant) -> dict[str, Any]:
    """Start and stop it; the latencies are those of its starts."""
    starts = Histogram()
    for _ in range(variant.starts):
        starts.record(server.start())
        server.stop()
    found = results.document(f"port {server.port}", [])
    stage = {
        "stage": f"{variant.starts} starts",
        "open": False,
        "seconds": 1.0,
        "offered": 0.0,
        "answered": 0.0,
        "statuses": {},
        "failures": {},
        "latency": results.summary(starts),
        "curve": [[share, seconds * 1e3] for share, seconds in starts.curve()],
        "timeline": [],
    }
    return {**found, "stages": [stage]}


if __name__ == "__main__":
    sys.exit(main())

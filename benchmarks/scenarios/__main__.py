"""Command line: ``python -m benchmarks.scenarios [NAME ...]``."""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import command
from benchmarks.scenarios import scenario
from benchmarks.scenarios.models import MODELS, Made
from benchmarks.scenarios.scenario import Scenario, Variant
from benchmarks.scenarios.server import Conductor, Server
from benchmarks.throughput import BenchmarkError
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
    if options.serve:
        return _serve(scenario.read(options.serve), options.port)

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
    parser.add_argument(
        "--serve", choices=known, metavar="NAME", help="only start its server, for other clients"
    )
    parser.add_argument("--port", type=int, default=8080, help="of --serve (%(default)s)")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(known):
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}")
    options.names = options.names or known
    return options


def _run(given: Scenario, output: Path | None) -> str:
    """Measure all variants; the text has a table of them together."""
    stages: list[dict[str, Any]] = []
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="scenario-") as name:
        directory = Path(name)
        made = {model: _make(model, directory) for model in {v.model for v in given.variants}}
        for number, variant in enumerate(given.variants):
            print(f"{given.name} {variant.name}".strip(), file=sys.stderr, flush=True)
            workspace = directory / str(number)
            workspace.mkdir()
            found = _measure(variant, made[variant.model], workspace)
            label = f"{variant.name}: " if variant.name else ""
            stages += [{**each, "stage": label + each["stage"]} for each in found["stages"]]
    title = f"Scenario {given.name}"
    found = {**found, "title": title, "about": given.about, "stages": stages}
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        (output / f"{given.name}.json").write_text(json.dumps(found, indent=1))
        (output / f"{given.name}.html").write_text(page.page(found))
    return f"**{given.name}**: {given.about}\n\n{results.table(found)}"


def _serve(given: Scenario, port: int) -> int:
    """Run the server that a scenario is about until Ctrl-C, for Locust and others."""
    variant = given.variants[0]
    signal.signal(signal.SIGTERM, command.leave)
    with tempfile.TemporaryDirectory(prefix="scenario-") as name:
        directory = Path(name)
        made = _make(variant.model, directory)
        server = _server(variant, made, directory, port)
        try:
            with server:
                print(f"The server of {given.name} is at http://127.0.0.1:{port}.", flush=True)
                for each in variant.signals:
                    print(f"After {each.after:g} s of load: kill -{each.name} {server.pid}")
                signal.pause()
        except BenchmarkError as error:
            print(error, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            pass
    return 0


def _server(variant: Variant, made: Made, directory: Path, port: int = 0) -> Server:
    cache = {"SERVING_CACHE": str(directory / "cache")}
    return Server({**made.environment, **cache, **variant.server}, directory, port)


def _make(model: str, directory: Path) -> Made:
    """A model, made once for all variants."""
    folder = directory / model
    folder.mkdir()
    return MODELS[model](folder)


def _measure(variant: Variant, made: Made, directory: Path) -> dict[str, Any]:
    server = _server(variant, made, directory)
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
        "ramp": False,
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

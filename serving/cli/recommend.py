"""``serving recommend``: the settings with which a model takes the most load on this machine."""

import argparse
import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from serving import configuration, machine
from serving.bench import payloads
from serving.bench.target import Message
from serving.cli.arguments import above_zero
from serving.recommend import libraries, report, search, trial
from serving.recommend.search import Candidate, Grid
from serving.recommend.trial import Level, Subject

WORKERS = "SAGEMAKER_MODEL_SERVER_WORKERS"
THREADS = "SERVING_THREADS"
ROWS = "SERVING_MAX_BATCH_ROWS"

CONNECTIONS = (1, 8, 32, 64)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add = parser.add_argument
    add("model", help="model directory, archive or URL")
    add(
        "--payload",
        action="append",
        type=Path,
        required=True,
        metavar="FILE",
        help="a request, as clients send it; several are sent by turns",
    )
    add("--content-type", default="", metavar="TYPE", help="what FILE is [by its suffix]")
    add("--accept", default="", metavar="TYPE", help="what the answers should be")
    add(
        "--latency",
        type=above_zero,
        default=100.0,
        metavar="MS",
        help="longest p99 that is good, in milliseconds [%(default)g]",
    )
    add("--seconds", type=above_zero, default=3.0, help="of each load [%(default)g]")
    add("--price", type=float, default=0.0, metavar="P", help="of the instance, an hour")
    add(
        "--try",
        dest="tried",
        action="append",
        type=_variable,
        default=[],
        metavar="NAME=A,B,C",
        help="values of a further variable, or of one that is tried in any case: "
        f"{WORKERS}, {THREADS} and {ROWS}",
    )


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Try, and print what to set; 1 where nothing keeps the latency.

    Raises:
        ConfigurationError: there is no model, a file cannot be read, or a server does not start.
    """
    settings = configuration.read(environment)
    with tempfile.TemporaryDirectory(prefix="serving-") as scratch:
        choices = libraries.choices(options.model, settings, Path(scratch))
        if choices.reason:
            print(f"XGBoost alone is tried: {choices.reason}", file=sys.stderr)
        return _try(options, environment, choices)


def _try(
    options: argparse.Namespace, environment: Mapping[str, str], choices: libraries.Choices
) -> int:
    limit = options.latency / 1e3
    bodies = payloads.all_of(options.payload, 0, 0, options.content_type, 0)
    subject = Subject(
        choices.model,
        [_message(body, content_type, options.accept) for body, content_type in bodies],
        environment,
        CONNECTIONS,
        options.seconds,
    )
    found: dict[Candidate, list[Level]] = {}

    def measure(candidate: Candidate, effort: float) -> float:
        found[candidate] = trial.levels(subject, candidate, effort)
        score = trial.score(found[candidate], limit)
        named = " ".join(f"{name}={value}" for name, value in candidate)
        outcome = f"{score:,.0f} predictions/s" if score > 0 else "too slow"
        print(f"{named}: {outcome}", file=sys.stderr, flush=True)
        return score

    further = {libraries.VARIABLE: choices.values} if choices.values else {}
    leader, tried = search.best(grid(environment, {**further, **dict(options.tried)}), measure)
    notes = libraries.told(choices, leader, tried, options.model)
    print(report.text(leader, tried, found, limit=limit, price=options.price, notes=notes))
    return 0 if leader.score > 0 else 1


def grid(environment: Mapping[str, str], further: Mapping[str, Sequence[str]]) -> Grid:
    """What is tried: powers of two up to the CPUs, and bounds of a batch; then what was asked for.

    Raises:
        SettingError: the environment has a setting that is not allowed.
    """
    settings = configuration.read(environment)
    cpus = machine.cpu_count()
    steps = [str(2**power) for power in range(int(math.log2(cpus)) + 1)]
    if str(cpus) not in steps:
        steps.append(str(cpus))
    rows = [str(settings.max_batch_rows), *("1", "16", "128")]
    return {WORKERS: steps[::-1], THREADS: steps, ROWS: list(dict.fromkeys(rows)), **further}


def _message(body: bytes, content_type: str, accept: str) -> Message:
    fields = {"content-type": content_type, "accept": accept}
    return Message({name: value for name, value in fields.items() if value}, body)


def _variable(text: str) -> tuple[str, list[str]]:
    name, _, values = text.partition("=")
    found = [value.strip() for value in values.split(",") if value.strip()]
    if not name or not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=A,B,C")
    return name, found

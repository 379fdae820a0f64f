"""``serving bench``: how much load a server takes, and how long its answers take then."""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import quote

from serving.bench import page, payloads, plan, results, signing, tls
from serving.bench.connection import UNTRUSTED, resolve
from serving.bench.engine import Engine
from serving.bench.plan import Stage
from serving.bench.recorder import Recorder
from serving.bench.target import Message, Target, requests, target, zipf
from serving.cli.arguments import above_zero, add_tls, check_no_tls, count, field, tls_files
from serving.errors import ConfigurationError

TARGET_MODEL = "x-amzn-sagemaker-target-model"

DEFAULT_STAGES = ("1 x 5s", "16 x 5s", "64 x 5s")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add = parser.add_argument
    add("url", nargs="?", default="http://127.0.0.1:8080", help="the server [%(default)s]")
    add(
        *("-s", "--stage"),
        action="append",
        metavar="STAGE",
        help="a load, one after the other: '500/s x 10s' (open loop), '0..500/s x 30s' (a ramp), "
        f"'16 x 10s' (closed loop of 16 connections) [{', '.join(DEFAULT_STAGES)}]",
    )
    add("--warm-up", default="16 x 2s", metavar="STAGE", help="before what counts [%(default)s]")
    add("--constant", action="store_true", help="even distances in open loops, no Poisson process")
    where = parser.add_argument_group("what is asked")
    add = where.add_argument
    add("--payload", action="append", type=Path, default=[], metavar="FILE", help="sent by turns")
    add(
        "--rows",
        type=count,
        default=1,
        help="made up where there is no file [%(default)s]",
    )
    add("--columns", type=count, default=30, help="of these rows [%(default)s]")
    add("--content-type", default="", metavar="TYPE", help="what is sent [by the file's suffix]")
    add("--accept", default="", metavar="TYPE", help="what the answers should be")
    add("--endpoint", metavar="NAME", help="which endpoint of a server of several, or of SageMaker")
    add("--models", metavar="NAMES", help="models of a server of many: names with commas, or @FILE")
    add(
        *("--zipf",),
        type=float,
        default=0.0,
        metavar="S",
        help="ask the n-th model as 1 / n^S; 0: all alike [%(default)s]",
    )
    add("-H", "--header", action="append", type=field, default=[], metavar="NAME:VALUE")
    add("--sign", metavar="REGION", help="sign as AWS's clients do, for SageMaker in a region")
    add_tls(parser)
    limits = parser.add_argument_group("limits")
    add = limits.add_argument
    add(
        "--timeout",
        type=above_zero,
        default=60.0,
        metavar="SECONDS",
        help="of a request [%(default)s]",
    )
    add(
        "--connections",
        type=count,
        default=1000,
        help="most of an open loop [%(default)s]",
    )
    add("--seed", type=int, default=1, help="of all that is made up [%(default)s]")
    output = parser.add_argument_group("results")
    add = output.add_argument
    add("--json", type=Path, metavar="FILE", help="all figures")
    add("--html", type=Path, metavar="FILE", help="a page with plots that needs nothing else")


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Offer the load, print the table; 1 where not one request was answered well.

    Raises:
        ConfigurationError: the arguments make no load.
    """
    stages = [plan.parse(text) for text in options.stage or DEFAULT_STAGES]
    if options.warm_up not in ("", "0"):
        stages.insert(0, plan.parse(options.warm_up)._replace(counts=False))
    where = _target(options)
    sign = signing.signer(options.sign, environment) if options.sign else None
    messages, weights = _messages(options)
    engine = Engine(
        where,
        resolve(where),
        requests(where, messages, weights, sign, options.seed),
        timeout=options.timeout,
        most_connections=options.connections,
        poisson=not options.constant,
        seed=options.seed,
        tick=_progress() if sys.stderr.isatty() else lambda _recorder, _now: None,
    )
    recorders = _run(engine, stages)
    if not any(each.statuses for each in recorders):
        kinds = sum((each.failures for each in recorders), Counter[str]()).most_common()
        told = ", ".join(f"{count:,} × {kind}" for kind, count in kinds)
        print(f"{where.url} has answered nothing: {told}", file=sys.stderr)
        if any(kind.startswith(UNTRUSTED) for kind, _ in kinds):
            print("--ca FILE names the authorities to trust, as PEM.", file=sys.stderr)
        return 1
    found = results.document(where.url, recorders)
    print(results.table(found))
    _write(options.json, lambda: json.dumps(found, indent=1))
    _write(options.html, lambda: page.page(found))
    return 0 if any(each["answered"] for each in found["stages"]) else 1


def _run(engine: Engine, stages: list[Stage]) -> list[Recorder]:
    recorders = []
    try:
        for stage in stages:
            recorders.append(engine.run(stage))
            if not recorders[0].statuses:
                break  # nobody is there
            if sys.stderr.isatty():
                sys.stderr.write("\r\x1b[K")
    except KeyboardInterrupt:
        print("\nstopped; what was measured before follows", file=sys.stderr)
    finally:
        engine.close()
    return recorders


def _target(options: argparse.Namespace) -> Target:
    endpoint = f"/endpoints/{quote(options.endpoint, safe='')}" if options.endpoint else ""
    encrypt = partial(tls.context, *tls_files(options))
    where = target(options.url, f"{endpoint}/invocations", encrypt)
    if not where.tls:
        check_no_tls(options, where.url)
    return where


def _messages(options: argparse.Namespace) -> tuple[list[Message], list[float]]:
    """All that may be sent, and how often each is."""
    bodies = payloads.all_of(
        options.payload, options.rows, options.columns, options.content_type, options.seed
    )
    models = _models(options.models) if options.models else [""]
    weights = zipf(len(models), options.zipf)
    messages = []
    for model in models:
        for body, content_type in bodies:
            fields = {"content-type": content_type, "accept": options.accept, TARGET_MODEL: model}
            given = {name: value for name, value in fields.items() if value}
            messages.append(Message({**given, **dict(options.header)}, body))
    return messages, [weight for weight in weights for _ in bodies]


def _models(text: str) -> list[str]:
    if text.startswith("@"):
        body, _ = payloads.from_file(Path(text[1:]))
        names = body.decode().splitlines()
    else:
        names = text.split(",")
    found = [name.strip() for name in names if name.strip()]
    if not found:
        raise ConfigurationError(f"--models={text!r} names no model.")
    return found


def _write(path: Path | None, content: Callable[[], str]) -> None:
    if path is not None:
        try:
            path.write_text(content(), encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error


def _progress() -> Callable[[Recorder, float], None]:
    """Draws a line about what happens, a few times a second."""
    drawn = 0.0

    def draw(recorder: Recorder, now: float) -> None:
        nonlocal drawn
        if time.monotonic() - drawn < 0.25:
            return
        drawn = time.monotonic()
        seen = recorder.latencies
        bad = recorder.refusals.total + recorder.failures.total()
        sys.stderr.write(
            f"\r{recorder.stage.about}: {min(now, recorder.stage.seconds):.0f} s, "
            f"{seen.total:,} answers, p50 {seen.percentile(50) * 1e3:.2f} ms, "
            f"p99 {seen.percentile(99) * 1e3:.2f} ms, {bad:,} errors\x1b[K"
        )
        sys.stderr.flush()

    return draw

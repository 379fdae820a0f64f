"""``serving invoke``: ask a server for a prediction. The smallest client."""

import argparse
import http.client
import math
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import quote, urlsplit

from serving.bench import tls
from serving.cli.arguments import above_zero, add_tls, check_no_tls, count, field, tls_files
from serving.errors import ConfigurationError
from serving.media import BY_SUFFIX

STANDARD = "-"
"""Stands for standard input or output in place of a file."""

PIECE = 64 * 1024
"""Most bytes of a prediction that are written at once."""

LONGEST_ERROR = 64 * 1024
"""Most bytes of another answer that are shown."""

Write = Callable[[bytes], None]
Kind = Callable[..., http.client.HTTPConnection]


class Unanswered(Exception):
    """There is no prediction, or not all of one; says why."""


class Times(NamedTuple):
    """When things came, in seconds after the request was begun."""

    first: float
    """The head of the answer."""
    last: float
    """The end of the answer."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add = parser.add_argument
    add("file", nargs="?", default=STANDARD, metavar="FILE", help="the request [standard input]")
    add("--url", default="http://127.0.0.1:8080", help="where the server is [%(default)s]")
    add("--content-type", metavar="TYPE", help="what FILE is [by its suffix]")
    add("--accept", metavar="TYPE", help="what the prediction should be [as the model has it]")
    add("--model", metavar="NAME", help="which model of a server of many")
    add("--endpoint", metavar="NAME", help="which endpoint of a server of several")
    add(
        *("-H", "--header"),
        action="append",
        type=field,
        default=[],
        metavar="NAME:VALUE",
        help="a further header field",
    )
    add("-o", "--output", default=STANDARD, metavar="FILE", help="the prediction [standard output]")
    add(
        "--timeout",
        type=above_zero,
        default=60.0,
        metavar="SECONDS",
        help="longest silence [60]",
    )
    add("--timing", action="store_true", help="say how long it took, on standard error")
    add(
        "--count",
        type=count,
        default=1,
        metavar="N",
        help="ask so many times, one after the other, and say how long it took [1]",
    )
    add_tls(parser)


def run(options: argparse.Namespace, _environment: Mapping[str, str]) -> int:
    """Write the prediction; 1 where there is none, with the reason on standard error.

    Raises:
        ConfigurationError: a file cannot be opened, or the arguments make no request.
    """
    connection, path = _target(options)
    headers = _headers(options)
    body = _read(options.file)
    with closing(connection), _opened(options.output) as output:
        write = partial(_write, output)
        try:
            connected = _connect(connection)
            times = [_ask(connection, path, body, headers, write)]
            while len(times) < options.count:  # their predictions are that of the first
                times.append(_ask(connection, path, body, headers, _drop))
        except Unanswered as error:
            print(error, file=sys.stderr)
            return 1
    if options.timing or options.count > 1:
        print(_report(connected, times), file=sys.stderr)
    return 0


def _target(options: argparse.Namespace) -> tuple[http.client.HTTPConnection, str]:
    """A connection, not yet made, and the path to ask."""
    try:
        url = urlsplit(options.url)
        kind, host, port = KINDS[url.scheme](options), url.hostname or "", url.port
        connection = kind(host, port, timeout=options.timeout)
    except (KeyError, ValueError, http.client.InvalidURL) as error:
        raise ConfigurationError(
            f"--url={options.url!r} is not allowed; it has to be like http://127.0.0.1:8080."
        ) from error
    endpoint = f"/endpoints/{quote(options.endpoint, safe='')}" if options.endpoint else ""
    return connection, f"{url.path.rstrip('/')}{endpoint}/invocations"


def _plain(options: argparse.Namespace) -> Kind:
    check_no_tls(options, options.url)
    return http.client.HTTPConnection


def _encrypted(options: argparse.Namespace) -> Kind:
    context = tls.context(*tls_files(options))
    return partial(http.client.HTTPSConnection, context=context)


KINDS: Mapping[str, Callable[[argparse.Namespace], Kind]] = {"http": _plain, "https": _encrypted}
"""Connections, by the URL's scheme."""


def _headers(options: argparse.Namespace) -> dict[str, str]:
    fields = {
        "content-type": options.content_type or _type_of(options.file),
        "accept": options.accept,
        "x-amzn-sagemaker-target-model": options.model,
    }
    return {name: value for name, value in fields.items() if value} | dict(options.header)


def _type_of(file: str) -> str | None:
    """A file's media type; None where its suffix does not say: the server has a default."""
    known = BY_SUFFIX.get(Path(file).suffix.lower())
    if known is None and file != STANDARD:
        import mimetypes

        known, _ = mimetypes.guess_type(file)
    return known


def _read(file: str) -> bytes:
    if file == STANDARD:
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.") from error


def _opened(file: str) -> AbstractContextManager[BinaryIO]:
    if file == STANDARD:
        return nullcontext(sys.stdout.buffer)
    try:
        return Path(file).open("wb")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}.") from error


def _write(output: BinaryIO, data: bytes) -> None:
    """Write at once, so that a stream is seen as it comes."""
    try:
        output.write(data)
        output.flush()
    except BrokenPipeError:
        raise  # who read standard output has left
    except OSError as error:
        raise Unanswered(f"the prediction cannot be written: {error.strerror}") from error


def _drop(_data: bytes) -> None:
    """Write nothing."""


def _connect(connection: http.client.HTTPConnection) -> float:
    """Connect; how many seconds that took."""
    began = time.perf_counter()
    try:
        connection.connect()
    except ssl.SSLCertVerificationError as error:
        raise Unanswered(
            f"{_authority(connection)} is not trusted: {error.verify_message}; "
            "--ca FILE names the authorities to trust, as PEM"
        ) from error
    except OSError as error:
        raise Unanswered(f"no server answers at {_authority(connection)}: {error}") from error
    return time.perf_counter() - began


def _authority(connection: http.client.HTTPConnection) -> str:
    return f"{connection.host}:{connection.port}"


def _ask(
    connection: http.client.HTTPConnection,
    path: str,
    body: bytes,
    headers: Mapping[str, str],
    write: Write,
) -> Times:
    """Write a prediction. Raises Unanswered where the server has another answer, or none."""
    began = time.perf_counter()
    try:
        # A server that refuses a large body may close before all of it was sent, and say why.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", path, body, headers)
        response = connection.getresponse()
        first = time.perf_counter() - began
        if not 200 <= response.status < 300:
            text = response.read(LONGEST_ERROR).decode("utf-8", "replace").strip()
            raise Unanswered(f"{response.status} {text or response.reason}")
    except ValueError as error:
        raise ConfigurationError(f"The request cannot be sent: {error}.") from error
    except (OSError, http.client.HTTPException) as error:
        raise Unanswered(f"the server does not answer: {str(error).strip()}") from error
    with response:
        for piece in _pieces(response):
            write(piece)
    return Times(first, time.perf_counter() - began)


def _pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while piece := response.read1(PIECE):
            yield piece
    except (OSError, http.client.HTTPException) as error:
        raise Unanswered(f"the prediction breaks off: {error}") from error
    if response.length:
        raise Unanswered(f"the prediction breaks off: {response.length} bytes did not come")


def _report(connected: float, times: Sequence[Times]) -> str:
    """What a person wants to know of one request, or of many."""
    if len(times) == 1:
        ((first, last),) = times
        return f"connect {_ms(connected)}, first byte {_ms(first)}, whole {_ms(last)}"
    ordered = sorted(each.last for each in times)
    median, high = (ordered[math.ceil(share * len(times)) - 1] for share in (0.5, 0.99))
    return (
        f"connect {_ms(connected)}; {len(times)} requests: p50 {_ms(median)}, p99 {_ms(high)}, "
        f"min {_ms(ordered[0])}, max {_ms(ordered[-1])}"
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"

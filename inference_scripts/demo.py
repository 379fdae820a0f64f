"""Train, pack and serve the XGBoost example, ask it, and show each command and each answer.

Writes ./model and ./model.tar.gz, then serves until Ctrl-C, or with --once only until it has
answered.
"""

import argparse
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import IO, NamedTuple

HOST = "127.0.0.1"
MODEL = Path("model")
ARCHIVE = Path("model.tar.gz")
EXAMPLE = Path(__file__).parent / "xgboost_tabular"
DIAGNOSES = ("malignant", "benign", "benign")
"""Of the tumours in the example's request files."""
START_LIMIT = 60.0
DRAIN_LIMIT = 30.0
BOLD, DIM, PLAIN = "\033[1m", "\033[2m", "\033[0m"

GO_ON = """\
Ask again from another terminal, with the commands above. Then, from a container:

  $ ./build.sh cpu
  $ docker run -p {port}:8080 -v $PWD/{model}:/opt/ml/model:ro hybrid-serving:cpu serve

(End this server first, or give the container another port: -p {next_port}:8080.)
A scikit-learn pipeline in ONNX, and PyTorch with a script of its own:

  $ {python} {examples}/sklearn_onnx/train.py build/wine
  $ {python} {examples}/pytorch_digits/train.py build/digits
  $ {serving} serve build/digits --port {next_port}

Each folder in {examples} has a README with its requests and answers."""


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


class Answer(NamedTuple):
    status: int
    content_type: str
    body: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=port_number, default=8080, help="default: %(default)s")
    parser.add_argument("--once", action="store_true", help="end after the answers")
    options = parser.parse_args()
    # A closed terminal ends the demo as Ctrl-C does: the server must not be left behind.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        demo(options.port, options.once)
    except DemoError as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def demo(port: int, once: bool) -> None:
    refuse_foreign_files()
    refuse_taken_port(port)
    python, serving = short(Path(sys.executable)), serving_command()

    title("Train XGBoost on real data: is a tumour malignant?")
    run(python, short(EXAMPLE / "train.py"), str(MODEL))

    title("Pack the model into one archive")
    run(*serving, "pack", str(MODEL), "-o", str(ARCHIVE))

    title("Serve the archive, with no code of yours")
    address = ("--bind", HOST, "--port", str(port))
    with server((*serving, "serve", str(ARCHIVE), *address), port) as process:
        title("Ask about three tumours, in CSV")
        rows = EXAMPLE / "request.csv"
        answer = ask(port, rows, "text/csv", status=200)
        for line, diagnosis in zip(answer.splitlines(), DIAGNOSES, strict=True):
            print(f"{line:<12} {float(line):7.2%} malignant; the diagnosis was: {diagnosis}")

        title("The same in JSON")
        rows = EXAMPLE / "request.json"
        print(ask(port, rows, "application/json", status=200))

        title("A mistake: 2 numbers where the model wants 30")
        print(ask(port, "20.44,21.78", "text/csv", status=400))

        title("How to go on")
        examples = short(EXAMPLE.parent)
        names = {"python": python, "serving": shlex.join(serving), "examples": examples}
        print(GO_ON.format(model=MODEL, port=port, next_port=port + 1, **names))
        if not once:
            serve_until_interrupted(process, port)
    print("\nThe server has ended, with nothing left to answer.")


def refuse_foreign_files() -> None:
    """Two models in one folder could not be served, and the other is someone's work."""
    others = sorted({path.name for path in MODEL.glob("*")} - {"xgboost-model"})
    if others:
        raise DemoError(
            f"The demo writes its model to {MODEL}/, which holds {', '.join(others)}. Move it away."
        )


def refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        # Without it, connections of a server that has just ended would count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise DemoError(
                f"Port {port} cannot be used ({error.strerror}). Give another: --port {port + 1}."
            ) from error


@contextmanager
def server(command: tuple[str, ...], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server that is ready, and that has to end with status 0."""
    show(command)
    with log_shown_on_failure() as log:
        # In a session of its own, Ctrl-C reaches the demo alone, which then ends the server.
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            wait_until_ready(process, port)
            yield process
        finally:
            stop(process)
        if process.returncode:
            raise DemoError(f"The server ended with status {process.returncode}.")


@contextmanager
def log_shown_on_failure() -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as log:
        succeeded = False
        try:
            yield log
            succeeded = True
        finally:
            if not succeeded:
                log.seek(0)
                print("\nThe server's log:", file=sys.stderr)
                print(log.read().decode(errors="replace"), file=sys.stderr)


def wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    """Raises DemoError with the last answer of /ping, which says why the server is not ready."""
    answer: object = "it does not listen"
    started = time.monotonic()
    while (elapsed := time.monotonic() - started) < START_LIMIT:
        try:
            status = process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            with suppress(OSError, HTTPException):
                answer = send(port, "GET", "/ping", b"", {})
                if answer.status == 200:
                    print(f"Ready after {elapsed:.1f} s: GET {url(port)}/ping answers 200.")
                    return
        else:
            raise DemoError(f"The server ended while starting, with status {status}.")
    raise DemoError(f"The server was not ready within {START_LIMIT:.0f} s: {answer}.")


def serve_until_interrupted(process: subprocess.Popen[bytes], port: int) -> None:
    try:
        print(f"\nServing at {url(port)} until Ctrl-C.", flush=True)
        status = process.wait()
    except KeyboardInterrupt:
        print("\nEnding the server.")
    else:
        raise DemoError(f"The server ended by itself, with status {status}.")


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=DRAIN_LIMIT)
    except subprocess.TimeoutExpired as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise DemoError(f"The server did not end within {DRAIN_LIMIT:.0f} s of SIGTERM.") from error


def ask(port: int, data: Path | str, content_type: str, *, status: int) -> str:
    """The answer's body. Prints the curl command that gets the same."""
    headers = {"Content-Type": content_type, "Accept": content_type}
    source = f"@{short(data)}" if isinstance(data, Path) else data
    fields = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    show(("curl", f"{url(port)}/invocations", *fields), ("--data-binary", source))

    body = data.read_bytes() if isinstance(data, Path) else data.encode()
    started = time.perf_counter()
    try:
        answer = send(port, "POST", "/invocations", body, headers)
    except (OSError, HTTPException) as error:
        raise DemoError(f"The server did not answer: {error!r}.") from error
    milliseconds = (time.perf_counter() - started) * 1000
    print(styled(DIM, f"{answer.status}, {answer.content_type}, {milliseconds:.1f} ms"))
    if answer.status != status:
        raise DemoError(f"The answer should have the status {status}. It is: {answer.body}")
    return answer.body.rstrip()


def send(port: int, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
    connection = HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        content_type = response.headers.get("Content-Type", "no content type")
        return Answer(response.status, content_type, response.read().decode())
    finally:
        connection.close()


def run(*command: str) -> None:
    show(command)
    status = subprocess.run(command, check=False).returncode
    if status:
        raise DemoError(f"{shlex.join(command)} ended with status {status}.")


def show(*lines: tuple[str, ...]) -> None:
    """Print a command as one would type it."""
    print(styled(DIM, "$ ") + " \\\n    ".join(map(shlex.join, lines)), flush=True)


def title(text: str) -> None:
    print("\n" + styled(BOLD, text), flush=True)


def styled(style: str, text: str) -> str:
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        return f"{style}{text}{PLAIN}"
    return text


def short(path: Path) -> str:
    """The path as one would type it here."""
    path, here = path.absolute(), Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def serving_command() -> tuple[str, ...]:
    """The ``serving`` that belongs to this Python, installed as a script or only importable."""
    python = Path(sys.executable)
    script = python.with_name("serving")
    return (short(script),) if script.exists() else (short(python), "-m", "serving.cli")


def url(port: int) -> str:
    return f"http://{HOST}:{port}"


def port_number(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{number} is not a port; ports go from 1 to 65535")
    return number


if __name__ == "__main__":
    sys.exit(main())

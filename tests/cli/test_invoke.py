"""``serving invoke``: what it sends, what it writes, and how it ends."""

import io
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from tests.bench.support import answering, listening
from tests.certificates import make_pair
from tests.cli.conftest import Command
from tests.support import PATIENCE, cli, environment, free_port, serving

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfine\r\n"
NUMBERS = ("--content-type", "text/x-numbers")


class Stub(NamedTuple):
    """A server that sends what it was told to, whatever it is asked, and remembers that."""

    url: str
    requests: list[bytes]


@pytest.fixture
def stub() -> Iterator[Callable[..., Stub]]:
    """Starts stubs; each sends its answers on one connection, and then closes it."""
    with ExitStack() as stack:

        def start(*answers: bytes) -> Stub:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            requests: list[bytes] = []

            def serve() -> None:
                client = listener.accept()[0]
                with client:
                    for answer in answers:
                        requests.append(received(client))
                        client.sendall(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            stack.callback(thread.join)
            return Stub(f"http://127.0.0.1:{listener.getsockname()[1]}", requests)

        yield start


def received(client: socket.socket) -> bytes:
    """A request, whole."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(65536)
    length = re.search(rb"(?i)content-length: (\d+)", data)
    end = data.index(b"\r\n\r\n") + 4 + int(length[1] if length else 0)
    while len(data) < end:
        data += client.recv(65536)
    return data


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = tmp_path / "sample.CSV"
    path.write_bytes(b"1,2\n")
    return path


def fields(request: bytes) -> dict[str, str]:
    lines = request.decode().partition("\r\n\r\n")[0].split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def test_a_model_is_asked_and_its_prediction_written(
    command: Command,
    folders: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "body"
    file.write_text("1 2")
    with serving(folders["script"], tmp_path, SAGEMAKER_MAX_PAYLOAD_IN_MB="1") as server:
        ask = ("invoke", "--url", f"http://127.0.0.1:{server.port}")
        assert command(*ask, *NUMBERS, file) == (0, "[3, 6]", "")
        answer = command(*ask, *NUMBERS, "--accept", "text/event-stream", file)
        assert answer == (0, "data: 3\n\ndata: 6\n\n", "")
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"5")))
        assert command(*ask, *NUMBERS, "-H", "Accept: text/x-numbers") == (0, "15", "")

        refused = command(*ask, "--content-type", "text/csv", file)
        assert (refused.status, refused.out) == (1, "")
        assert refused.err.startswith("415 {")
        assert "Send numbers." in refused.err

        file.write_bytes(b"1" * (8 << 20))
        refused = command(*ask, *NUMBERS, file)
        assert (refused.status, refused.out) == (1, "")
        assert "413 {" in refused.err


def test_a_request_has_what_was_asked_for(
    command: Command, stub: Callable[..., Stub], sample: Path
) -> None:
    server = stub(OK)
    options = ("--accept", "application/json", "--model", "a/b.tar.gz", "-H", "X-A: b:c")
    assert command("invoke", "--url", server.url, *options, sample) == (0, "fine", "")
    (request,) = server.requests
    assert request.startswith(b"POST /invocations HTTP/1.1\r\n")
    assert request.endswith(b"\r\n\r\n1,2\n")
    sent = fields(request)
    assert sent["content-type"] == "text/csv"
    assert sent["accept"] == "application/json"
    assert sent["x-amzn-sagemaker-target-model"] == "a/b.tar.gz"
    assert sent["x-a"] == "b:c"


@pytest.mark.parametrize(
    ("url", "options", "path"),
    [
        ("", (), "/invocations"),
        ("/", (), "/invocations"),
        ("/models/a/", (), "/models/a/invocations"),
        ("", ("--endpoint", "fraud"), "/endpoints/fraud/invocations"),
        ("/b", ("--endpoint", "a/b"), "/b/endpoints/a%2Fb/invocations"),
    ],
)
def test_the_path_is_that_of_the_server_and_the_endpoint(
    command: Command,
    stub: Callable[..., Stub],
    sample: Path,
    url: str,
    options: tuple[str, ...],
    path: str,
) -> None:
    server = stub(OK)
    assert command("invoke", "--url", server.url + url, *options, sample).status == 0
    assert server.requests[0].startswith(f"POST {path} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(
    ("name", "options", "content_type"),
    [
        ("a.npz", (), "application/x-npz"),
        ("a.png", (), "image/png"),
        ("a.csv", ("--content-type", "text/plain"), "text/plain"),
        ("a.csv", ("-H", "Content-Type:text/plain"), "text/plain"),
        ("a.unheard-of", (), None),
        ("a", (), None),
    ],
)
def test_the_content_type_is_that_of_the_suffix(
    command: Command,
    stub: Callable[..., Stub],
    tmp_path: Path,
    name: str,
    options: tuple[str, ...],
    content_type: str | None,
) -> None:
    (tmp_path / name).write_bytes(b"1")
    server = stub(OK)
    assert command("invoke", "--url", server.url, *options, tmp_path / name).status == 0
    assert fields(server.requests[0]).get("content-type") == content_type


def test_a_prediction_may_go_to_a_file(
    command: Command, stub: Callable[..., Stub], sample: Path, tmp_path: Path
) -> None:
    file = tmp_path / "prediction"
    assert command("invoke", "--url", stub(OK).url, "-o", file, sample) == (0, "", "")
    assert file.read_bytes() == b"fine"


def test_its_times_are_told_on_request(
    command: Command, stub: Callable[..., Stub], sample: Path
) -> None:
    told = command("invoke", "--url", stub(OK).url, "--timing", sample)
    assert (told.status, told.out) == (0, "fine")
    ms = r"\d+\.\d\d ms"
    assert re.fullmatch(f"connect {ms}, first byte {ms}, whole {ms}\n", told.err)


def test_it_may_ask_many_times_and_writes_one_prediction(
    command: Command, stub: Callable[..., Stub], sample: Path
) -> None:
    server = stub(OK, OK, OK.replace(b"fine", b"last"))
    told = command("invoke", "--url", server.url, "--count", "3", sample)
    assert (told.status, told.out) == (0, "fine")
    assert len(server.requests) == 3
    numbers = [float(text) for text in re.findall(r"(\d+\.\d\d) ms", told.err)]
    assert re.sub(r"\d+\.\d\d ms", "_", told.err) == (
        "connect _; 3 requests: p50 _, p99 _, min _, max _\n"
    )
    _, median, high, least, most = numbers
    assert least <= median <= high == most


def test_the_first_that_fails_of_many_is_the_last(
    command: Command, stub: Callable[..., Stub], sample: Path
) -> None:
    server = stub(OK, b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")
    told = command("invoke", "--url", server.url, "--count", "3", sample)
    assert told == (1, "fine", "503 Busy\n")


@pytest.mark.parametrize(
    ("answer", "out", "err"),
    [
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\nno\n", "", "404 no"),
        (b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n", "", "302 Found"),
        (OK[:-1], "fin", "the prediction breaks off: 1 bytes did not come"),
        (CHUNKED, "fine", "the prediction breaks off: IncompleteRead"),
        (b"", "", "the server does not answer: Remote end closed"),
        (b"SSH-2.0\r\n", "", "the server does not answer: SSH-2.0"),
    ],
)
def test_what_is_no_prediction_is_1_with_the_reason(
    command: Command,
    stub: Callable[..., Stub],
    sample: Path,
    answer: bytes,
    out: str,
    err: str,
) -> None:
    told = command("invoke", "--url", stub(answer).url, sample)
    assert (told.status, told.out) == (1, out)
    assert told.err.startswith(err)
    assert told.err.count("\n") == 1


def test_no_content_is_a_prediction(
    command: Command, stub: Callable[..., Stub], sample: Path
) -> None:
    server = stub(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert command("invoke", "--url", server.url, sample) == (0, "", "")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_where_nobody_listens_it_is_1(command: Command, sample: Path, scheme: str) -> None:
    port = free_port()
    told = command("invoke", "--url", f"{scheme}://127.0.0.1:{port}", sample)
    assert (told.status, told.out) == (1, "")
    assert told.err.startswith(f"no server answers at 127.0.0.1:{port}: ")


def test_a_server_whose_authority_is_given_is_asked_with_tls(
    command: Command, sample: Path, tmp_path: Path
) -> None:
    mine, other = (make_pair(tmp_path, name) for name in ("mine", "other"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*mine)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(other.certificate)
    shown = ("--certificate", other.certificate, "--key", other.key)
    with listening(answering(OK), context) as port:
        url = f"https://127.0.0.1:{port}"
        told = command("invoke", "--url", url, "--ca", mine.certificate, *shown, sample)
        assert told == (0, "fine", "")

        told = command("invoke", "--url", url, sample)
        assert (told.status, told.out) == (1, "")
        assert f"127.0.0.1:{port} is not trusted: self-signed certificate; --ca FILE" in told.err

        told = command("invoke", "--url", url, "--ca", mine.certificate, sample)
        assert (told.status, told.out) == (1, "")
        assert told.err.startswith("the server does not answer: ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--ca", "a.pem"), "is asked without TLS: --ca and others need https://"),
        (("--url", "https://a", "--ca", "/none"), "/none gives no authorities"),
        (("--url", "127.0.0.1:8080"), "--url='127.0.0.1:8080' is not allowed; it has to be like"),
        (("--url", "ftp://a"), "--url='ftp://a' is not allowed"),
        (("--url", "http://a:b"), "--url='http://a:b' is not allowed"),
        (("-H", "no"), "'no' is not NAME:VALUE"),
        (("-H", ": no"), "': no' is not NAME:VALUE"),
        (("-H", "a:b\nc"), "The request cannot be sent"),
        (("--model", "☃"), "The request cannot be sent"),
        (("--timeout", "0"), "'0' is no number above 0"),
        (("--timeout", "soon"), "'soon' is no number above 0"),
        (("--count", "0"), "'0' is no whole number above 0"),
        (("--output", "/nowhere/at/all"), "/nowhere/at/all cannot be written: No such file"),
        (("/nowhere/at/all",), "/nowhere/at/all cannot be read: No such file"),
    ],
)
def test_what_the_caller_has_to_change_is_2(
    command: Command, sample: Path, arguments: tuple[str, ...], told: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = ("--url", f"http://127.0.0.1:{listener.getsockname()[1]}")
        file = () if arguments[0].startswith("/") else (sample,)
        result = command("invoke", *url, *arguments, *file)
    assert (result.status, result.out) == (2, "")
    assert told in result.err


def test_a_stream_is_written_as_it_comes(sample: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        process = subprocess.Popen(
            cli("invoke", "--url", url, sample), stdout=subprocess.PIPE, env=environment()
        )
        assert process.stdout
        client = listener.accept()[0]
        with client, process.stdout:
            received(client)
            client.sendall(CHUNKED)
            assert process.stdout.read(4) == b"fine"
            client.sendall(b"2\r\n..\r\n0\r\n\r\n")
            assert process.stdout.read() == b".."
    assert process.wait(PATIENCE) == 0


def test_a_reader_who_leaves_is_no_error(stub: Callable[..., Stub], sample: Path) -> None:
    body = bytes(1 << 20)
    server = stub(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    process = subprocess.Popen(
        cli("invoke", "--url", server.url, sample),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout
    assert process.stderr
    with process.stderr:
        process.stdout.close()
        assert process.wait(PATIENCE) == 1
        assert process.stderr.read() == b""


def test_it_starts_without_the_libraries_of_a_server() -> None:
    code = f"""
        import sys
        from serving.cli import main
        sys.stdin = open("/dev/null")
        main(["invoke", "--url", "http://127.0.0.1:{free_port()}"])
        print(*sys.modules)
    """
    line = "; ".join(filter(None, map(str.strip, code.splitlines())))
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    libraries = {"numpy", "orjson", "asyncio", "gunicorn", "uvloop", "xgboost"}
    assert not libraries & set(done.stdout.split())

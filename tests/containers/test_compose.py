"""containers/compose.yaml, run as it stands: TLS by the proxy, and no right that is not needed.

The image of nginx that it names comes from a registry; here, one made of Debian's packages takes
its place (proxy/Dockerfile).
"""

import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest

from tests.containers import clients
from tests.containers.docker import DEADLINE, Container, Docker
from tests.containers.examples import LINES
from tests.support import Answer, free_port, post

if TYPE_CHECKING:
    from tests.containers.examples import InProcess, Trained

pytestmark = pytest.mark.container

ROOT = Path(__file__).parents[2]
FILE = ROOT / "containers" / "compose.yaml"
PROXY = "hybrid-serving-test-proxy"
BASES = ("hybrid-serving-base:bookworm", "python:3.11-slim-bookworm")
CSV = "text/csv"
TOKEN = "token-of-the-test-0123456789"
ID, SECRET = "ORDERS01", "secret-of-the-test-0123456789"
KEYS = f"""
[[tokens]]
name = "test"
token = "{TOKEN}"

[[access_keys]]
name = "orders"
id = "{ID}"
secret = "{SECRET}"
"""
USER = os.getuid() or 1000


class Stack:
    """What compose starts; it is asked over TLS."""

    def __init__(self, docker: Docker, variables: dict[str, str], port: int) -> None:
        self.docker = docker
        self.port = port
        self.certificate = variables["CERTIFICATE"]
        self.project = variables["COMPOSE_PROJECT_NAME"]
        self._environment = os.environ | variables

    def compose(self, *arguments: str) -> str:
        """Run Docker Compose, of whichever major version is here."""
        clients.programs()  # on a CI machine it comes with them
        own = shutil.which("docker-compose")
        program = [own] if own else [self.docker.client, "compose"]
        command = [*program, "--file", str(FILE), *arguments]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def container(self, service: str) -> Container:
        return Container(self.docker, self.compose("ps", "--quiet", service).strip(), self.port)

    def inspect(self, service: str) -> dict[str, Any]:
        return self.docker.inspect(self.container(service).name)

    def address(self, service: str) -> str:
        """Where the proxy reaches the service."""
        networks = self.inspect(service)["NetworkSettings"]["Networks"]
        return str(networks[f"{self.project}_inside"]["IPAddress"])

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """Send a request to the proxy, whose certificate is verified."""
        context = ssl.create_default_context(cafile=self.certificate)
        with closing(HTTPSConnection("127.0.0.1", self.port, context=context)) as connection:
            fields = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body or None, fields)
            response = connection.getresponse()
            content_type = response.getheader("content-type", "")
            return Answer(response.status, {"content-type": content_type}, response.read())

    def wait_for_ping(self) -> None:
        """Wait until the server answers by way of the proxy that it is well."""
        proxy, limit = self.container("proxy"), time.monotonic() + DEADLINE
        seen: object = None
        while time.monotonic() < limit and proxy.ended(pause=0.1) is None:
            try:
                seen = answer = self.ask("GET", "/ping")
            except (OSError, HTTPException) as error:
                seen = error
            else:
                if answer.status == 200:
                    return
        pytest.fail(f"No good ping; at last {seen!r}:\n{self.compose('logs')}")


def proxy_image(docker: Docker) -> str:
    """An image with nginx at its usual place."""
    here = [base for base in BASES if docker.attempt("image", "inspect", base).returncode == 0]
    through = [name for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY") if name in os.environ]
    arguments = [f"BASE_IMAGE={here[0]}", *through]
    options = [word for argument in arguments for word in ("--build-arg", argument)]
    docker("build", "--tag", PROXY, *options, str(Path(__file__).parent / "proxy"))
    return PROXY


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine, its own authority, and its key."""
    certificate, key = folder / "tls.pem", folder / "tls.key"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 2"
    names = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-out", str(certificate), "-keyout", str(key)]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    return certificate, key


@pytest.fixture(scope="module")
def stack(
    docker: Docker, image: str, trained: "Trained", tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    folder, port = tmp_path_factory.mktemp("site"), free_port()
    certificate, key = make_certificate(folder)
    keys = folder / "keys.toml"
    keys.write_text(KEYS)
    for path in (certificate, key, keys):
        path.chmod(0o400)
        os.chown(path, USER, -1)
    variables = {
        "COMPOSE_PROJECT_NAME": f"compose-{uuid4().hex}",
        "IMAGE": image,
        "PROXY_IMAGE": proxy_image(docker),
        "PORT": f"127.0.0.1:{port}",
        "RUN_AS": f"{USER}:{USER}",
        "MODEL": str(trained("xgboost_tabular")),
        "KEYS": str(keys),
        "CERTIFICATE": str(certificate),
        "CERTIFICATE_KEY": str(key),
        "MEMORY": "1g",
        "CPUS": "1.5",
    }
    stack = Stack(docker, variables, port)
    try:
        stack.compose("up", "--detach")
        stack.wait_for_ping()
        yield stack
    finally:
        print(stack.compose("logs"))
        stack.compose("down", "--timeout", "1")


def test_a_prediction_comes_over_tls_as_it_is_in_process(
    stack: Stack, trained: "Trained", in_process: "InProcess"
) -> None:
    body, bearer = LINES.read_bytes(), f"Bearer {TOKEN}"
    answer = stack.ask(
        "POST", "/invocations", body, content_type=CSV, accept=CSV, authorization=bearer
    )
    asked = post(body, content_type=CSV, accept=CSV)
    assert answer == in_process(trained("xgboost_tabular"), asked)


def test_who_has_no_key_gets_no_prediction(stack: Stack) -> None:
    assert stack.ask("POST", "/invocations", LINES.read_bytes(), content_type=CSV).status == 401


def test_a_signature_of_boto3_is_good_behind_the_proxy(
    stack: Stack, trained: "Trained", in_process: "InProcess"
) -> None:
    client = boto3.client(
        "sagemaker-runtime",
        endpoint_url=f"https://127.0.0.1:{stack.port}",
        region_name="eu-central-1",
        aws_access_key_id=ID,
        aws_secret_access_key=SECRET,
        verify=stack.certificate,
    )
    body = LINES.read_bytes()
    answer = client.invoke_endpoint(EndpointName="any", ContentType=CSV, Accept=CSV, Body=body)
    expected = in_process(trained("xgboost_tabular"), post(body, content_type=CSV, accept=CSV))
    assert answer["Body"].read() == expected.body


def test_the_server_is_reached_by_way_of_the_proxy_alone(stack: Stack) -> None:
    assert not any(stack.inspect("server")["NetworkSettings"]["Ports"].values())
    (network,) = stack.inspect("server")["NetworkSettings"]["Networks"]
    assert stack.docker.inspect(network)["Internal"]


@pytest.mark.parametrize("service", ["server", "proxy"])
def test_a_container_may_do_no_more_than_it_has_to(stack: Stack, service: str) -> None:
    found = stack.inspect(service)
    host = found["HostConfig"]
    assert found["Config"]["User"] == f"{USER}:{USER}"
    assert host["ReadonlyRootfs"]
    assert list(host["Tmpfs"]) == ["/tmp"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["PidsLimit"] > 0
    assert not any(mount["RW"] for mount in found["Mounts"])
    assert host["RestartPolicy"]["Name"] == "unless-stopped"


def test_the_servers_limits_are_those_that_the_site_names(stack: Stack) -> None:
    host = stack.inspect("server")["HostConfig"]
    assert (host["Memory"], host["NanoCpus"]) == (1 << 30, 1_500_000_000)


def test_docker_finds_the_server_healthy(stack: Stack) -> None:
    assert stack.container("server").wait_for_health() == "healthy"


def test_the_proxy_finds_a_server_that_has_another_address(stack: Stack, image: str) -> None:
    before = stack.address("server")
    stack.compose("rm", "--stop", "--force", "server")
    network = ("--network", f"{stack.project}_inside", "--entrypoint", "sleep")
    squatter = stack.docker("run", "--detach", *network, image, "600")  # takes the address
    try:
        stack.compose("up", "--detach", "server")
        assert stack.address("server") != before
        stack.wait_for_ping()
    finally:
        stack.docker("rm", "--force", squatter)


def test_compose_says_what_a_site_has_to_name(stack: Stack) -> None:
    nothing = Stack(stack.docker, {"COMPOSE_PROJECT_NAME": "none", "CERTIFICATE": ""}, 0)
    with pytest.raises(AssertionError, match="the folder of the model"):
        nothing.compose("config")

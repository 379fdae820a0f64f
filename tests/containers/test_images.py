"""The list of images is true, and each says where it comes from and what it is made of."""

import json
import re
import subprocess
import tomllib
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from containers import ecr, images, sbom, sizes
from containers.build import Site, build
from containers.engine import Engine
from containers.images import OCI, ROOT, UNKNOWN, Image
from containers.wheelhouse import requirements

if TYPE_CHECKING:
    from tests.containers.docker import Docker

IMAGES = images.read()
MEGA = 1_000_000
BILL = "/opt/venv/share/sbom/hybrid-serving.cdx.json"
LISTING = """
import json
from importlib.metadata import distributions

print(json.dumps([found.name for found in distributions()]))
"""


@pytest.mark.parametrize("image", IMAGES.values(), ids=list(IMAGES))
def test_what_an_image_names_is_there(image: Image) -> None:
    optional = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for file in [*image.files, image.lock]:
        assert (ROOT / file).is_file()
    assert {*image.extras, *image.needs, *image.indexes} <= set(optional["optional-dependencies"])


def pinned(image: Image) -> set[str]:
    """The packages whose versions an image's lock has."""
    lines = (ROOT / image.lock).read_text().splitlines()
    return {line.partition("==")[0] for line in lines if not line.startswith("#")}


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[>=<]", requirement)[0] for requirement in requirements}


@pytest.mark.parametrize("name", ["cpu", "gpu", "lambda"])
def test_the_lock_of_an_image_names_all_that_it_needs(name: str) -> None:
    assert names(requirements(IMAGES[name].chosen(None))) <= pinned(IMAGES[name])


def test_neurons_lock_names_what_its_own_index_has() -> None:
    optional = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert names(optional["optional-dependencies"]["neuron"]) <= pinned(IMAGES["neuron"])


@pytest.mark.parametrize("name", ["cpu", "neuron", "lambda"])
def test_cuda_is_in_the_lock_of_the_image_for_gpus_alone(name: str) -> None:
    assert "nvidia-cublas" in pinned(IMAGES["gpu"])
    assert "nvidia-cublas" not in pinned(IMAGES[name])


@pytest.mark.container
def test_the_engine_is_given_the_lock_of_every_image(docker: "Docker", tmp_path: Path) -> None:
    copies = [f"COPY {image.lock} /{name}" for name, image in IMAGES.items()]
    file = tmp_path / "Dockerfile"
    file.write_text("\n".join(["FROM scratch", *copies]))
    docker("rmi", docker("build", "--quiet", "--file", str(file), str(ROOT)))


def instructions(image: str) -> set[str]:
    """Those of a Dockerfile, without comments and in one line each."""
    text = (ROOT / "containers" / image / "Dockerfile").read_text()
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    return {line for line in text.replace("\\\n", " ").splitlines() if line}


def test_no_instruction_is_pasted_from_one_dockerfile_to_another() -> None:
    folders = {folder for image in IMAGES.values() for folder in image.dockerfiles}
    seen = {"ARG BASE_IMAGE", "FROM ${BASE_IMAGE}"}
    for folder in sorted(folders):
        found = instructions(folder) - {"ARG BASE_IMAGE", "FROM ${BASE_IMAGE}"}
        assert not found & seen
        seen |= found


class Paper(Engine):
    """An engine that only has the images it is told to have."""

    def __init__(self, *present: str) -> None:
        super().__init__("docker")
        self.present = present

    def can(self, *arguments: str) -> bool:
        return arguments[-1] in self.present

    def ask(self, *arguments: str) -> str:
        return '["python@sha256:f00"]' if arguments[0] == "image" else "--secret --provenance"


GIVEN = dict.fromkeys(["only", "base", "tag", "wheelhouse", "ca", "index"]) | {"dry_run": True}


def commands(
    image: Image, capsys: pytest.CaptureFixture[str], site: Site | None = None, **given: str
) -> list[str]:
    """The builds of an image, where its base is at hand."""
    engine = Paper(image.base)
    build(image, Namespace(**{**GIVEN, **given}), engine, site or Site("", "", "", ""), [])
    return capsys.readouterr().out.splitlines()


@pytest.fixture(autouse=True)
def wheelhouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of each test's own."""
    monkeypatch.setattr("containers.build.WHEELHOUSE", tmp_path / "wheelhouse")
    monkeypatch.delenv("TORCH_INDEX_URL", raising=False)


@pytest.mark.parametrize("image", IMAGES.values(), ids=list(IMAGES))
def test_the_dockerfiles_of_an_image_are_built_one_on_the_other(
    image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    below = image.base
    for command, file in zip(commands(image, capsys), image.files, strict=True):
        assert f"--file {file} " in command
        assert f"BASE_IMAGE={below} " in command
        (below,) = re.findall(r"--tag (\S+)", command)
    assert below == f"hybrid-serving:{image.name}"
    assert f"--label {OCI}base.name={image.base}" in command
    assert f"--label {OCI}base.digest=sha256:f00" in command


def test_pytorch_comes_from_its_own_index_where_no_wheel_is_at_hand(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cpu, argument = IMAGES["cpu"], "PIP_EXTRA_INDEX_URL="
    (public,) = commands(cpu, capsys)
    assert f"{argument}https://download.pytorch.org/whl/cpu" in public
    wheel = tmp_path / "torch-2.0-cp311-cp311-linux_x86_64.whl"
    wheel.touch()
    (at_hand,) = commands(cpu, capsys, Site("", "", "", str(wheel)))
    assert f"{argument} " in at_hand
    (without,) = commands(cpu, capsys, only="onnx")
    assert f"{argument} " in without
    monkeypatch.setenv("TORCH_INDEX_URL", "https://site.example/torch")
    (named,) = commands(cpu, capsys)
    assert f"{argument}https://site.example/torch" in named


def test_no_attestation_makes_a_list_of_manifests_which_lambda_refuses(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert all("--provenance=false" in line for line in commands(IMAGES["lambda"], capsys))


def test_what_an_image_cannot_do_without_is_there_in_a_slim_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, last = commands(IMAGES["lambda"], capsys, only="onnx")
    assert "EXTRAS=onnx,lambda " in first
    assert "--tag hybrid-serving:lambda-onnx " in last


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with one revision."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "LICENSE").write_text("free")
    who = ("-c", "user.name=any", "-c", "user.email=any@site.example")
    for command in ("init --quiet", "add LICENSE", "commit --quiet --message any"):
        subprocess.run(["git", *who, *command.split()], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize(
    ("remote", "source"),
    [
        ("https://user:secret@site.example:8443/a/b.git", "https://site.example:8443/a/b.git"),
        ("ssh://git@site.example/a/b.git", "ssh://site.example/a/b.git"),
        ("/home/somebody/b", UNKNOWN),
    ],
)
def test_the_source_is_the_repository_s_address_and_no_secret(
    remote: str, source: str, repository: Path
) -> None:
    subprocess.run(["git", "remote", "add", "origin", remote], cwd=repository, check=True)
    assert images.provenance(repository)[f"{OCI}source"] == source


def test_a_revision_that_was_changed_afterwards_says_so(repository: Path) -> None:
    clean = images.provenance(repository)
    assert re.fullmatch(r"[0-9a-f]{40}", clean[f"{OCI}revision"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*", clean[f"{OCI}created"])
    (repository / "unrelated").touch()
    assert images.provenance(repository) == clean
    (repository / "LICENSE").write_text("changed")
    dirty = images.provenance(repository)[f"{OCI}revision"]
    assert dirty == clean[f"{OCI}revision"] + "-dirty"


def test_without_git_the_revision_is_unknown(tmp_path: Path) -> None:
    assert images.provenance(tmp_path)[f"{OCI}revision"] == UNKNOWN


@pytest.mark.parametrize(
    ("host", "account"),
    [
        ("123456789012.dkr.ecr.eu-central-1.amazonaws.com", ("123456789012", "eu-central-1")),
        ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", ("123456789012", "us-east-1")),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", ("123456789012", "cn-north-1")),
        ("123456789012.dkr-ecr.eu-central-1.on.aws", ("123456789012", "eu-central-1")),
        ("123456789012.dkr.ecr.eu-central-1.amazonaws.com.site.example", None),
        ("registry.site.example:5000", None),
    ],
)
def test_amazons_registries_are_known_by_their_names(
    host: str, account: tuple[str, str] | None
) -> None:
    assert ecr.account(host) == account


def test_the_table_of_sizes_names_the_largest_parts_first() -> None:
    size = sizes.Size("cpu", 300 * MEGA, 128 * MEGA, {"small": MEGA, "large": 90 * MEGA})
    assert sizes.table([size])[2:] == ["| `cpu` | 300 | 128 | large 90, small 1 |"]


@pytest.mark.parametrize(
    ("tag", "built"),
    [
        ("cpu", True),
        ("cpu-xgboost-onnx", True),
        ("lambda-torch", False),
        ("lambda.step1", False),
        ("trial", False),
    ],
)
def test_images_of_other_names_are_not_measured(tag: str, built: bool) -> None:
    assert sizes.is_built(tag, IMAGES) is built


def test_the_page_of_sizes_has_the_place_that_the_command_writes_to() -> None:
    lines = [line for line in sizes.page_of(sizes.PAGE).splitlines() if line]
    assert lines[:2] == sizes.table([])
    assert {"`cpu`", "`lambda`"} <= {line.split(" | ")[0].strip("| ") for line in lines[2:]}


def test_debians_packages_have_no_place_where_there_is_no_dpkg(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert sbom.debian_packages("alpine") == []


@pytest.fixture(scope="session")
def lambda_image() -> str:
    """The image for Lambda alone."""
    command = ["./build.sh", "lambda"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    return "hybrid-serving:lambda"


@pytest.fixture(scope="session")
def from_wheels(docker: "Docker", tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image with ONNX Runtime alone, built with neither an index nor a network."""
    tag, folder = "hybrid-serving:from-wheels", tmp_path_factory.mktemp("site")
    gather = ["wheelhouse", "wheels", "--only", "onnx"]
    make = ["cpu", "--only", "onnx", "--tag", tag, "--wheelhouse", "wheels"]
    nowhere = ["--", "--build-arg", "PIP_NO_INDEX=1", "--network", "none"]
    for arguments in (gather, [*make, *nowhere]):
        command = [str(ROOT / "build.sh"), *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-5000:]
    yield tag
    docker("rmi", tag)


def added(docker: "Docker", image: str) -> int:
    """The bytes that an image has beside its base."""
    found = docker.inspect(image)
    base = found["Config"]["Labels"][f"{OCI}base.name"]
    return int(found["Size"]) - int(docker.inspect(base)["Size"])


@pytest.mark.container
def test_an_image_with_one_engine_adds_no_more_to_its_base_than_was_agreed(
    docker: "Docker", slim_image: str, from_wheels: str
) -> None:
    assert added(docker, slim_image) <= 240 * MEGA
    assert added(docker, from_wheels) <= 150 * MEGA


@pytest.mark.container
def test_the_bill_of_materials_names_every_package_of_the_image(
    docker: "Docker", image: str
) -> None:
    bill = json.loads(docker("run", "--rm", "--entrypoint", "cat", image, BILL))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    parts = [bill["metadata"]["component"], *bill["components"]]
    named = {part["purl"].partition("@")[0] for part in parts if "purl" in part}
    python = json.loads(docker("run", "--rm", "--entrypoint", "python", image, "-c", LISTING))
    query = ("dpkg-query", "--show", "--showformat=${Package}\n")
    debian = docker("run", "--rm", "--entrypoint", query[0], image, *query[1:]).split()
    wanted = {f"pkg:pypi/{re.sub('[-_.]+', '-', name).lower()}" for name in python}
    wanted |= {f"pkg:deb/debian/{name}" for name in debian}
    assert named == wanted
    assert bill["metadata"]["component"]["name"] == "hybrid-serving"


@pytest.mark.container
def test_an_image_says_where_it_comes_from(docker: "Docker", image: str, lambda_image: str) -> None:
    source = images.provenance()
    for name in (image, lambda_image):
        labels = docker.inspect(name)["Config"]["Labels"]
        assert labels[f"{OCI}version"] == images.version()
        assert labels[f"{OCI}revision"] == source[f"{OCI}revision"]
        assert labels[f"{OCI}source"] == source[f"{OCI}source"]
        assert docker.inspect(labels[f"{OCI}base.name"])
    assert docker.inspect(lambda_image)["Config"]["Labels"][images.EXTRAS] == "xgboost,onnx,lambda"


@pytest.mark.container
def test_lambda_starts_its_runtime_client_by_a_path_that_is_no_link(
    docker: "Docker", lambda_image: str
) -> None:
    configuration = docker.inspect(lambda_image)["Config"]
    first, *rest = configuration["Entrypoint"]
    assert rest == ["/opt/venv/bin/python", "-m", "awslambdaric"]
    assert configuration["Cmd"] == ["serving.hosts.aws_lambda.handler"]
    kind = docker("run", "--rm", "--entrypoint", "stat", lambda_image, "--format", "%F", first)
    assert kind == "regular file"


@pytest.mark.container
def test_the_image_for_lambda_lacks_what_makes_a_cold_start_long(
    docker: "Docker", lambda_image: str
) -> None:
    python = json.loads(
        docker("run", "--rm", "--entrypoint", "python", lambda_image, "-c", LISTING)
    )
    assert {"awslambdaric", "onnxruntime", "xgboost-cpu"} <= set(python)
    assert not {"botocore", "s3fs", "torch"} & set(python)


@pytest.mark.container
def test_an_image_is_built_from_a_folder_of_wheels_without_an_index(
    docker: "Docker", from_wheels: str
) -> None:
    assert "onnxruntime" in docker("run", "--rm", "--entrypoint", "pip", from_wheels, "list")

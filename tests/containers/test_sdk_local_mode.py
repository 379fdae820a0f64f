"""The SageMaker Python SDK deploys a model on this machine's engine, and gets its predictions."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from serving.archives.pack import pack
from tests.containers import clients
from tests.containers.examples import DOCUMENT, LINES
from tests.models import stump
from tests.support import free_port, post

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.containers.docker import Docker
    from tests.containers.examples import InProcess, Trained

    LocalMode = Callable[..., Any]

pytestmark = pytest.mark.container

SCRIPT = Path(__file__).with_name("local_mode.py")
CSV, JSON = "text/csv", "application/json"
AS_CSV = {"serializer": "CSVSerializer", "deserializer": "CSVDeserializer"}
AS_JSON = {"serializer": "JSONSerializer", "deserializer": "JSONDeserializer"}
TELLS_HEADERS = """
import json
from pathlib import Path

def model_fn(model_dir):
    return json.loads(Path(model_dir, "names.json").read_text())

def transform_fn(names, body, content_type, accept, context):
    told = {name: context.get_request_header(0, name) for name in names}
    return json.dumps(told), "application/json"
"""


@pytest.fixture
def project(docker: "Docker") -> Iterator[str]:
    """A name for what compose makes. All that bears it is removed in the end."""
    name = f"local-mode-{uuid4().hex}"
    yield name
    ours = ("--quiet", "--filter", f"label=com.docker.compose.project={name}")
    for container in docker("ps", "--all", *ours).split():
        print(docker.attempt("logs", container).stdout)
        docker("rm", "--force", container)
    for network in docker("network", "ls", *ours).split():
        docker("network", "rm", network)


@pytest.fixture
def local_mode(image: str, project: str, tmp_path: Path) -> "LocalMode":
    """Does a job of local_mode.py with the image, and gives the answers.

    Its arguments are what is to be done, where the model lies, more arguments for the SDK's
    ``Model``, and the rest of the job.
    """

    def do(name: str, model: Path, more: dict[str, Any] | None = None, **job: Any) -> Any:
        root, told, answers = tmp_path / "root", tmp_path / "job.json", tmp_path / "answers.json"
        root.mkdir()
        job["do"] = name
        job["local"] = {"serving_port": free_port(), "container_root": str(root)}
        job["model"] = {"image_uri": image, "model_data": f"file://{model}", **(more or {})}
        told.write_text(json.dumps(job))
        done = clients.run("python", SCRIPT, told, answers, COMPOSE_PROJECT_NAME=project)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(answers.read_text())

    return do


def archive(model: Path, folder: Path) -> Path:
    """An archive of the model, alone in a new folder: the SDK unpacks it where it lies."""
    folder.mkdir()
    return pack(model, folder / "model.tar.gz").path


def test_a_deployed_model_predicts_what_it_predicts_in_process(
    local_mode: "LocalMode", trained: "Trained", in_process: "InProcess", tmp_path: Path
) -> None:
    model = trained("xgboost_tabular")
    rows = [[float(field) for field in row] for row in csv.reader(LINES.read_text().splitlines())]
    document = json.loads(DOCUMENT.read_text())
    requests = [{"data": rows, **AS_CSV}, {"data": document, **AS_JSON}]

    to_rows, to_document = local_mode(
        "predict", archive(model, tmp_path / "archive"), requests=requests
    )

    lines = in_process(model, post(LINES.read_bytes(), content_type=CSV, accept=CSV))
    assert to_rows == list(csv.reader(lines.body.decode().splitlines()))
    answer = in_process(model, post(DOCUMENT.read_bytes(), content_type=JSON, accept=JSON))
    assert to_document == json.loads(answer.body)


def test_local_code_sees_what_the_client_says(local_mode: "LocalMode", tmp_path: Path) -> None:
    said = {
        "custom_attributes": ("X-Amzn-SageMaker-Custom-Attributes", "trace=7"),
        "inference_id": ("X-Amzn-SageMaker-Inference-Id", "one"),
        "target_variant": ("X-Amzn-SageMaker-Target-Variant", "blue"),
    }
    model, script = tmp_path / "model", tmp_path / "code" / "headers.py"
    for folder in (model, script.parent):
        folder.mkdir()
    (model / "names.json").write_text(json.dumps([name for name, _ in said.values()]))
    script.write_text(TELLS_HEADERS)
    code = {"entry_point": script.name, "source_dir": str(script.parent)}
    arguments = {argument: value for argument, (_, value) in said.items()}

    answers = local_mode(
        "predict",
        archive(model, tmp_path / "archive"),
        code,
        requests=[{"data": {}, **AS_JSON, **arguments}],
    )

    assert answers == [dict(said.values())]


def test_target_model_names_one_of_a_repository(
    local_mode: "LocalMode", trained: "Trained", in_process: "InProcess", tmp_path: Path
) -> None:
    tumours, small = trained("xgboost_tabular"), tmp_path / "small"
    small.mkdir()
    stump().save_model(small / "xgboost-model.ubj")
    repository = tmp_path / "repository"
    # Below the top: what lies there would be unpacked, and mixed up, by the SDK.
    team = repository / "team"
    team.mkdir(parents=True)
    pack(tumours, team / "tumours.tar.gz")
    pack(small, team / "small.tar.gz")
    bodies = {"tumours": LINES.read_text(), "small": "0,0\n1,0\n"}
    requests = [
        {"data": body, "target_model": f"team/{name}.tar.gz", **AS_CSV}
        for name, body in bodies.items()
    ]

    answers = local_mode(
        "predict", repository, {"env": {"SERVING_REPOSITORY": "/opt/ml/model"}}, requests=requests
    )

    lines = in_process(tumours, post(LINES.read_bytes(), content_type=CSV, accept=CSV))
    assert answers == [list(csv.reader(lines.body.decode().splitlines())), [["1.0"], ["3.0"]]]


@pytest.mark.parametrize("strategy", ["SingleRecord", "MultiRecord"])
def test_a_transform_job_writes_a_line_for_each_record(
    strategy: str,
    local_mode: "LocalMode",
    trained: "Trained",
    in_process: "InProcess",
    tmp_path: Path,
) -> None:
    model, output = trained("xgboost_tabular"), tmp_path / "output"
    # The strategy has to be named: local mode does not know it as containers spell it, in
    # capitals, when they answer /execution-parameters.
    transformer = {"strategy": strategy, "output_path": f"file://{output}", "accept": CSV}
    data = {"data": f"file://{LINES}", "content_type": CSV, "split_type": "Line"}

    local_mode("transform", model, transformer=transformer, transform=data)

    answer = in_process(model, post(LINES.read_bytes(), content_type=CSV, accept=CSV))
    assert (output / "request.csv.out").read_bytes() == answer.body

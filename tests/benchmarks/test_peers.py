"""The files of peers, their environments, and how they are asked and read."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import environments, peer, workloads
from benchmarks.peers.encodings import ENCODINGS, Array
from benchmarks.peers.starting import workloads_of
from benchmarks.peers.workloads import WORKLOADS
from benchmarks.throughput import BenchmarkError, workload

FILE = """
title = "A"
command = ["{python}", "--port", "{port}"]
[requests.xgboost]
path = "/invocations"
encoding = "csv"
"""
ROW = np.array([0.1, -2.5, 1e-8], np.float32)


def parse(text: str, folder: Path = Path("/peers/a")) -> peer.Peer:
    return peer.parse(folder, text)


@pytest.mark.parametrize("name", peer.names())
def test_every_file_is_a_peer_whose_environment_is_pinned(name: str) -> None:
    read = peer.read(name)
    assert read.requests
    if read.python:
        folder = read.folder.with_name(read.shares or name)
        lines = (folder / "requirements.txt").read_text().splitlines()
        assert lines
        assert all("==" in line for line in lines if line and not line.startswith(("#", "-")))


def test_all_that_the_comparison_is_about_are_there() -> None:
    roles = {name: peer.read(name).role for name in peer.names()}
    assert roles["serving"] == "ours"
    assert roles["nginx"] == "limit"
    assert [name for name, role in roles.items() if role == "ours"] == [
        "serving",
        "serving_compiled",
    ]


def test_what_a_file_leaves_out_has_a_default() -> None:
    read = parse(FILE)
    assert (read.name, read.role, read.python, read.processes) == ("a", "peer", True, 1)
    assert read.requests["xgboost"] == peer.Request("/invocations", "csv", "csv")


def test_other_configurations_change_a_part_of_the_file() -> None:
    read = parse(
        FILE
        + """
        [mixed]
        variables = { BOTH = "yes" }
        requests.xgboost.path = "/models/xgboost"
        [[tried]]
        name = "more"
        processes = 4
        """
    )
    (tried,) = read.tried
    assert (tried.title, tried.processes, tried.command) == ("A: more", 4, read.command)
    assert read.mixed is not None
    assert read.mixed.variables == {"BOTH": "yes"}
    assert read.mixed.requests["xgboost"].path == "/models/xgboost"
    assert read.requests["xgboost"].path == "/invocations"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "A"', "", "title is missing"),
        ('title = "A"', "title = 1", "title has to be a text"),
        ('title = "A"', 'title = "A"\nspeed = 1', "speed means nothing"),
        ('title = "A"', 'title = "A"\nrole = "friend"', "role is 'friend'; it may be ours"),
        ('title = "A"', 'title = "A"\ntemplates = ["x"]', "the template x is not beside it"),
        ("{port}", "{gate}", r"\{gate\} is no placeholder; python, bin"),
        ("requests.xgboost", "requests.trees", "there is no such workload; xgboost"),
        ('"csv"', '"xml"', "there is no encoding 'xml'; csv"),
        ('path = "/invocations"', "", "path is missing"),
        ("[requests", "[[tried]]\n[requests", "has no name"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_what_is_wrong(
    old: str, new: str, message: str
) -> None:
    assert old in FILE
    with pytest.raises(BenchmarkError, match=rf"^a/peer\.toml.*{message}"):
        parse(FILE.replace(old, new))


def test_a_peer_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(BenchmarkError, match=r"^There is no peer apache; .*nginx"):
        peer.read("apache")


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "peer.toml").write_text("title = ")
    monkeypatch.setattr(peer, "FOLDER", tmp_path)
    with pytest.raises(BenchmarkError, match=r"^a/peer\.toml: ") as error:
        peer.read("a")
    assert isinstance(error.value.__cause__, tomllib.TOMLDecodeError)


def test_only_known_placeholders_are_filled_in() -> None:
    text = 'events { worker {port} } {"a": {work}} {other}'
    assert peer.fill(text, {"port": 1, "work": "/w"}) == 'events { worker 1 } {"a": /w} {other}'


def test_a_peer_of_one_model_is_started_for_each(tmp_path: Path) -> None:
    more = '[requests.mlp-json]\npath = "/"\nencoding = "json"\n'
    more += '[requests.mlp-binary]\npath = "/"\nencoding = "npy"\n'
    everything = ("xgboost", "mlp-json", "mlp-binary")
    assert workloads_of(parse(FILE + more), everything) == [(("xgboost", "mlp"), [*everything])]
    alone = parse(FILE.replace("--port", "{names}") + more)
    expected = [(("xgboost",), ["xgboost"]), (("mlp",), ["mlp-json", "mlp-binary"])]
    assert workloads_of(alone, everything) == expected
    assert workloads_of(alone, ["xgboost"]) == expected[:1]

    (tmp_path / "conf").write_text("model {model}")
    template = parse('templates = ["conf"]' + FILE, tmp_path)
    assert template.one_model
    assert template.only_one


@pytest.mark.parametrize("name", ["csv", "json", "npy", "raw"])
def test_an_encoding_reads_what_it_writes(name: str) -> None:
    encoding = ENCODINGS[name]
    assert np.array_equal(encoding.read(encoding.write(ROW).data, {}), ROW)


@pytest.mark.parametrize(
    "answer",
    [b"0.5", b"0.5,0.25\n", b"[[0.5, 0.25]]", b'{"predictions": [[0.5, 0.25]]}', b'{"a": 0.5}'],
)
def test_numbers_are_found_in_any_shape(answer: bytes) -> None:
    for name in ("csv", "json"):
        found = ENCODINGS[name].read(answer, {})
        assert found.tolist() == [0.5, 0.25][: len(found)]


@pytest.mark.parametrize("answer", [b"", b"error", b"{}", b'{"ok": true}', b'"1"'])
def test_an_answer_without_numbers_is_an_error(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r"number|convert"):
        ENCODINGS["json"].read(answer, {})


def test_the_open_inference_protocol_is_written_in_both_forms() -> None:
    document = json.loads(ENCODINGS["v2-json"].write(ROW).data)
    (tensor,) = document["inputs"]
    assert (tensor["shape"], tensor["datatype"]) == ([1, 3], "FP32")
    assert np.array_equal(np.array(tensor["data"], np.float32), ROW)

    body = ENCODINGS["v2-binary"].write(ROW)
    length = int(body.headers["Inference-Header-Content-Length"])
    (tensor,) = json.loads(body.data[:length])["inputs"]
    assert tensor["parameters"] == {"binary_data_size": 12}
    assert body.data[length:] == ROW.tobytes()


def v2(values: Array, binary: bool) -> tuple[bytes, dict[str, str]]:
    output: dict[str, object] = {"name": "o", "shape": [1, 3], "datatype": "FP32"}
    if not binary:
        return json.dumps({"outputs": [{**output, "data": values.tolist()}]}).encode(), {}
    output |= {"parameters": {"binary_data_size": values.nbytes}}
    head = json.dumps({"outputs": [output]}).encode()
    return head + values.tobytes(), {"inference-header-content-length": str(len(head))}


@pytest.mark.parametrize("binary", [False, True])
def test_an_output_of_the_open_inference_protocol_is_read_in_both_forms(binary: bool) -> None:
    for name in ("v2-json", "v2-binary"):
        assert np.allclose(ENCODINGS[name].read(*v2(ROW, binary)), ROW)


def test_the_models_answer_as_the_questions_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workload, "TRAINING_ROWS", 500)
    questions = workloads.make(tmp_path)
    assert {(tmp_path / each.model).is_dir() for each in WORKLOADS.values()} == {True}
    assert questions["xgboost"].rows.shape == (workloads.ASKED_ROWS, 30)
    assert questions["xgboost"].expected.shape == (workloads.ASKED_ROWS, 1)
    assert questions["mlp"].rows.shape == (workloads.ASKED_ROWS, 256)
    assert questions["mlp"].expected.shape == (workloads.ASKED_ROWS, 10)
    assert np.allclose(questions["mlp"].expected.sum(axis=1), 1.0)


def test_an_environment_is_made_once_for_a_list_of_requirements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "requirements.txt").write_text("six==1.0\n")
    made: list[Path] = []
    monkeypatch.setattr(environments, "BUILT", tmp_path / "built")

    def make(home: Path, requirements: Path) -> None:
        assert requirements.read_text().startswith("six")
        home.mkdir(parents=True, exist_ok=True)
        made.append(home)

    monkeypatch.setattr(environments, "_make", make)
    read = parse(FILE, folder)
    expected = tmp_path / "built" / "a" / "bin" / "python"
    assert environments.python_of(read) == environments.python_of(read) == expected
    assert len(made) == 1
    (folder / "requirements.txt").write_text("six==1.1\n")
    environments.python_of(read)
    assert len(made) == 2


def test_an_environment_without_requirements_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"requirements\.txt is missing"):
        environments.python_of(parse(FILE, tmp_path))


def test_a_missing_program_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"^no-such-program is missing"):
        environments.python_of(parse('programs = ["no-such-program"]' + FILE, tmp_path))

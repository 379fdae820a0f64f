"""XGBoost models: every format in, every format out, and answers like the container's."""

import io
import json
import pickle
import re
import struct
import subprocess
import sys
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from serving import engines, problems
from serving.codecs import record
from serving.codecs.record import Tensor
from serving.errors import ModelLoadError, SettingError
from serving.model import Model
from serving.stacking import split, stack
from serving.values import Request, Response
from tests.conftest import COLUMNS, MakeSettings

Boosters = dict[str, xgboost.Booster]
Rows = NDArray[np.float32]
Load = Callable[..., Model]

CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"
LIBSVM, NPY, NPZ = "text/libsvm", "application/x-npy", "application/x-npz"
RECORDIO = "application/x-recordio-protobuf"


@pytest.fixture
def load(tmp_path: Path, boosters: Boosters, make_settings: MakeSettings) -> Load:
    """Saves a booster under a name and loads the directory."""

    def save_and_load(kind: str = "logistic", name: str = "model.ubj", **given: Any) -> Model:
        write(boosters[kind], tmp_path / name)
        return engines.load(tmp_path, make_settings(**given))

    return save_and_load


def write(booster: xgboost.Booster, path: Path, form: str = "") -> None:
    path.write_bytes(booster.save_raw(form or path.suffix.removeprefix(".") or "ubj"))


def ask(
    model: Model, body: bytes | str, content_type: str | None = CSV, accept: str = CSV
) -> Response:
    """An answer, through the model's three functions."""
    headers = {} if content_type is None else {"content-type": content_type}
    raw = body.encode() if isinstance(body, str) else body
    request = Request("POST", "/invocations", headers, raw)

    def answer() -> Response:
        return model.encode(model.predict(model.decode(request)), accept, request)

    return problems.attempt(answer)


def scores(response: Response) -> Rows:
    """The numbers of a CSV answer, as the float32 they are."""
    assert response.status == 200, response.body
    assert response.content_type == CSV
    assert isinstance(response.body, bytes)
    lines = response.body.decode().splitlines()
    rows = np.array([[np.float32(cell) for cell in line.split(",")] for line in lines])
    return rows[:, 0] if rows.shape[1] == 1 else rows


def refusal(response: Response) -> tuple[int, str]:
    assert isinstance(response.body, bytes)
    return response.status, str(json.loads(response.body)["message"])


def expected(booster: xgboost.Booster, rows: Rows) -> Rows:
    """What the library itself predicts.

    In place, where it can: its two ways differ in the last bit for dart.
    """
    best = booster.attr("best_iteration")
    rounds = (0, int(best) + 1) if best else (0, 0)
    predictions: Rows
    if json.loads(booster.save_config())["learner"]["gradient_booster"]["name"] == "gblinear":
        predictions = booster.predict(xgboost.DMatrix(rows))
    else:
        predictions = booster.inplace_predict(rows, iteration_range=rounds)
    return predictions


def as_csv(rows: Rows) -> str:
    cells = [["" if np.isnan(cell) else repr(float(cell)) for cell in row] for row in rows]
    return "\n".join(",".join(row) for row in cells)


def as_libsvm(rows: Rows) -> str:
    """Rows whose missing cells are left out, with indices from 1."""
    lines = []
    for row in rows:
        items = [f"{i}:{cell!r}" for i, cell in enumerate(row.tolist(), 1) if not np.isnan(cell)]
        lines.append(" ".join(["0", *items]))
    return "\n".join(lines)


def as_json(rows: Rows) -> bytes:
    table = [[None if np.isnan(cell) else cell for cell in row] for row in rows.tolist()]
    return json.dumps({"instances": table}).encode()


def as_jsonlines(rows: Rows) -> bytes:
    table = [[None if np.isnan(cell) else cell for cell in row] for row in rows.tolist()]
    return b"".join(json.dumps({"features": row}).encode() + b"\n" for row in table)


def as_npy(rows: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, rows)
    return buffer.getvalue()


def as_npz(rows: Rows) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, rows)
    return buffer.getvalue()


def as_sparse_npz(rows: Rows) -> bytes:
    """Rows whose missing cells are left out, and whose zeros are not, as SciPy saves them."""
    row, column = np.nonzero(~np.isnan(rows))
    place = {"format": np.array(b"coo"), "shape": np.array(rows.shape), "row": row, "col": column}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, data=rows[row, column], **place)
    return buffer.getvalue()


def as_recordio(rows: Rows) -> bytes:
    return b"".join(frame(Tensor(row, array("Q"), array("Q"))) for row in rows)


def as_sparse_recordio(rows: Rows) -> bytes:
    frames = []
    for row in rows:
        keys = np.flatnonzero(~np.isnan(row))
        frames.append(frame(Tensor(row[keys], array("Q", keys), array("Q", [len(row)]))))
    return b"".join(frames)


def frame(tensor: Tensor) -> bytes:
    message = record.write({"values": tensor}, {})
    return struct.pack("<II", 0xCED7230A, len(message)) + message + bytes(-len(message) % 4)


BODIES: dict[str, tuple[str, Callable[[Rows], bytes | str]]] = {
    "csv": (CSV, as_csv),
    "libsvm": (LIBSVM, as_libsvm),
    "json": (JSON, as_json),
    "jsonlines": (LINES, as_jsonlines),
    "npy": (NPY, as_npy),
    "npy of doubles": (NPY, lambda rows: as_npy(rows.astype(np.float64))),
    "npy in Fortran's order": (NPY, lambda rows: as_npy(np.asfortranarray(rows))),
    "npz": (NPZ, as_npz),
    "sparse npz": (NPZ, as_sparse_npz),
    "recordio": (RECORDIO, as_recordio),
    "sparse recordio": (RECORDIO, as_sparse_recordio),
}
SPARSE = ["libsvm", "sparse npz", "sparse recordio"]
KINDS = ["squarederror", "logistic", "softprob", "softmax", "dart", "linear", "stopped"]


CUT = """
import sys
from pathlib import Path
from serving.engines import boosters
from serving.errors import ModelLoadError
from serving.configuration import read

model, settings = Path(sys.argv[1]), read({})
content = model.read_bytes()
for length in (*range(40), *range(40, len(content), 173), len(content) - 1):
    model.write_bytes(content[:length])
    try:
        boosters.read(model, settings)
    except ModelLoadError:
        continue
    print(length, "bytes of", len(content), "were taken for a model")
print("done")
"""


class TestPredictions:
    @pytest.mark.parametrize("form", BODIES)
    @pytest.mark.parametrize("kind", KINDS)
    def test_every_format_gets_what_the_library_predicts(
        self, load: Load, boosters: Boosters, table: Rows, kind: str, form: str
    ) -> None:
        content_type, write_body = BODIES[form]
        model = load(kind)
        assert_array_equal(
            scores(ask(model, write_body(table), content_type)), expected(boosters[kind], table)
        )

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_row_alone_gets_what_it_gets_among_others(
        self, load: Load, boosters: Boosters, table: Rows, kind: str
    ) -> None:
        model = load(kind)
        alone = [scores(ask(model, as_csv(row[np.newaxis])))[0] for row in table[:20]]
        assert_array_equal(np.array(alone), expected(boosters[kind], table[:20]))

    def test_requests_in_different_formats_are_stacked(
        self, load: Load, boosters: Boosters, table: Rows
    ) -> None:
        model = load("softprob")
        payloads = []
        for index, (content_type, write_body) in enumerate(BODIES.values()):
            body = write_body(table[index : index + 2])
            raw = body.encode() if isinstance(body, str) else body
            request = Request("POST", "/invocations", {"content-type": content_type}, raw)
            payloads.append(model.decode(request))
        assert {payload.merge_key for payload in payloads} == {model.merge_key}
        assert model.merge_key is not None
        together = split(model.predict(stack(payloads)), [2] * len(payloads))
        for index, prediction in enumerate(together):
            rows = table[index : index + 2]
            assert_array_equal(prediction.outputs["score"], expected(boosters["softprob"], rows))

    def test_one_row_needs_no_list_around_it(
        self, load: Load, boosters: Boosters, table: Rows
    ) -> None:
        row = np.nan_to_num(table[:1])
        answer = expected(boosters["logistic"], row)
        model = load()
        for body, content_type in (
            (as_npy(row[0]), NPY),
            (json.dumps(row[0].tolist()), JSON),
            (json.dumps({"features": row[0].tolist()}), JSON),
        ):
            assert_array_equal(scores(ask(model, body, content_type)), answer)

    def test_absent_cells_are_missing_and_not_zero(self, load: Load, boosters: Boosters) -> None:
        model = load("squarederror")
        missing = np.full((1, COLUMNS), np.nan, np.float32)
        present = missing.copy()
        present[0, 4] = 2.0
        rows = np.concatenate([present, missing])
        answer = expected(boosters["squarederror"], rows)
        assert answer[1] != expected(boosters["squarederror"], np.zeros((1, COLUMNS), "f4"))[0]
        assert_array_equal(scores(ask(model, "0 5:2\n0", LIBSVM)), answer)
        assert_array_equal(scores(ask(model, ",,,,2\n,,,,nan")), answer)

    def test_libsvm_counts_from_one_or_from_zero(self, load: Load) -> None:
        model = load("squarederror")
        from_one = ask(model, "1:3 2:1\n4:1", LIBSVM)
        assert ask(model, "0:3 1:1\n3:1", LIBSVM) == from_one
        assert scores(from_one).shape == (2,)

    def test_a_float_beyond_float32_is_infinite(self, load: Load, boosters: Boosters) -> None:
        rows = np.array([[np.inf, -np.inf, 0, 0, 0]], np.float32)
        answer = boosters["squarederror"].inplace_predict(rows)
        assert_array_equal(scores(ask(load("squarederror"), "1e39,-1e39,0,0,0")), answer)

    def test_an_infinity_the_model_refuses_is_the_clients_error(self, load: Load) -> None:
        status, message = refusal(ask(load("linear"), "1e39,0,0,0,0"))
        assert status == 400
        assert message.startswith("Unable to evaluate payload provided: Input data contains `inf`")


class TestAnswers:
    """The container's shapes, contract 4.4."""

    @pytest.fixture
    def model(self, load: Load) -> Model:
        return load("logistic")

    @pytest.fixture
    def answer(self, boosters: Boosters, table: Rows) -> list[float]:
        predictions: list[float] = expected(boosters["logistic"], table[:3]).tolist()
        return predictions

    def test_csv_has_a_line_a_row(self, model: Model, table: Rows, answer: list[float]) -> None:
        body = ask(model, as_csv(table[:3])).body
        assert isinstance(body, bytes)
        assert body.endswith(b"\n")
        assert [np.float32(line) for line in body.splitlines()] == answer

    def test_json_has_an_object_a_row(self, model: Model, table: Rows, answer: list[float]) -> None:
        response = ask(model, as_csv(table[:3]), accept=JSON)
        assert response.content_type == JSON
        assert isinstance(response.body, bytes)
        assert json.loads(response.body) == {"predictions": [{"score": one} for one in answer]}

    def test_jsonlines_has_an_object_a_line(
        self, model: Model, table: Rows, answer: list[float]
    ) -> None:
        response = ask(model, as_csv(table[:3]), accept=LINES)
        assert isinstance(response.body, bytes)
        lines = response.body.splitlines()
        assert [json.loads(line) for line in lines] == [{"score": one} for one in answer]

    def test_npy_has_the_array(self, model: Model, table: Rows, answer: list[float]) -> None:
        response = ask(model, as_csv(table[:3]), accept=NPY)
        assert isinstance(response.body, bytes)
        array = np.load(io.BytesIO(response.body))
        assert (array.dtype, array.tolist()) == (np.dtype(np.float32), answer)

    def test_recordio_has_a_record_a_row(
        self, model: Model, table: Rows, answer: list[float]
    ) -> None:
        response = ask(model, as_csv(table[:3]), accept=RECORDIO)
        messages = [
            record.write({}, {"score": Tensor(np.array([one], "f4"), array("Q"), array("Q"))})
            for one in answer
        ]
        assert response.body == b"".join(
            struct.pack("<II", 0xCED7230A, len(one)) + one + bytes(-len(one) % 4)
            for one in messages
        )

    def test_probabilities_of_classes_stand_side_by_side(
        self, load: Load, boosters: Boosters, table: Rows
    ) -> None:
        model = load("softprob")
        answer = expected(boosters["softprob"], table[:2])
        assert answer.shape == (2, 3)
        assert scores(ask(model, as_csv(table[:2]))).tolist() == answer.tolist()
        response = ask(model, as_csv(table[:2]), accept=JSON)
        assert isinstance(response.body, bytes)
        rows = [{"score": row} for row in answer.tolist()]
        assert json.loads(response.body) == {"predictions": rows}

    def test_csv_is_the_default_unless_the_setting_says_otherwise(self, load: Load) -> None:
        assert load().writes == (CSV, JSON, LINES, RECORDIO, NPY)
        assert load(default_accept="application/json; x=y").writes[0] == JSON
        with pytest.raises(SettingError, match="'image/png' is nothing this model can answer"):
            load(default_accept="image/png")

    def test_the_model_says_what_it_takes_and_gives(self, load: Load) -> None:
        model = load("softprob")
        assert model.inputs == (("features", "float32", (None, COLUMNS)),)
        assert model.outputs == (("score", "float32", (None, 3)),)
        assert load("logistic").outputs == (("score", "float32", (None,)),)
        assert model.engine == "xgboost"
        assert model.foreign == frozenset()


class TestRefusals:
    @pytest.fixture
    def model(self, load: Load) -> Model:
        return load("logistic")

    def test_a_missing_content_type_is_libsvm(self, model: Model, table: Rows) -> None:
        body = as_libsvm(table[:2])
        assert ask(model, body, None) == ask(model, body, LIBSVM)
        assert ask(model, body, "") == ask(model, body, LIBSVM)
        assert refusal(ask(model, "1,2,3", None))[0] == 415

    @pytest.mark.parametrize("name", ["csv", "libsvm", "text/x-libsvm", "recordio-protobuf"])
    def test_the_containers_short_names_are_known(
        self, model: Model, table: Rows, name: str
    ) -> None:
        form = {"csv": "csv", "recordio-protobuf": "recordio"}.get(name, "libsvm")
        body = BODIES[form][1](table[:2])
        assert ask(model, body, name) == ask(model, body, BODIES[form][0])

    @pytest.mark.parametrize("name", ["image/png", "application/x-parquet", "text/plain"])
    def test_other_types_are_refused_with_those_that_are_read(
        self, model: Model, name: str
    ) -> None:
        status, message = refusal(ask(model, "1,2,3,4,5", name))
        assert status == 415
        assert message.startswith(f"{name} is not an accepted Content-Type")
        assert all(known in message for known in model.reads)

    @pytest.mark.parametrize(
        ("content_type", "name", "body"),
        [
            (CSV, "csv", b"1,2,x"),
            (CSV, "csv", b"1,2\n1,2,3"),
            ("text/csv; label_size=2", "csv", b"1,2,3,4,5"),
            ("text/csv; charset=klingon", "csv", b"1,2,3,4,5"),
            (LIBSVM, "libsvm", b"0 a:b"),
            (RECORDIO, "recordio-protobuf", b"not recordio"),
            (JSON, "json", b"{"),
            (LINES, "jsonlines", b"[1]\n["),
            (NPY, "npy", b"\x93NUMPY"),
        ],
    )
    def test_what_cannot_be_parsed_is_415_in_the_containers_words(
        self, model: Model, content_type: str, name: str, body: bytes
    ) -> None:
        status, message = refusal(ask(model, body, content_type))
        assert status == 415
        assert message.startswith(
            f"Loading {name} data failed with Exception, please ensure data is in {name} format:\n "
        )

    @pytest.mark.parametrize("columns", [1, COLUMNS - 1, COLUMNS + 1, 50])
    @pytest.mark.parametrize("form", [form for form in BODIES if form not in SPARSE])
    def test_rows_of_another_width_are_400(self, model: Model, form: str, columns: int) -> None:
        content_type, write_body = BODIES[form]
        body = write_body(np.ones((2, columns), np.float32))
        status, message = refusal(ask(model, body, content_type))
        assert status == 400
        assert {str(COLUMNS), str(columns)} <= set(re.findall(r"\d+", message))

    @pytest.mark.parametrize("form", SPARSE)
    def test_so_are_sparse_ones_that_are_wider_but_not_narrower_ones(
        self, model: Model, form: str
    ) -> None:
        content_type, write_body = BODIES[form]
        wide = write_body(np.ones((2, COLUMNS + 1), np.float32))
        status, message = refusal(ask(model, wide, content_type))
        assert status == 400
        assert message.endswith("the model takes 5 features a row, the payload has 6.")
        narrow = write_body(np.ones((2, COLUMNS - 1), np.float32))
        assert ask(model, narrow, content_type).status == 200

    @pytest.mark.parametrize(
        ("values", "told"),
        [
            (np.float32(1), "the payload has 1"),
            (np.ones((1, 1, COLUMNS)), "the payload has the shape (1, 1, 5)"),
            (np.ones((COLUMNS, 2)), "the payload has 2"),
            (np.ones((1, COLUMNS), complex), "complex"),
            (np.full((1, COLUMNS), "1.5"), "<U3"),
            (np.full((1, COLUMNS), b"1.5"), "|S3"),
        ],
    )
    def test_arrays_that_are_no_table_of_numbers_are_400(
        self, model: Model, values: Any, told: str
    ) -> None:
        status, message = refusal(ask(model, as_npy(values), NPY))
        assert status == 400
        assert told in message

    def test_integers_and_booleans_are_numbers(self, model: Model) -> None:
        rows = np.array([[0, 1, 1, 0, 1]])
        answers = {ask(model, as_npy(rows.astype(kind)), NPY) for kind in ("?", "i8", "u1", "f2")}
        assert len(answers) == 1
        assert answers.pop().status == 200

    def test_a_sparse_table_too_large_to_fill_up_is_413(
        self, model: Model, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("serving.codecs.base.MAX_DENSE", 4 * COLUMNS * 2)
        assert ask(model, "1:1\n2:1", LIBSVM).status == 200
        status, message = refusal(ask(model, "1:1\n2:1\n3:1", LIBSVM))
        assert status == 413
        assert message.startswith("3 sparse rows of 5 columns need more than 0 MiB")

    def test_a_declared_width_allocates_nothing(self, model: Model) -> None:
        status, message = refusal(ask(model, "2147483000:1", LIBSVM))
        assert status == 400
        assert "2147483000" in message


class TestFiles:
    """Which files are boosters, and what becomes of damaged ones."""

    @pytest.mark.parametrize(
        ("name", "form"),
        [
            ("model.json", "json"),
            ("model.ubj", "ubj"),
            ("xgboost-model", "ubj"),
            ("xgboost-model", "json"),
            ("model.bst", "ubj"),
            ("churn.model", "json"),
            ("churn.xgb", "ubj"),
            ("booster", "ubj"),
            ("booster", "json"),
            ("wrong.ubj", "json"),
            ("wrong.json", "ubj"),
        ],
    )
    def test_every_format_is_read_under_every_name(
        self,
        tmp_path: Path,
        boosters: Boosters,
        table: Rows,
        make_settings: MakeSettings,
        name: str,
        form: str,
    ) -> None:
        write(boosters["squarederror"], tmp_path / name, form)
        (tmp_path / "README.md").write_text("A learner.")
        (tmp_path / "metrics.json").write_text('{"rmse": 0.1}')
        (tmp_path / ".hidden").write_text('{"learner": {}}')
        model = engines.load(tmp_path, make_settings())
        assert_array_equal(
            scores(ask(model, as_csv(table))), expected(boosters["squarederror"], table)
        )

    def test_one_that_stopped_early_predicts_with_its_best_round(
        self, load: Load, boosters: Boosters, table: Rows
    ) -> None:
        booster = boosters["stopped"]
        got = scores(ask(load("stopped", "model.json"), as_csv(table)))
        best = booster.best_iteration + 1
        assert best < booster.num_boosted_rounds()
        assert_array_equal(got, booster.inplace_predict(table, iteration_range=(0, best)))

    def test_several_are_an_ensemble_unless_the_setting_says_otherwise(
        self, tmp_path: Path, boosters: Boosters, table: Rows, make_settings: MakeSettings
    ) -> None:
        pair = [boosters["squarederror"], boosters["dart"]]
        for index, booster in enumerate(pair):
            write(booster, tmp_path / f"{index}.ubj")
        mean = np.mean([expected(each, table) for each in pair], axis=0)
        together = scores(ask(engines.load(tmp_path, make_settings()), as_csv(table)))
        np.testing.assert_allclose(together, mean, rtol=1e-6)
        first = engines.load(tmp_path, make_settings(ensemble=False))
        assert_array_equal(scores(ask(first, as_csv(table))), expected(pair[0], table))

    def test_an_ensemble_takes_the_same_features(
        self, tmp_path: Path, boosters: Boosters, make_settings: MakeSettings
    ) -> None:
        write(boosters["logistic"], tmp_path / "a.ubj")
        matrix = xgboost.DMatrix(np.eye(3), [0, 1, 1])
        write(xgboost.train({"nthread": 1}, matrix, 1), tmp_path / "b.ubj")
        with pytest.raises(ModelLoadError, match="the same features; these take 3, 5"):
            engines.load(tmp_path, make_settings())

    @pytest.mark.parametrize("kind", ["booster", "classifier"])
    def test_a_pickle_is_refused_unless_it_is_allowed(
        self,
        tmp_path: Path,
        boosters: Boosters,
        table: Rows,
        make_settings: MakeSettings,
        kind: str,
    ) -> None:
        model: Any = boosters["logistic"]
        if kind == "classifier":
            model = xgboost.XGBClassifier(n_estimators=3, max_depth=2, n_jobs=1)
            model.fit(table, np.arange(len(table)) % 2)
        booster = model if kind == "booster" else model.get_booster()
        for name in ("xgboost-model", "model.pkl"):
            folder = tmp_path / name
            folder.mkdir()
            (folder / name).write_bytes(pickle.dumps(model))
            with pytest.raises(ModelLoadError, match=f"{name} is a Python pickle") as refused:
                engines.load(folder, make_settings())
            assert "SERVING_ALLOW_PICKLE=true" in str(refused.value)
            allowed = engines.load(folder, make_settings(allow_pickle=True))
            assert_array_equal(scores(ask(allowed, as_csv(table))), expected(booster, table))

    def test_a_refused_pickle_runs_nothing(
        self, tmp_path: Path, make_settings: MakeSettings
    ) -> None:
        mark = tmp_path / "mark"

        class Trap:
            def __reduce__(self) -> tuple[Any, ...]:
                return Path.touch, (mark,)

        (tmp_path / "xgboost-model").write_bytes(pickle.dumps(Trap()))
        with pytest.raises(ModelLoadError):
            engines.load(tmp_path, make_settings())
        assert not mark.exists()

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (pickle.dumps({"a": 1}), "is a pickle of dict, no booster"),
            (pickle.dumps([1, 2])[:-3], "cannot be unpickled"),
            (b"\x80\x04nonsense", "cannot be unpickled"),
        ],
    )
    def test_a_pickle_of_something_else_is_refused(
        self, tmp_path: Path, make_settings: MakeSettings, content: bytes, reason: str
    ) -> None:
        (tmp_path / "xgboost-model").write_bytes(content)
        with pytest.raises(ModelLoadError, match=reason):
            engines.load(tmp_path, make_settings(allow_pickle=True))

    @pytest.mark.parametrize(
        "content",
        [b"", b"{", b"{}", b'{"learner": {}}', b"binf" + bytes(200), b"\x1f\x8b\x08", b"{L", b"PK"],
    )
    def test_what_is_no_booster_is_refused_in_one_line(
        self, tmp_path: Path, make_settings: MakeSettings, content: bytes
    ) -> None:
        (tmp_path / "xgboost-model").write_bytes(content)
        with pytest.raises(ModelLoadError) as refused:
            engines.load(tmp_path, make_settings())
        message = str(refused.value)
        assert message.startswith("xgboost-model is damaged or of a format that XGBoost ")
        assert message.endswith("It reads the JSON and UBJSON that save_model writes.")
        assert "\n" not in message

    @pytest.mark.parametrize("form", ["json", "ubj"])
    def test_a_file_that_was_cut_is_refused_wherever_it_was_cut(
        self, tmp_path: Path, boosters: Boosters, form: str
    ) -> None:
        """In a process of its own: the library does not survive every cut."""
        model = tmp_path / "xgboost-model"
        write(boosters["logistic"], model, form)
        command = [sys.executable, "-c", CUT, str(model)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr

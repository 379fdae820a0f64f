"""A user's script is found and loaded, with its functions checked."""

from pathlib import Path

import pytest

from serving.engines import programs, script
from serving.errors import ModelLoadError
from serving.settings import Settings
from tests.engines.script.support import answer, serve, write


def test_a_model_without_a_script_has_none(tmp_path: Path) -> None:
    assert programs.find(tmp_path, Settings()) is None


@pytest.mark.parametrize("program", ["serve_it", "serve_it.py"])
def test_the_program_may_be_named_with_or_without_its_suffix(tmp_path: Path, program: str) -> None:
    write(tmp_path, "", "serve_it.py")
    assert programs.find(tmp_path, Settings(program=program)) == tmp_path / "code" / "serve_it.py"


def test_a_named_program_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"no code/other\.py .* SAGEMAKER_PROGRAM"):
        programs.find(tmp_path, Settings(program="other"))


def test_each_model_has_its_own_script_of_the_same_name(tmp_path: Path) -> None:
    source = "def model_fn(model_dir):\n    return lambda data: NUMBER\nNUMBER = {}\n"
    models = [
        serve(write(tmp_path / str(number), ""), source.replace("{}", str(number)))
        for number in (1, 2)
    ]
    assert [answer(model) for model in models] == [1, 2]


def test_modules_beside_the_script_can_be_imported(tmp_path: Path) -> None:
    write(tmp_path, "def half(data):\n    return data / 2\n", "helper.py")
    model = serve(tmp_path, "from helper import half\ndef model_fn(model_dir):\n    return half\n")
    assert answer(model, "[[1, 2]]") == [[0.5, 1]]


def test_data_classes_and_pickles_find_their_module(tmp_path: Path) -> None:
    model = serve(
        tmp_path,
        """
        import pickle
        from dataclasses import dataclass

        @dataclass
        class Model:
            factor: int

            def predict(self, data):
                return data * self.factor

        def model_fn(model_dir):
            return pickle.loads(pickle.dumps(Model(3)))
        """,
    )
    assert answer(model, "[[1, 2]]") == [[3, 6]]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\ndef broken(:\n", r"failed at inference\.py, line 2: SyntaxError: invalid syntax$"),
        (
            "x = 1\nimport no_such_module\n",
            r"at inference\.py, line 2: ModuleNotFoundError: .*no_s",
        ),
        ("\n\n1 / 0\n", r"at inference\.py, line 3: ZeroDivisionError: division"),
        ("import sys\nsys.exit(3)\n", r"at inference\.py, line 2: SystemExit: 3"),
    ],
)
def test_a_script_that_cannot_be_imported_names_the_line(
    tmp_path: Path, source: str, message: str
) -> None:
    with pytest.raises(ModelLoadError, match=message):
        serve(tmp_path, source)


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("model_fn", "", r"\(model_dir\) or \(model_dir, context\)"),
        ("model_fn", "model_dir, context, more", r"\(model_dir, context\)"),
        ("input_fn", "data", r"\(input_data, content_type\)"),
        ("predict_fn", "data, model, context, more", r"\(data, model, context\)"),
        ("output_fn", "*, prediction, accept", r"\(prediction, accept\)"),
        ("output_fn", "prediction, accept, *, more", r"\(prediction, accept\)"),
        ("transform_fn", "model, data, content_type", r"\(model, input_data, content_type, acc"),
        ("model_warmup_fn", "model_dir", r"\(model_dir, model\)"),
        ("pre_model_fn", "a, b, c", r"\(model_dir\)"),
    ],
)
def test_a_function_of_other_arguments_is_refused_at_load(
    tmp_path: Path, name: str, parameters: str, expected: str
) -> None:
    with pytest.raises(ModelLoadError, match=rf"{name}\(.*takes other arguments.*{expected}"):
        serve(tmp_path, f"def {name}({parameters}): ...")


@pytest.mark.parametrize(
    "parameters", ["model_dir", "model_dir, context", "d, context=None", "*args", "d, **more"]
)
def test_a_function_may_take_a_context_besides(tmp_path: Path, parameters: str) -> None:
    serve(tmp_path, f"def model_fn({parameters}):\n    return len")


def test_what_is_no_function_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"predict_fn in inference\.py is int, no function"):
        serve(tmp_path, "predict_fn = 3")


def test_transform_fn_excludes_the_functions_it_stands_for(tmp_path: Path) -> None:
    source = """
        def transform_fn(model, data, content_type, accept): ...
        def input_fn(data, content_type): ...
        def output_fn(prediction, accept): ...
    """
    with pytest.raises(ModelLoadError, match=r"transform_fn.*input_fn, output_fn too"):
        serve(tmp_path, source)


def test_functions_run_in_the_order_of_loading(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        calls = []
        def pre_model_fn(model_dir):
            calls.append(("pre", model_dir))
        def model_fn(model_dir):
            calls.append(("model", model_dir))
            return len
        def model_warmup_fn(model_dir, model):
            calls.append(("warmup", model_dir, model))
        def predict_fn(data, model):
            return [list(call[:2]) for call in calls], calls[2][2] is len
        """,
    )
    model = serve(tmp_path, (tmp_path / "code" / "inference.py").read_text())
    folder = str(tmp_path)
    assert answer(model) == [[["pre", folder], ["model", folder], ["warmup", folder]], True]


def test_pre_model_fn_runs_before_an_engine_loads(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        """
        from pathlib import Path
        def pre_model_fn(model_dir):
            Path(model_dir, "made").touch()
        """,
    )
    script.load(folder / "code" / "inference.py", folder)
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["pre_model_fn", "model_fn", "model_warmup_fn"])
def test_a_function_that_fails_to_load_is_named_with_its_line(tmp_path: Path, name: str) -> None:
    other = "" if name == "model_fn" else "def model_fn(model_dir): return len\n"
    second = ", model" if name == "model_warmup_fn" else ""
    source = f"{other}def {name}(model_dir{second}):\n    raise ValueError('no weights')"
    line = source.count("\n") + 1
    with pytest.raises(
        ModelLoadError, match=rf"{name} failed at inference\.py, line {line}: ValueError: no weig"
    ):
        serve(tmp_path, source)

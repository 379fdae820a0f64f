"""The context that a script's functions are given."""

from pathlib import Path

from serving.model import Model
from serving.values import Response
from tests.engines.script.support import JSON, Recorder, ask, serve


def test_one_context_follows_a_request_through_all_functions(tmp_path: Path) -> None:
    model = serve(
        tmp_path,
        """
        def model_fn(model_dir, context):
            return context.system_properties["model_dir"]
        def input_fn(data, content_type, context):
            context.note = data
            context.set_response_header(0, "x-input", context.get_request_header(0, "X-Name"))
            return data
        def predict_fn(data, model, context):
            context.set_response_status(202)
            return model
        def output_fn(prediction, accept, context):
            context.set_response_content_type(0, "text/plain")
            return f"{context.note} {prediction}"
        """,
    )
    for name in ("one", "two"):
        response = ask(model, f'"{name}"', JSON | {"x-name": name})
        assert response == Response(
            202, f'"{name}" {tmp_path}'.encode(), "text/plain", (("x-input", name),)
        )


def test_a_context_reaches_a_predict_fn_behind_an_engines_decode(
    tmp_path: Path, doubler: Model
) -> None:
    model = serve(
        tmp_path,
        """
        def predict_fn(data, model, context):
            context.set_response_header(0, "x-rows", len(data))
            return model(data)
        """,
        doubler,
    )
    response = ask(model, "[[1, 2]]")
    assert response.headers == (("x-rows", "1"),)
    assert response.body == b"[[2.0,4.0]]"


def test_what_input_fn_sets_survives_an_engines_predict_and_encode(tmp_path: Path) -> None:
    model = serve(
        tmp_path,
        """
        import json
        def input_fn(data, content_type, context):
            context.set_response_header(0, "x-seen", "yes")
            return json.loads(data)
        """,
        Recorder().model(),
    )
    response = ask(model)
    assert response.headers == (("x-seen", "yes"),)
    assert response.body == b"[[2, 4]]"


def test_an_output_fns_own_type_wins_over_the_contexts(tmp_path: Path) -> None:
    source = """
        def model_fn(model_dir): return len
        def output_fn(prediction, accept, context):
            context.set_response_content_type(0, "text/plain")
            return b"x", "image/png"
    """
    assert ask(serve(tmp_path, source)).content_type == "image/png"

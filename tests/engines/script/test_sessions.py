"""What a script keeps for a session."""

from pathlib import Path

import pytest

from serving.errors import BadRequest
from serving.sessions.store import Sessions
from serving.settings import Settings
from tests.engines.script.support import JSON, ask, serve

COUNTS_TURNS = """
def model_fn(model_dir):
    return None

def input_fn(data, content_type):
    return data

def predict_fn(data, model, context):
    turn = context.session.get("turn", 0) + 1
    context.session.put("turn", turn)
    return f"{context.session_id}: {turn}"

def output_fn(prediction, accept):
    return prediction
"""


@pytest.fixture
def with_sessions(tmp_path: Path) -> Settings:
    return Settings(sessions=True, sessions_path=tmp_path / "sessions")


def open_session(settings: Settings) -> str:
    """Its id."""
    store = Sessions(settings.sessions_path, settings.sessions_expiration)
    ((_, value),) = store.create().headers
    return value.partition(";")[0]


@pytest.mark.parametrize(
    "source",
    [
        COUNTS_TURNS,
        """
        def model_fn(model_dir):
            return None

        def transform_fn(model, data, content_type, accept, context):
            context.session.put("turn", context.session.get("turn", 0) + 1)
            return f"{context.session_id}: {context.session.get('turn')}"
        """,
    ],
)
def test_a_script_keeps_values_for_the_session_of_a_request(
    tmp_path: Path, with_sessions: Settings, source: str
) -> None:
    # Two workers, each with the model.
    models = [serve(tmp_path, source, settings=with_sessions) for _ in range(2)]
    one, other = open_session(with_sessions), open_session(with_sessions)
    asked = [(one, 0), (one, 1), (other, 1), (one, 0)]
    answers = [
        ask(models[number], "", {"x-amzn-sagemaker-session-id": session}).body
        for session, number in asked
    ]
    expected = [f"{one}: 1", f"{one}: 2", f"{other}: 1", f"{one}: 3"]
    assert answers == [line.encode() for line in expected]


@pytest.mark.parametrize("on", [True, False])
def test_a_script_sees_no_session_where_there_is_none(tmp_path: Path, on: bool) -> None:
    source = """
    def model_fn(model_dir):
        return lambda data: data

    def output_fn(prediction, accept, context):
        named = context.get_request_header(0, "X-Amzn-SageMaker-Session-Id")
        return f"{context.session} {context.session_id} {named}"
    """
    settings = Settings(sessions=on, sessions_path=tmp_path / "sessions")
    model = serve(tmp_path, source, settings=settings)
    assert ask(model).body == b"None None None"
    if not on:
        headers = JSON | {"x-amzn-sagemaker-session-id": "mine"}
        assert ask(model, headers=headers).body == b"None None mine"


def test_a_session_that_was_closed_while_its_request_waited_is_the_clients_error(
    tmp_path: Path, with_sessions: Settings
) -> None:
    model = serve(tmp_path, COUNTS_TURNS, settings=with_sessions)
    name = "7d0a4f5e-0000-4000-8000-000000000000"
    with pytest.raises(BadRequest, match="is unknown, or has expired"):
        ask(model, "", {"x-amzn-sagemaker-session-id": name})

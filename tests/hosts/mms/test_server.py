"""What multi-model-server is started with; how it serves is for tests/contract/test_mms.py."""

import subprocess
from pathlib import Path
from subprocess import PIPE
from types import SimpleNamespace

import pytest

from serving.errors import SettingError
from serving.hosts.mms import server
from tests.conftest import MakeSettings
from tests.support import PATIENCE, cli, environment


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment in which there seem to be Java and the packages."""
    java = tmp_path / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.touch(0o755)
    for name in ("default-mms.properties", "mme-mms.properties"):
        (tmp_path / name).write_text(f"# {name}\n")
    monkeypatch.setattr(server, "_toolkit", lambda: tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: SimpleNamespace(name=name))
    return {"JAVA_HOME": str(tmp_path / "java")}


def lines(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))


def test_one_model_is_loaded_at_the_start_and_none_over_the_network(
    installed: dict[str, str], make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(bind="127.0.0.1", port=9000, workers=3)
    text = server.configuration(settings, tmp_path)
    assert text.startswith("# default-mms.properties\n")
    found = lines(text)
    assert found["load_models"] == f"model={tmp_path}/model"
    assert found["inference_address"] == "http://127.0.0.1:9000"
    assert found["management_address"] == f"unix:{tmp_path}/management"
    assert found["default_workers_per_model"] == "3"
    assert found["default_service_handler"] == "serving.hosts.mms.handler"


def test_many_models_are_registered_where_they_are_asked(
    installed: dict[str, str], make_settings: MakeSettings, tmp_path: Path
) -> None:
    text = server.configuration(make_settings(multi_model=True, port=9000), tmp_path)
    assert text.startswith("# mme-mms.properties\n")
    found = lines(text)
    assert "load_models" not in found
    assert found["management_address"] == found["inference_address"] == "http://0.0.0.0:9000"


def test_limits_of_sizes_are_ours_and_those_of_time_leave_the_core_to_answer_first(
    installed: dict[str, str], make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(max_body=1000, startup_timeout=20.5, request_timeout=5, max_queue=7)
    found = lines(server.configuration(settings, tmp_path))
    assert found["max_request_size"] == "1000"
    assert found["max_response_size"] == str(2**31 - 1)
    assert found["default_response_timeout_seconds"] == "31"
    assert found["job_queue_size"] == "7"


def test_models_processes_know_what_was_found_out_before(make_settings: MakeSettings) -> None:
    assert server.variables(make_settings(threads=3)) == {"OMP_NUM_THREADS": "3"}
    found = server.variables(make_settings(threads=3, code="/cache/code"))
    assert found["SAGEMAKER_SUBMIT_DIRECTORY"] == "/cache/code"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"port": 0}, "no port 0; SAGEMAKER_BIND_TO_PORT may be from 1 to 32766"),
        ({"port": 40_000}, "no port 40000"),
        ({"bind": "::1"}, "SERVING_BIND is ::1"),
        ({"repository": "/models"}, "setting repository: models are registered at POST /models"),
        ({"tls_certificate": "/c.pem"}, "setting tls_certificate: a proxy"),
        ({"keys": "/keys.toml", "multi_model": True}, "SERVING_KEYS, but not many"),
    ],
)
def test_what_the_server_cannot_do_is_refused(
    installed: dict[str, str], make_settings: MakeSettings, given: dict[str, object], told: str
) -> None:
    with pytest.raises(SettingError, match=told):
        server.check(make_settings(**given), installed)


def test_java_is_that_of_java_home_or_of_the_path(
    installed: dict[str, str], make_settings: MakeSettings
) -> None:
    java = f"{installed['JAVA_HOME']}/bin/java"
    assert server.check(make_settings(), installed) == java
    assert server.check(make_settings(), {"PATH": f"{installed['JAVA_HOME']}/bin"}) == java


@pytest.mark.parametrize(
    ("variables", "told"),
    [({"PATH": ""}, "no java on the PATH"), ({"JAVA_HOME": "/none"}, "no /none/bin/java")],
)
def test_missing_java_is_named_with_its_package(
    installed: dict[str, str], make_settings: MakeSettings, variables: dict[str, str], told: str
) -> None:
    with pytest.raises(SettingError, match=f"{told}; .* openjdk-17-jre-headless"):
        server.check(make_settings(), variables)


def test_missing_packages_are_named_with_the_extra(
    installed: dict[str, str], make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", {"mms": object()}.get)
    with pytest.raises(SettingError, match=r"needs sagemaker-inference; .*hybrid-serving\[mms\]"):
        server.check(make_settings(), installed)


def test_serve_ends_with_one_line_where_it_cannot_start_the_server(tmp_path: Path) -> None:
    done = subprocess.run(
        cli("serve", tmp_path / "model", "--port", "0"),
        env=environment(SERVING_HOST="mms"),
        stderr=PIPE,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("serving: SERVING_HOST=mms listens on no port 0")
    assert done.stderr.count("\n") == 1


def test_there_is_no_third_host(tmp_path: Path) -> None:
    done = subprocess.run(
        cli("serve", tmp_path),
        env=environment(SERVING_HOST="tomcat"),
        stderr=PIPE,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stderr == ("serving: SERVING_HOST='tomcat' is not allowed; it takes http or mms.\n")

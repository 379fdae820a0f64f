"""Contract §2: a server of many models is healthy, keeps them, and says what it can."""

from pathlib import Path

import pytest

from tests.containers import docker
from tests.contract.cases import get
from tests.contract.many import HIGH, LOW, Many, own_platform, refused
from tests.contract.multi_model.support import not_found
from tests.contract.places import Place
from tests.support import Answer, healthy


class TestServer:
    def test_it_is_healthy_without_models(self, many: Many) -> None:
        assert many.server.ask(get("/ping")) == Answer(200, {}, b"")

    def test_it_is_healthy_where_a_load_has_failed(self, many: Many) -> None:
        assert many.load("broken").status == 500
        assert many.server.ask(get("/ping")).status == 200

    def test_what_is_registered_outlives_the_worker(self, place: Place, hosted: Path) -> None:
        with own_platform(place, hosted) as many:
            for name in ("stump", "classes", "team/churn.tar.gz"):
                many.loads(name)
            assert many.load("broken").status == 500
            assert many.unload("classes").status == 200
            many.kill_worker()
            many.server.wait_until(healthy)
            assert many.invoke("stump", HIGH).body == b"3.0\n"
            assert many.invoke("team/churn.tar.gz", LOW).body == b"1.0\n"
            assert refused(many.invoke("classes")) == not_found("classes")
            assert many.names == ["stump", "team/churn.tar.gz"]
            assert refused(many.load("stump"))[0] == 409
            many.loads("classes")
            many.kill_worker()
            many.server.wait_until(healthy)
            assert many.invoke("classes").status == 200

    def test_a_single_model_server_has_no_models_to_list(
        self, place: Place, models: dict[str, Path]
    ) -> None:
        assert place.serve(models["stump"]).ask(get("/models")).status == 404


@pytest.mark.container
@pytest.mark.parametrize("capability", ["multi-models", "accept-bind-to-port"])
def test_the_image_says_what_it_can(capability: str) -> None:
    labels = docker.chosen().inspect(docker.image())["Config"]["Labels"]
    assert labels[f"com.amazonaws.sagemaker.capabilities.{capability}"] == "true"

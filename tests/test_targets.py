"""What the paths of the Open Inference Protocol name."""

import pytest

from serving import targets
from serving.targets import Target


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/v2/models/churn", Target("churn")),
        ("/v2/models/churn/ready", Target("churn", "", "ready")),
        ("/v2/models/churn/infer", Target("churn", "", "infer")),
        ("/v2/models/churn/versions/1", Target("churn", "1")),
        ("/v2/models/churn/versions/2/infer", Target("churn", "2", "infer")),
        ("/v2/models/team/churn.tar.gz/infer", Target("team/churn.tar.gz", "", "infer")),
        ("/v2/models/infer", Target("infer")),
        ("/v2/models/infer/infer", Target("infer", "", "infer")),
        ("/v2/models/versions/1", Target("versions/1")),
        ("/v2/models/a/versions/b/c", Target("a/versions/b/c")),
        ("/v2/models/a/versions/1/versions/2", Target("a/versions/1", "2")),
        ("/v2/models/", None),
        ("/v2/models", None),
        ("/v2", None),
        ("/models/churn/invoke", None),
    ],
)
def test_a_path_is_read_from_its_end(path: str, target: Target | None) -> None:
    assert targets.read(path) == target


@pytest.mark.parametrize(
    ("path", "speaks"), [("/v2", True), ("/v2/x", True), ("/v20", False), ("/invocations", False)]
)
def test_whatever_lies_under_v2_speaks_the_protocol(path: str, speaks: bool) -> None:
    assert targets.spoken(path) is speaks

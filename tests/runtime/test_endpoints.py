"""The file of endpoints: what it may say, and what is said of one that is wrong."""

import json
from pathlib import Path

import pytest

from serving.errors import SettingError
from serving.runtime import endpoints
from serving.runtime.endpoints import Endpoint, Shadow, Variant
from tests.conftest import MakeSettings

TOML = """
[fraud.variants.stable]
model = "fraud/7.tar.gz"
weight = 9

[fraud.variants.next]
model = "fraud/8.tar.gz"

[fraud.shadow]
name = "candidate"
model = "fraud/9.tar.gz"
share = 0.1
folder = "shadow"

[fraud.containers]
prepare = "fraud/prepare.tar.gz"

[fraud.components]
explain = "fraud/explain.tar.gz"

[churn]
"""
JSON = {
    "fraud": {
        "variants": {
            "stable": {"model": "fraud/7.tar.gz", "weight": 9},
            "next": {"model": "fraud/8.tar.gz"},
        },
        "shadow": {
            "name": "candidate",
            "model": "fraud/9.tar.gz",
            "share": 0.1,
            "folder": "shadow",
        },
        "containers": {"prepare": "fraud/prepare.tar.gz"},
        "components": {"explain": "fraud/explain.tar.gz"},
    },
    "churn": {},
}


@pytest.mark.parametrize(
    ("name", "text"), [("endpoints.toml", TOML), ("endpoints.json", json.dumps(JSON))]
)
def test_all_that_a_file_may_say(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert endpoints.read(path) == {
        "fraud": Endpoint(
            "fraud",
            (Variant("stable", "fraud/7.tar.gz", 9.0), Variant("next", "fraud/8.tar.gz", 1.0)),
            Shadow("candidate", "fraud/9.tar.gz", 0.1, tmp_path / "shadow"),
            {"prepare": "fraud/prepare.tar.gz"},
            {"explain": "fraud/explain.tar.gz"},
        ),
        "churn": Endpoint("churn", (Variant("AllTraffic"),)),
    }


def test_the_file_in_the_docstring_is_one(tmp_path: Path) -> None:
    assert endpoints.__doc__ is not None
    path = tmp_path / "endpoints.toml"
    path.write_text(endpoints.__doc__.partition("::")[2].replace("\n    ", "\n"))
    fraud = endpoints.read(path)["fraud"]
    assert fraud.shadow == Shadow("candidate", "fraud/9.tar.gz", 0.1, Path("/var/lib/shadow"))


def test_a_shadow_variant_is_asked_about_all_unless_it_has_a_share(tmp_path: Path) -> None:
    path = tmp_path / "endpoints.toml"
    path.write_text('[a.shadow]\nname = "b"\nfolder = "/shadow"')
    assert endpoints.read(path)["a"].shadow == Shadow("b", "", 1.0, Path("/shadow"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it has no endpoint"),
        ("[a", "is not TOML: "),
        ("a = 1", "is wrong at a: it has to be a table"),
        ("[under_score]", "a name is 'under_score'; it takes letters"),
        ("[a]\nvariant = {}", "at a: 'variant' is unknown; there are variants, shadow, containers"),
        ("[a]\nvariants = []", "at a.variants: it has to be a table"),
        ("[a.variants.b]\nmodle = ''", "at a.variants.b: 'modle' is unknown; there are model, "),
        ("[a.variants.b]\nmodel = 1", "at a.variants.b: 'model' is 1; it has to be text"),
        ("[a.variants.b]\nweight = -1", "'weight' is -1; it has to be a number from 0, or more"),
        ("[a.variants.b]\nweight = inf", "'weight' is inf"),
        ("[a.variants.b]\nweight = nan", "'weight' is nan"),
        ("[a.variants.b]\nweight = true", "'weight' is True"),
        ("[a.variants.b]\nweight = 0", "at a: no variant has a weight above 0"),
        ("[a.shadow]\nfolder = 'b'", "at a.shadow: 'name' is missing"),
        ("[a.shadow]\nname = 'b'", "at a.shadow: 'folder' is missing"),
        ("[a.shadow]\nname = '_'\nfolder = 'b'", "at a.shadow: a name is '_'"),
        (
            "[a.shadow]\nname = 'b'\nfolder = 'b'\nshare = 2",
            "'share' is 2; it has to be a number from 0 to 1",
        ),
        (
            "[a.variants.b]\n[a.shadow]\nname = 'b'\nfolder = 'c'",
            "at a: 'b' is a production variant and the shadow variant",
        ),
        ("[a.containers]\nb = 1", "at a.containers: 'b' is 1; it has to be text"),
    ],
)
def test_what_is_said_of_a_file_that_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "endpoints.toml"
    path.write_text(text)
    with pytest.raises(SettingError) as caught:
        endpoints.read(path)
    assert str(caught.value).startswith(f"SERVING_ENDPOINTS: {path} ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "[a.variants.b]\nmodel = 'm'",
        "[a.shadow]\nname = 'b'\nmodel = 'm'\nfolder = 'c'",
        "[a.containers]\nb = 'm'",
        "[a.components]\nb = 'm'",
    ],
)
def test_a_server_of_one_model_cannot_choose_among_models(
    tmp_path: Path, make_settings: MakeSettings, text: str
) -> None:
    path = tmp_path / "endpoints.toml"
    path.write_text(text)
    with pytest.raises(SettingError, match=r"Endpoint a names models \(m\), but this server has"):
        endpoints.of(make_settings(endpoints=str(path)))
    assert endpoints.of(make_settings(endpoints=str(path), repository="models")).keys() == {"a"}


def test_a_shadow_variant_of_many_models_has_a_model(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    path = tmp_path / "endpoints.toml"
    path.write_text("[a.shadow]\nname = 'b'\nfolder = 'c'")
    assert endpoints.of(make_settings(endpoints=str(path))).keys() == {"a"}
    with pytest.raises(SettingError, match="shadow variant of endpoint a names no model"):
        endpoints.of(make_settings(endpoints=str(path), multi_model=True))


def test_without_a_file_there_are_none(make_settings: MakeSettings) -> None:
    assert endpoints.of(make_settings()) == {}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"gone\.toml cannot be read: No such file"):
        endpoints.read(tmp_path / "gone.toml")


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "endpoints.json"
    path.write_text("{")
    with pytest.raises(SettingError, match=r"endpoints\.json is not JSON: "):
        endpoints.read(path)

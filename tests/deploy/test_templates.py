"""The CloudFormation templates in deploy/, and the commands that make stacks of them."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cfnlint.decode import cfn_yaml

from serving.bundle import edge, libraries
from tests.deploy.pages import ROOT, commands

DEPLOY = ROOT / "deploy"
EVERYWHERE = ["eu-central-1", "us-east-1"]
SECTIONS = {"Lambda": "lambda.yaml", "CloudFront": "edge.yaml"}


def read(name: str) -> dict[str, Any]:
    """A template, its functions as CloudFormation's JSON has them."""
    return dict(cfn_yaml.load(str(DEPLOY / name)))


def properties(template: str, resource: str) -> dict[str, Any]:
    return dict(read(template)["Resources"][resource]["Properties"])


@pytest.mark.parametrize(
    ("name", "regions"), [("lambda.yaml", EVERYWHERE), ("edge.yaml", ["us-east-1"])]
)
def test_cfn_lint_finds_nothing(name: str, regions: list[str]) -> None:
    program = Path(sys.executable).with_name("cfn-lint")
    command = [str(program), "--regions", *regions, "--", str(DEPLOY / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_template_is_tested() -> None:
    templates = [
        path.name for path in DEPLOY.glob("*.yaml") if "AWSTemplateFormat" in path.read_text()
    ]
    assert sorted(templates) == sorted(SECTIONS.values())


@pytest.mark.parametrize(("heading", "name"), SECTIONS.items())
def test_the_command_gives_the_template_what_it_asks_for(heading: str, name: str) -> None:
    words = shlex.split(commands(heading), comments=True)
    assert words[words.index("--template-file") + 1] == f"deploy/{name}"
    overrides = words[words.index("--parameter-overrides") + 1 :]
    given = {word.partition("=")[0] for word in overrides if re.match(r"[A-Z]\w*=", word)}
    parameters = read(name)["Parameters"]
    assert given == {name for name, facts in parameters.items() if "Default" not in facts}
    assert "CAPABILITY_IAM" in words


def test_the_function_is_the_image_with_its_own_entry_point() -> None:
    function = properties("lambda.yaml", "Function")
    assert function["PackageType"] == "Image"
    assert function["Code"] == {"ImageUri": {"Ref": "Image"}}
    assert not {"Handler", "Runtime", "ImageConfig"} & set(function)


def test_the_url_is_not_for_everyone() -> None:
    assert properties("lambda.yaml", "Url")["AuthType"] == "AWS_IAM"


def test_the_edge_function_has_nothing_that_the_edge_refuses() -> None:
    function = properties("edge.yaml", "Function")
    refused = {"Environment", "Layers", "VpcConfig", "DeadLetterConfig", "TracingConfig"}
    assert not refused & set(function)
    assert function["Timeout"] <= 30


def test_the_edge_function_is_what_the_zip_has() -> None:
    module, _, function = properties("edge.yaml", "Function")["Handler"].partition(".")
    assert f"{module}.py" == edge.FUNCTION
    assert f"{function} =" in edge.PROGRAM.decode()


def test_its_pythons_are_those_that_the_zips_libraries_run_on() -> None:
    runtime = read("edge.yaml")["Parameters"]["Runtime"]
    versions = [name.removeprefix("python") for name in runtime["AllowedValues"]]
    assert not any(libraries.too_old(version) for version in versions)
    words = shlex.split(commands("CloudFront"), comments=True)
    assert runtime["Default"] == f"python{words[words.index('--python') + 1]}"


def test_both_services_may_assume_the_edge_functions_role() -> None:
    (statement,) = properties("edge.yaml", "Role")["AssumeRolePolicyDocument"]["Statement"]
    services = statement["Principal"]["Service"]
    assert set(services) == {"lambda.amazonaws.com", "edgelambda.amazonaws.com"}


def test_the_distribution_asks_a_numbered_version_with_the_body_and_caches_nothing() -> None:
    distribution = properties("edge.yaml", "Distribution")["DistributionConfig"]
    behaviour = distribution["DefaultCacheBehavior"]
    (association,) = behaviour["LambdaFunctionAssociations"]
    assert association == {
        "EventType": "origin-request",
        "IncludeBody": True,
        "LambdaFunctionARN": {"Ref": "Version"},
    }
    assert read("edge.yaml")["Resources"]["Version"]["Type"] == "AWS::Lambda::Version"
    assert "POST" in behaviour["AllowedMethods"]
    caching_disabled = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"  # the same in every account
    assert behaviour["CachePolicyId"] == caching_disabled


def test_another_zip_is_another_version() -> None:
    assert properties("edge.yaml", "Version")["CodeSha256"] == {"Ref": "Sha256"}
    assert properties("edge.yaml", "Function")["Code"]["S3Key"] == {"Ref": "Key"}


@pytest.mark.parametrize("resource", ["Function", "Version"])
def test_what_the_edge_has_copied_outlives_the_stack(resource: str) -> None:
    found = read("edge.yaml")["Resources"][resource]
    assert found["DeletionPolicy"] == found["UpdateReplacePolicy"] == "Retain"

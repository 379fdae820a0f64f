"""Amazon's registry, by the AWS CLI. A repository has to be made before it is pushed to."""

import re
import shutil
import subprocess
from typing import NamedTuple

from containers.images import ROOT, Failure

HOST = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.(amazonaws\.com(\.cn)?|on\.aws)"
)
"""Source: the endpoints and quotas of Amazon ECR in AWS's general reference."""


class Account(NamedTuple):
    """Whose registry it is, and where."""

    number: str
    region: str


def account(host: str) -> Account | None:
    """The account that a registry belongs to; None where it is not Amazon's."""
    found = HOST.fullmatch(host)
    return Account(found["account"], found["region"]) if found else None


def ensure(owner: Account, repository: str) -> bool:
    """Creates the repository if it is missing, and says whether it was.

    Raises:
        Failure: AWS refuses; what its command line says is shown.
    """
    named = ("--registry-id", owner.number, "--repository-names", repository)
    done = _aws(owner, "describe-repositories", *named)
    if done.returncode == 0:
        return False
    if "RepositoryNotFoundException" not in done.stderr:
        raise Failure(done.stderr.strip())
    named = ("--registry-id", owner.number, "--repository-name", repository)
    _succeeded(_aws(owner, "create-repository", *named))
    return True


def password(owner: Account) -> str:
    """What logs the user ``AWS`` in to the registry, for twelve hours."""
    return _succeeded(_aws(owner, "get-login-password")).strip()


def _aws(owner: Account, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("aws") or shutil.which("aws", path=ROOT / ".venv" / "bin")
    if program is None:
        raise Failure("the AWS CLI is needed to push to ECR: `./build.sh venv`, or install it")
    command = [program, "ecr", *arguments, "--region", owner.region, "--output", "json"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _succeeded(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode != 0:
        raise Failure(done.stderr.strip())
    return done.stdout

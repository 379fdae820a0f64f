"""A package tried out as Lambda runs it: unzipped, by an interpreter that has nothing else."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from serving.errors import ArchiveError

SECONDS = 120.0

PROGRAM = """
import json, sys
sys.path.append(sys.argv[1])
import lambda_function
for line in sys.stdin:
    print(json.dumps(lambda_function.lambda_handler(json.loads(line), None)), flush=True)
"""
"""Answers events, one a line."""

PING = {
    "Records": [
        {
            "cf": {
                "config": {"eventType": "origin-request"},
                "request": {"method": "GET", "uri": "/ping", "querystring": "", "headers": {}},
            }
        }
    ]
}


def command(folder: Path, python: str = sys.executable) -> list[str]:
    """The command line of an interpreter that has the package in ``folder``, and nothing else.

    It has no environment, site-packages or folder of its own on its path.
    """
    return [python, "-I", "-S", "-c", PROGRAM, str(folder)]


def run(archive: Path, folder: Path) -> None:
    """Unzip a package into an empty folder, and ask whether its model is well.

    Raises:
        ArchiveError: it does not start, or its model does not load; says why.
    """
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    try:
        done = subprocess.run(  # noqa: S603 - a program of ours
            command(folder),
            input=json.dumps(PING) + "\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
            env={},
        )
    except subprocess.TimeoutExpired as error:
        raise ArchiveError(f"The package does not start within {SECONDS:g} s.") from error
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        raise ArchiveError(f"The package does not start: {''.join(last)}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if answer["status"] != "200":
        told = json.loads(answer["body"])["message"]
        raise ArchiveError(f"The package does not work in an interpreter of its own. {told}")

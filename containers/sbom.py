"""Prints what an image consists of, as a CycloneDX document: Debian's packages and Python's.

Run in the build of an image, by its own interpreter, and so with the standard library alone. Two
builds of the same things print the same: there is neither a date nor a random number.

Source of the format: https://cyclonedx.org/docs/1.6/json/, and of the addresses of packages
https://github.com/package-url/purl-spec.
"""

import json
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

NAME = "hybrid-serving"
FORMAT = "${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n"

Component = dict[str, Any]


def component(name: str, version: str, address: str) -> Component:
    """A library, known by its address."""
    return {
        "type": "library",
        "bom-ref": address,
        "name": name,
        "version": version,
        "purl": address,
    }


def python_package(distribution: Distribution) -> Component:
    """A distribution that is installed; its licence where it names one by SPDX's expression."""
    name, version = distribution.name, distribution.version
    normal = name.lower().replace("_", "-").replace(".", "-")
    found = component(name, version, f"pkg:pypi/{normal}@{quote(version, safe='')}")
    if "License-Expression" in distribution.metadata:
        found["licenses"] = [{"expression": distribution.metadata["License-Expression"]}]
    return found


def debian_packages(system: str) -> list[Component]:
    """What dpkg has installed; nothing where the base has no dpkg.

    Args:
        system: the ID in /etc/os-release, such as ``debian``.
    """
    try:
        told = subprocess.run(
            ["dpkg-query", "--show", f"--showformat={FORMAT}"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    except FileNotFoundError:
        return []
    lines = [line.split("\t") for line in told.splitlines()]
    return [
        component(name, version, f"pkg:deb/{system}/{name}@{quote(version, safe='')}?arch={arch}")
        for status, name, version, arch in lines
        if status.startswith("ii")
    ]


def release(file: Path = Path("/etc/os-release")) -> dict[str, str]:
    """The fields of os-release."""
    pairs = (line.partition("=") for line in file.read_text().splitlines() if "=" in line)
    return {key: value.strip('"') for key, _, value in pairs}


def document(folders: list[str]) -> dict[str, Any]:
    """The bill of the image, with the Python packages in these folders."""
    system = release()
    packages = [python_package(found) for found in distributions(path=folders)]
    (own,) = [package for package in packages if package["name"] == NAME]
    libraries = [package for package in packages if package is not own]
    libraries += debian_packages(system.get("ID", "debian"))
    base = {
        "type": "operating-system",
        "name": system.get("ID", "linux"),
        "version": system.get("VERSION_ID", ""),
    }
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": own | {"type": "application"}},
        "components": [base, *sorted(libraries, key=lambda library: str(library["purl"]))],
    }


if __name__ == "__main__":
    json.dump(document(sys.argv[1:]), sys.stdout, indent=1)

"""The Python environments of the peers, each made once from its ``requirements.txt``."""

import hashlib
import platform
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.peer import Peer
from benchmarks.throughput import BenchmarkError
from benchmarks.throughput.targets import REPOSITORY, executable

BUILT = REPOSITORY / "build" / "peers"
INSTALL_SECONDS = 1200.0


def python_of(peer: Peer) -> Path:
    """The interpreter that runs a peer, in an environment that is made where it is not there.

    Raises:
        BenchmarkError: it cannot be made, or a program is missing that the peer needs.
    """
    for program in peer.programs:
        executable(program)
    if not peer.python:
        return Path(sys.executable)
    name = peer.shares or peer.name
    requirements = peer.folder.with_name(name) / "requirements.txt"
    if not requirements.is_file():
        raise BenchmarkError(f"{requirements} is missing; python = false where there is none.")
    home = BUILT / name
    stamp = home / ".stamp"
    wanted = hashlib.sha256(
        requirements.read_bytes() + platform.python_version().encode()
    ).hexdigest()
    if not stamp.is_file() or stamp.read_text() != wanted:
        _make(home, requirements)
        stamp.write_text(wanted)
    return home / "bin" / "python"


def _make(home: Path, requirements: Path) -> None:
    print(f"making {home}, which may take minutes", file=sys.stderr, flush=True)
    home.parent.mkdir(parents=True, exist_ok=True)
    log = home.with_suffix(".log")
    # The list is complete, so there is nothing to resolve.
    install = [str(home / "bin" / "pip"), "install", "--no-deps", "--requirement"]
    create = [sys.executable, "-m", "venv", "--clear", str(home)]
    with log.open("w") as output:
        for command in (create, [*install, str(requirements)]):
            try:
                done = subprocess.run(
                    command, stdout=output, stderr=subprocess.STDOUT, timeout=INSTALL_SECONDS
                )
            except subprocess.TimeoutExpired as error:
                raise BenchmarkError(f"{error}; its output is in {log}") from error
            if done.returncode != 0:
                raise BenchmarkError(
                    f"{home} cannot be made; {log} ends with:\n{log.read_text()[-2000:]}"
                )

"""A process and what it started, seen from outside."""

import os
import subprocess

from serving.processes import memory


def test_a_tree_is_a_process_and_what_it_started() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        assert {os.getpid(), child.pid} <= {*memory.tree(os.getpid())}
        assert [*memory.tree(child.pid)] == [child.pid]


def test_what_a_process_started_counts_with_it() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        assert memory.of(os.getpid()) > memory.of(child.pid) > 0


def test_a_process_that_has_ended_takes_nothing() -> None:
    with subprocess.Popen(["true"]) as child:
        child.wait()
        assert memory.of(child.pid) == 0

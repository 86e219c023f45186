"""Labels name the process that made a thing, and only a process that is certainly gone loses its things."""
import os
import signal
import subprocess
import sys

import msgspec
import pytest

from diarchy.clusters.docker import owner, sweep


def test_this_process_owns_what_it_labels() -> None:
    me = owner.current()
    labels = me.labels("a-run")
    assert labels[owner.RUN] == "a-run"
    assert owner.of(labels) == me
    assert me.alive(me)


def test_an_owner_that_was_killed_is_dead_even_before_it_is_reaped() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    began = owner.started(child.pid)
    assert began is not None
    theirs = msgspec.structs.replace(owner.current(), pid=child.pid, started=began)
    assert theirs.alive(owner.current())
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not theirs.alive(owner.current())
    child.wait()
    assert not theirs.alive(owner.current())


@pytest.mark.parametrize(("change", "alive"), [
    ({"started": 1}, False),
    ({"boot": "another"}, False),
    ({"boot": "another", "namespace": "1"}, False),
    ({"namespace": "1"}, True),
    ({"namespace": "1", "pid": 2**22 + 1}, True),
])
def test_the_same_pid_is_not_the_same_process(change: dict[str, object], alive: bool) -> None:
    """Another start time or boot: dead. Another pid namespace: nobody can tell, so it lives."""
    assert msgspec.structs.replace(owner.current(), **change).alive(owner.current()) is alive


@pytest.mark.parametrize("labels", [{}, {owner.RUN: "x"}, {**owner.current().labels("x"), owner.PID: "many"}])
def test_what_is_not_wholly_labelled_is_nobodys(labels: dict[str, str]) -> None:
    assert owner.of(labels) is None
    assert not sweep._ours(labels, None)


def test_a_run_sweeps_its_own_although_it_lives_and_nobody_elses() -> None:
    labels = owner.current().labels("mine")
    assert not sweep._ours(labels, None)
    assert sweep._ours(labels, "mine")
    assert not sweep._ours(labels, "min")

"""Run `diarchy` as its users do, and look at what it leaves behind."""
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from diarchy.history.op import Op

ROOT = Path(__file__).parents[1]
DIARCHY = (sys.executable, "-m", "diarchy.harness")


def diarchy(*words: object, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command with these words, to its end."""
    return subprocess.run([*DIARCHY, *map(str, words)], cwd=cwd, env={**os.environ, **environment}, text=True,
                          capture_output=True, check=False, timeout=180)


def begin(*words: object, **environment: str) -> subprocess.Popen[str]:
    """The command in a session of its own, as a terminal or a CI job would start it."""
    return subprocess.Popen([*DIARCHY, *map(str, words)], cwd=ROOT, env={**os.environ, **environment}, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)


def until(true: Callable[[], object], within_s: float = 60.0) -> Any:
    """Wait for something to be true; its value. AssertionError after `within_s`."""
    deadline = time.monotonic() + within_s
    while not (value := true()):
        assert time.monotonic() < deadline, f"not within {within_s} s: {true}"
        time.sleep(0.05)
    return value


def run_of(out: Path) -> Path:
    """The only run folder below `out`."""
    (only,) = [path.parent for path in out.glob("*/*/run.json")]
    return only


def history(folder: Path) -> list[Op]:
    """Whole lines only: the run may still be writing."""
    data = (folder / "history.jsonl").read_bytes()
    return msgspec.json.Decoder(Op).decode_lines(data[:data.rfind(b"\n") + 1])


def verdict(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "verdict.json").read_bytes()))


def findings(folder: Path, check: str) -> list[dict[str, Any]]:
    return [finding for c in verdict(folder)["checks"] if c["check"] == check for finding in c["findings"]]


def left_behind(run: str) -> list[str]:
    """What the engine still has of a run, and processes that carry its folder's or the run's mark."""
    import docker
    client = docker.from_env(timeout=30)
    mark = {"label": f"diarchy={run}"}
    try:
        return [c.name for c in client.containers.list(all=True, filters=mark)] + [n.name for n in client.networks.list(filters=mark)]
    finally:
        client.close()


def children(folder: Path) -> list[int]:
    """Processes of candidates, resource and guard that belong to a run: those whose stderr is a file in its folder."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if os.readlink(process / "fd/2").startswith(str(folder)):
                    found.append(int(process.name))
            except OSError:
                continue
    return found


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def stop(process: subprocess.Popen[str], how: signal.Signals = signal.SIGKILL) -> None:
    """End what a failed test left."""
    if process.poll() is None:
        process.send_signal(how)
    process.communicate(timeout=30)

"""A real run while the world around it fails: disk, engine, containers, candidates, the resource, the terminal."""
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cluster_runs import DIARCHY, ROOT, begin, children, diarchy, history, left_behind, stop, until, verdict

from diarchy.history.op import Op
from diarchy.workloads import groups

pytestmark = pytest.mark.docker

SHORT = ("--set", "duration=2s", "--set", "settle=200ms")
LONG = ("--set", "duration=60s")


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """One server, two candidates, nothing that goes wrong by itself."""
    file = tmp_path / "calm.yaml"
    file.write_text(textwrap.dedent("""\
        name: calm
        cluster: {kind: etcd, nodes: 1}
        workload: {kind: lock, recipe: careful, candidates: 2, ttl: 2s, renew_every: 500ms, write_every: 20ms, fence: true}
        duration: 2s
        settle: 200ms
    """))
    return file


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    """Where runs are kept. Nothing may be left of those whose harness has ended, neither processes nor containers."""
    folder = tmp_path / "runs"
    yield folder
    for run in folder.glob("*/*/run.json"):
        until(lambda run=run: not children(run.parent), within_s=5)  # type: ignore[misc]
        left = left_behind(id_of(run.parent))
        diarchy("clean") if left else None
        assert left == []


def id_of(folder: Path) -> str:
    return str(json.loads((folder / "run.json").read_bytes())["id"])


def begun(out: Path) -> Path:
    """The folder of a run in which a leader has written."""
    folder = Path(until(lambda: next((path.parent for path in out.glob("*/*/history.jsonl")), None)))
    until(lambda: any(op.process == "resource" and op.type == "ok" for op in history(folder)))
    return folder


def end(process: subprocess.Popen[str], within_s: float = 30) -> tuple[str, str]:
    """Its output and errors, with no traceback."""
    try:
        said, errors = process.communicate(timeout=within_s)
    finally:
        stop(process)
    assert "Traceback" not in errors, errors
    assert "internal error" not in errors, errors
    return said, errors


def container(folder: Path, name: str) -> Any:
    import docker

    return docker.from_env().containers.get(f"diarchy-{id_of(folder)}-{name}")


def found(folder: Path, f: str, type: str = "") -> list[Op]:
    return [op for op in history(folder) if op.f == f and type in ("", op.type)]


# The disk.

@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system on which a run fits for a second or two."""
    yield from mounted(tmp_path, "300k")


def mounted(tmp_path: Path, size: str) -> Iterator[Path]:
    place = tmp_path / "runs"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {made.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_run_that_fills_the_disk_ends_and_can_be_judged(scenario: Path, tiny: Path) -> None:
    began = time.monotonic()
    process = begin("run", scenario, "--out", tiny, "--json", *LONG)
    said, errors = end(process)
    assert time.monotonic() - began < 30
    assert process.returncode == 70
    [folder] = [path.parent for path in tiny.glob("*/*/run.json")]
    assert f"{folder}/" in errors
    assert "free some space there, or name another place with --out" in errors
    assert json.loads(said)["scenario"] == "calm"
    assert left_behind(id_of(folder)) == []
    assert children(folder) == []
    whole = (folder / "history.jsonl").read_bytes()
    assert whole.endswith(b"\n")
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    done = diarchy("check", folder, "--json")
    assert done.returncode in (0, 1, 3)
    assert json.loads(done.stdout) == json.loads(said)


def test_a_database_that_does_not_fit_is_named_at_the_start(scenario: Path, tmp_path: Path) -> None:
    for place in mounted(tmp_path, "16k"):
        process = begin("run", scenario, "--out", place)
        _, errors = end(process)
        assert process.returncode == 70
        assert "resource.db" in errors
        assert "free some space there, or name another place with --out" in errors


# The engine.

class Relay:
    """A socket in front of the engine's, that can be taken away, keep silent, or answer late."""

    def __init__(self, path: Path) -> None:
        self.address = f"unix://{path}"
        self.delay_s = 0.0
        self.silent = False
        self._path, self._open = path, True
        self._ends: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self.back()

    def back(self) -> None:
        self._path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen()
        self._open, self.silent = True, False
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def gone(self) -> None:
        self._open = False
        self._path.unlink(missing_ok=True)
        for end_ in (self._listener, *self._ends):
            with suppress(OSError):
                end_.shutdown(socket.SHUT_RDWR)
            end_.close()

    def _serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect("/var/run/docker.sock")
                self._ends += [client, engine]
                for source, sink, late in ((client, engine, False), (engine, client, True)):
                    threading.Thread(target=self._pump, args=(source, sink, late), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, late: bool) -> None:
        with suppress(OSError):
            while data := source.recv(2**16):
                while self.silent and self._open:
                    time.sleep(0.02)
                if late:
                    time.sleep(self.delay_s)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    if not Path("/var/run/docker.sock").exists() or "DOCKER_HOST" in os.environ:
        pytest.skip("the engine is not at its usual socket")
    made = Relay(tmp_path / "engine.sock")
    yield made
    made.gone()


def test_a_run_whose_engine_goes_ends_by_itself_and_says_what_is_left(scenario: Path, tmp_path: Path, relay: Relay, out: Path) -> None:
    process = begin("run", scenario, "--out", out, "--set", "duration=3s", "--set",
                    "nemeses=[{kind: kill, target: n1, after: 1500ms, for: 500ms}]", DOCKER_HOST=relay.address)
    folder = begun(out)
    relay.gone()
    said, errors = end(process, within_s=20)
    assert process.returncode == 69, errors
    assert "the Docker engine stopped answering: removing the run's containers" in errors
    assert "`diarchy clean`, once it answers" in errors
    assert errors.count("diarchy: ") == 2, "the logs and the removal, each once"
    assert children(folder) == []
    [kill] = found(folder, "kill", "info")
    assert "stopped answering" in (kill.error or "")
    assert verdict(folder)["verdict"] in said.lower()
    assert (folder / "report.html").exists()
    assert len(left_behind(id_of(folder))) == 3
    cleaned = diarchy("clean")
    assert cleaned.returncode == 0, cleaned.stderr


def test_an_engine_that_was_away_and_is_late_is_waited_for(scenario: Path, relay: Relay, out: Path) -> None:
    process = begin("run", scenario, "--out", out, *SHORT, DOCKER_HOST=relay.address)
    folder = begun(out)
    relay.gone()
    relay.back()
    relay.delay_s = 0.5
    _, errors = end(process, within_s=30)
    assert process.returncode == 0, errors
    assert (folder / "logs/n1.log").stat().st_size


def test_a_hung_engine_holds_up_no_third_signal(scenario: Path, relay: Relay, out: Path) -> None:
    process = begin("run", scenario, "--out", out, *LONG, DOCKER_HOST=relay.address)
    folder = begun(out)
    relay.silent = True
    process.send_signal(signal.SIGINT)
    until(lambda: not children(folder), within_s=10)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = end(process)
    assert time.monotonic() - began < 1.5
    assert process.returncode == 130
    assert "`diarchy clean`" in errors
    relay.gone()
    assert diarchy("clean").returncode == 0


def test_a_second_signal_without_an_engine_ends_it_all_the_same(scenario: Path, relay: Relay, out: Path) -> None:
    process = begin("run", scenario, "--out", out, *LONG, DOCKER_HOST=relay.address)
    begun(out)
    relay.gone()
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    _, errors = end(process)
    assert process.returncode == 130, errors
    assert diarchy("clean").returncode == 0


def test_ctrl_c_while_images_are_looked_for(scenario: Path, relay: Relay, out: Path) -> None:
    relay.silent = True
    process = begin("run", scenario, "--out", out, DOCKER_HOST=relay.address)
    assert process.stderr is not None
    until(lambda: "looking for" in process.stderr.readline())  # type: ignore[union-attr]
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    end(process)
    assert time.monotonic() - began < 2
    assert process.returncode == 130
    assert not list(out.glob("*/*")), "a run that never began leaves no folder"


# Containers that end by themselves.

def test_servers_and_proxies_that_are_killed_by_hand_are_seen(scenario: Path, out: Path) -> None:
    process = begin("run", scenario, "--out", out, "--set", "cluster.nodes=3", "--set", "duration=3s", "--set", "settle=100ms", "--set",
                    "nemeses=[{kind: partition, shape: isolate, target: n1, after: 2500ms, for: 300ms}]")
    folder = begun(out)
    container(folder, "n2").kill()
    until(lambda: any(op.node == "n2" for op in found(folder, "observe", "fail")), within_s=5)
    container(folder, "toxiproxy").kill()
    lines = len(history(folder))
    said, errors = end(process)
    assert process.returncode in (1, 3), said + errors
    [cut] = found(folder, "cut", "info")
    assert "toxiproxy has ended" in (cut.error or "")
    assert "toxiproxy has ended" in errors
    after = {op.node for op in found(folder, "observe", "ok") if op.index > lines}
    assert after >= {"n1", "n3"}, "observers do not go through the mesh"
    assert (folder / "logs/n2.log").stat().st_size


# Children.

WEIRD = """
import json, os, subprocess, sys, time, signal
name = json.loads(sys.stdin.readline())
epoch, who = name["epoch"], name["name"]
def say(**line): print(json.dumps(line), flush=True)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
say(type="ready", time=time.monotonic_ns() - epoch)
for text in sys.stdin:
    line = json.loads(text)
    if line["type"] == "ping":
        say(type="pong", id=line["id"], time=time.monotonic_ns() - epoch)
    if line["type"] == "go":
        break
if who == "c1":
    sys.exit(7)
if who == "c2":
    while True:
        os.write(1, b'{"no": "line"}\\nrubbish\\n' * 1000)
if who == "c3":
    os.close(1)
    time.sleep(600)
if who == "c4":
    if not os.fork():
        os.setsid()
        if not os.fork():
            time.sleep(600)
        os._exit(0)
    open(sys.argv[1], "w").write(str(os.getpid()))
    time.sleep(600)
os.close(0)
time.sleep(600)
"""


def test_candidates_that_misbehave_are_recorded_and_leave_nothing(scenario: Path, tmp_path: Path, out: Path) -> None:
    (tmp_path / "weird.py").write_text(WEIRD)
    command = json.dumps([sys.executable, str(tmp_path / "weird.py"), str(tmp_path / "pid")])
    process = begin("run", scenario, "--out", out, "--set", "workload.candidates=5", "--set", f"workload.command={command}",
                    "--set", "duration=3s", "--set", "settle=100ms")
    folder = Path(until(lambda: next((path.parent for path in out.glob("*/*/history.jsonl")), None)))
    until(lambda: any(op.f == "ready" for op in history(folder)))
    began, spent, most = time.monotonic(), cpu(process.pid), 0
    daemon = int(until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    marks = Path(f"/proc/{daemon}/environ").read_bytes().split(b"\0")
    [mark] = [mark.decode().partition("=")[2] for mark in marks if mark.startswith(b"DIARCHY_CHILD=")]
    assert len(groups.marked(mark)) == 2
    while not found(folder, "deadline"):
        most = max(most, resident_mb(process.pid))
        time.sleep(0.1)
    share = (cpu(process.pid) - spent) / (time.monotonic() - began)
    _, errors = end(process)
    assert process.returncode == 3, errors
    assert share < 0.6, f"{share:.2f} of a core"
    assert most < 300, f"{most} MB"
    assert groups.marked(mark) == []
    told = {(op.claimant or "")[:2]: op.error or "" for op in found(folder, "protocol-error")}
    assert "more lines that are none" in told["c2"]
    assert "closed its standard output" in told["c3"]
    assert "1 processes" in told["c4"]
    exits = {(op.claimant or "")[:2]: op.value for op in found(folder, "exit")}
    assert exits == {"c1": {"status": 7}} | {f"c{number}": {"signal": 9} for number in range(2, 6)}
    assert {(op.error or "")[:33] for op in found(folder, "exit") if op.value == {"signal": 9}} == {"it had not ended 3 s after it was"}


def cpu(pid: int) -> float:
    """Seconds of processor time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20


def test_a_resource_that_is_killed_leaves_writes_unknown_and_the_smoke_alarm_without_an_answer(scenario: Path, out: Path) -> None:
    process = begin("run", scenario, "--out", out, "--json", *SHORT)
    folder = begun(out)
    [pid] = {pid for pid in children(folder) if os.readlink(f"/proc/{pid}/fd/2").endswith("resource.log")}
    os.kill(pid, signal.SIGKILL)
    said, errors = end(process)
    assert process.returncode == 3, errors
    judged = json.loads(said)
    assert judged == verdict(folder)
    assert judged["verdict"] == "inconclusive"
    [gone] = [op for op in found(folder, "exit") if op.process == "resource"]
    assert gone.value == {"signal": 9}
    after = [op for op in found(folder, "write") if op.index > gone.index and op.type != "invoke"]
    assert {op.type for op in after} <= {"info", "fail"}
    assert [op.type for op in after if op.process == "smoke"] == ["info"]
    assert "fencing" in {check["check"] for check in judged["checks"] if check["verdict"] == "inconclusive"}


# The terminal.

def test_a_run_goes_on_when_nobody_reads_it_and_its_terminal_hangs_up(scenario: Path, out: Path) -> None:
    """As `nohup diarchy run … 2>&1 | head -1` has it."""
    process = subprocess.Popen(["nohup", *DIARCHY, "run", scenario, "--out", out, *SHORT], cwd=ROOT, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        process.stdout.close()
        folder = begun(out)
        process.send_signal(signal.SIGHUP)
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            process.kill()
    assert verdict(folder)["verdict"] == "valid"
    assert (folder / "report.html").exists()


def test_two_ctrl_c_on_a_terminal_give_it_back_as_it_was(scenario: Path, out: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execve(sys.executable, [*DIARCHY, "run", str(scenario), "--out", str(out), *LONG], {**os.environ, "TERM": "xterm"})
    shown, asked = bytearray(), 0
    with suppress(OSError):  # the terminal's other end is closed
        while data := os.read(terminal, 2**16):
            shown += data
            while b"elected" in shown and asked < 2:
                os.write(terminal, b"\x03")
                time.sleep(0.1)
                asked += 1
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    assert asked == 2
    assert shown.rfind(b"\x1b[?25h") > shown.rfind(b"\x1b[?25l") >= 0, "the cursor is hidden"
    assert b"Traceback" not in shown
    assert not found(next(out.glob("*/*")), "exit"), "nobody ended by itself"


@pytest.mark.parametrize("phase", ["settling", "tearing down"])
def test_ctrl_c_late_in_a_run_costs_no_verdict(scenario: Path, out: Path, phase: str) -> None:
    process = begin("run", scenario, "--out", out, "--json", "--set", "duration=1500ms", "--set", "settle=5s" if phase == "settling" else "settle=0s")
    assert process.stderr is not None
    until(lambda: phase in process.stderr.readline())  # type: ignore[union-attr]
    process.send_signal(signal.SIGINT)
    said, errors = end(process, within_s=10)
    assert process.returncode == 130, errors
    assert json.loads(said)["scenario"] == "calm"

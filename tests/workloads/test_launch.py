"""Children of a run: started, stopped, paused, killed, misunderstood; and gone when the harness is."""
import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

import pytest

from diarchy.clusters.cluster import Endpoints
from diarchy.history.op import Op, Recorder
from diarchy.workloads import groups, hosts
from diarchy.workloads.launch import CandidateError, Crew
from diarchy.workloads.lock import Lock

SPEAKS = """
import json, sys, time, subprocess, os, signal
def say(**line):
    print(json.dumps(line), flush=True)
def now():
    return time.monotonic_ns() - epoch
for text in sys.stdin:
    line = json.loads(text)
    match line["type"]:
        case "init":
            epoch, claimant = line["epoch"], line["claimant"]
            {init}
            say(type="ready", time=now())
        case "ping":
            say(type="pong", id=line["id"], time={pong})
        case "go":
            {go}
        case "stop":
            {stop}
"""


def speaks(folder: Path, init: str = "pass", go: str = "pass", stop: str = "sys.exit(0)", pong: str = "now()") -> tuple[str, ...]:
    """A candidate in a few lines of Python."""
    file = folder / "candidate.py"
    file.write_text(SPEAKS.format(init=init, go=go.replace("\n", "\n            "), stop=stop, pong=pong))
    return (sys.executable, str(file))


class Scene:
    def __init__(self, folder: Path, command: tuple[str, ...]) -> None:
        self.folder, self.options = folder, Lock(command=command)
        self.ops: list[Op] = []
        epoch = time.monotonic_ns()
        self.recorder = Recorder(lambda: time.monotonic_ns() - epoch)
        self.recorder.listeners.append(self.ops.append)
        self.crew = Crew(self.recorder, folder / "logs", epoch)

    async def introduce(self, *names: str) -> None:
        await self.crew.spawn(names, self.options, "etcd")
        await self.crew.introduce(lambda name: Endpoints({"n1": f"{name}:1"}, "resource:1"), "the key")

    async def begin(self, *names: str) -> None:
        await self.introduce(*names)
        self.crew.go()

    def where(self, f: str) -> list[Op]:
        return [op for op in self.ops if op.f == f]

    async def until(self, true: Callable[[], Any], within_s: float = 5) -> None:
        deadline = time.monotonic() + within_s
        while not true():
            assert time.monotonic() < deadline, self.ops
            await asyncio.sleep(0.005)


def play(folder: Path, command: tuple[str, ...], scene: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    async def act() -> None:
        stage = Scene(folder, command)
        try:
            await scene(stage)
        finally:
            await stage.crew.close()

    asyncio.run(asyncio.wait_for(act(), 30))


def living(pids: Iterable[int]) -> list[int]:
    """Those that run or are stopped. A dead grandchild may wait for init to reap it."""
    return [pid for pid in pids if (seen := groups.look(pid)) and seen.state not in "ZX"]


TICK = 'say(process="tick", type="ok", f="tick", time=now())'


def test_nothing_is_recorded_before_go_and_ready_comes_first(tmp_path: Path) -> None:
    async def scene(stage: Scene) -> None:
        await stage.introduce("c1", "c2")
        assert stage.ops == []
        stage.crew.go()
        await stage.until(lambda: len(stage.where("tick")) == 2)
        assert [(op.process, op.claimant, op.type, op.f) for op in stage.ops[:2]] == [
            ("c1", "c1#1", "ok", "ready"), ("c2", "c2#1", "ok", "ready")]
        assert {(op.process, op.claimant) for op in stage.where("tick")} == {("c1/tick", "c1#1"), ("c2/tick", "c2#1")}
        await stage.crew.stop(5)
        assert [op.value for op in stage.where("exit")] == [{"status": 0}] * 2

    play(tmp_path, speaks(tmp_path, init=TICK, go=TICK), scene)


def test_init_says_who_and_where(tmp_path: Path) -> None:
    async def scene(stage: Scene) -> None:
        await stage.introduce("c1")
        init = json.loads((tmp_path / "init.json").read_text())
        assert (init["name"], init["claimant"], init["store"], init["key"]) == ("c1", "c1#1", "etcd", "the key")
        assert init["nodes"] == {"n1": "c1:1"}
        assert init["resource"] == "resource:1"
        assert init["options"]["ttl"] == 5_000_000_000
        assert init["options"]["kind"] == "lock"

    play(tmp_path, speaks(tmp_path, init=f'open({str(tmp_path / "init.json")!r}, "w").write(text)'), scene)


def test_clocks_are_compared(tmp_path: Path) -> None:
    async def scene(stage: Scene) -> None:
        await stage.introduce("c1")
        assert 1_000_000 <= stage.crew.tolerance < 1_000_000_000
        assert stage.crew.problems == []

    play(tmp_path, speaks(tmp_path), scene)


def test_a_clock_outside_the_round_trip_is_a_problem(tmp_path: Path) -> None:
    async def scene(stage: Scene) -> None:
        await stage.introduce("c1")
        assert len(stage.crew.problems) == hosts.PINGS
        assert "c1#1 said" in stage.crew.problems[0]

    play(tmp_path, speaks(tmp_path, pong="now() + 10**9"), scene)


def test_pause_and_resume_are_verified_on_the_whole_group(tmp_path: Path) -> None:
    async def scene(stage: Scene) -> None:
        await stage.begin("c1")
        host = stage.crew.hosts["c1"]
        await stage.until(lambda: len(host.pids) == 2)
        paused = await host.pause()
        assert paused.bit, paused
        assert len(paused.pids) == 2
        assert all(f"{pid} T" in paused.evidence for pid in paused.pids)
        assert {seen.state for pid in paused.pids if (seen := groups.look(pid))} == {"T"}
        resumed = await host.resume()
        assert resumed.bit, resumed
        assert "T" not in {seen.state for pid in paused.pids if (seen := groups.look(pid))}

    play(tmp_path, speaks(tmp_path, go='subprocess.Popen(["sleep", "60"])'), scene)


@pytest.mark.parametrize("paused", [False, True])
def test_kill_is_verified_and_start_makes_a_new_claimant(tmp_path: Path, paused: bool) -> None:
    async def scene(stage: Scene) -> None:
        await stage.begin("c1")
        host = stage.crew.hosts["c1"]
        await stage.until(lambda: len(stage.where("tick")) == 1 and len(host.pids) == 2)
        pids = host.pids
        not_yet = await host.start()
        assert not not_yet.bit
        if paused:
            assert (await host.pause()).bit
        killed = await host.kill()
        assert killed.bit, killed
        assert (killed.host, killed.pids) == ("c1#1", pids)
        assert not living(pids)
        assert [(op.process, op.claimant, op.value) for op in stage.where("exit")] == [("c1", "c1#1", {"signal": 9})]
        for act in (host.pause, host.resume, host.kill):
            nobody = await act()
            assert not nobody.bit
            assert "no process" in nobody.evidence
        started = await host.start()
        assert started.bit, started
        assert (started.host, host.claimant) == ("c1#2", "c1#2")
        assert host.pids
        await stage.until(lambda: len(stage.where("tick")) == 2)
        assert [op.claimant for op in stage.where("ready")] == ["c1#1", "c1#2"]

    play(tmp_path, speaks(tmp_path, go='subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL)\n' + TICK), scene)


def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    async def scene(stage: Scene) -> None:
        await stage.begin("c1")
        host = stage.crew.hosts["c1"]
        await host.kill()
        (tmp_path / "candidate.py").write_text("raise SystemExit('no licence')")
        started = await host.start()
        assert not started.bit
        assert "no licence" in started.evidence

    play(tmp_path, speaks(tmp_path), scene)


def test_an_end_of_its_own_is_recorded_with_its_last_lines_and_its_children_end(tmp_path: Path) -> None:
    async def scene(stage: Scene) -> None:
        await stage.begin("c1", "c2")
        await stage.until(lambda: len(stage.where("exit")) == 2)
        assert [op.value for op in stage.where("exit")] == [{"status": 3}] * 2
        for name in ("c1", "c2"):
            own = [op for op in stage.ops if op.claimant == f"{name}#1"]
            assert [op.f for op in own] == ["ready", *["tick"] * 200, "exit"]
            assert stage.crew.hosts[name].pids == ()

    play(tmp_path, speaks(tmp_path, go=f"subprocess.Popen(['sleep', '60'])\nfor _ in range(200): {TICK}\nsys.exit(3)"), scene)


RUBBISH = r"""
print("hello, world")
print('{"process": "elect"}')
say(process="elect", type="ok", f="pause", time=1)
say(process="elect", type="ok", f="acquire", time=1)
say(process="elect", type="ok", f="tick", time=10**30)
sys.stdout.buffer.write(b"\xff\xfe\n"); sys.stdout.flush()
print("[" * 60000)
print("x" * 1000)
print("y" * 500000, flush=True)
""" + TICK


def test_rubbish_is_recorded_and_the_run_goes_on(tmp_path: Path) -> None:
    async def scene(stage: Scene) -> None:
        await stage.begin("c1")
        await stage.until(lambda: stage.where("tick"))
        wrong = stage.where("protocol-error")
        assert {(op.process, op.type, op.claimant) for op in wrong} == {("harness", "info", "c1#1")}
        assert [op.value[:14] for op in wrong] == [
            "hello, world", '{"process": "e', '{"process": "e', '{"process": "e', '{"process": "e', "��", "[" * 14, "x" * 14, "y" * 14]
        assert all(len(op.value) <= 200 for op in wrong)
        assert "longer than 65536 bytes" in (wrong[-1].error or "")
        assert "without its invoke" in (wrong[3].error or "")
        assert not stage.where("exit")

    play(tmp_path, speaks(tmp_path, go=RUBBISH), scene)


def test_a_flood_of_rubbish_is_counted(tmp_path: Path) -> None:
    async def scene(stage: Scene) -> None:
        await stage.begin("c1")
        await stage.until(lambda: stage.where("exit"))
        wrong = stage.where("protocol-error")
        assert len(wrong) == hosts.RUBBISH + 1
        assert wrong[-1].error == f"{1000 - hosts.RUBBISH} more lines that are none"

    play(tmp_path, speaks(tmp_path, go="for i in range(1000): print('no line', i)\nsys.exit(0)"), scene)


def test_what_was_said_wrongly_before_go_is_not_lost(tmp_path: Path) -> None:
    async def scene(stage: Scene) -> None:
        await stage.introduce("c1")
        assert stage.ops == []
        stage.crew.go()
        assert [op.f for op in stage.ops] == ["ready", "protocol-error"]
        assert stage.ops[1].value == "Welcome!"

    play(tmp_path, speaks(tmp_path, init="print('Welcome!')"), scene)


def test_a_line_without_its_end_is_heard_at_the_end(tmp_path: Path) -> None:
    async def scene(stage: Scene) -> None:
        await stage.begin("c1")
        await stage.until(lambda: stage.where("exit"))
        assert [op.f for op in stage.ops] == ["ready", "tick", "exit"]

    play(tmp_path, speaks(tmp_path, go='sys.stdout.write(json.dumps({"process": "tick", "type": "ok", "f": "tick", "time": 1}))\nsys.exit(0)'), scene)


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    async def scene(stage: Scene) -> None:
        with pytest.raises(CandidateError, match="no program 'no-such-program'"):
            await stage.crew.spawn(["c1", "c2"], stage.options, "etcd")

    play(tmp_path, ("no-such-program", "--option"), scene)


def test_a_candidate_that_dies_before_it_is_ready(tmp_path: Path) -> None:
    async def scene(stage: Scene) -> None:
        with pytest.raises(CandidateError, match=r"c1#1 ended with .*'status': 1.*before it was ready(.|\n)*ValueError: no licence"):
            await stage.introduce("c1")
        assert stage.ops == []

    play(tmp_path, speaks(tmp_path, init="raise ValueError('no licence')"), scene)


def test_a_candidate_that_is_never_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "READY_S", 0.3)

    async def scene(stage: Scene) -> None:
        with pytest.raises(CandidateError, match=r"c1#1 was not ready within 0\.3 s(.|\n)*waiting for the moon"):
            await stage.introduce("c1")

    play(tmp_path, speaks(tmp_path, init="print('waiting for the moon', file=sys.stderr, flush=True); time.sleep(60)"), scene)


def test_a_candidate_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    async def scene(stage: Scene) -> None:
        await stage.begin("c1")
        began = time.monotonic()
        await stage.crew.stop(0.3)
        assert time.monotonic() - began < 3
        assert [op.value for op in stage.where("exit")] == [{"signal": 9}]

    play(tmp_path, speaks(tmp_path, stop="signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"), scene)


def test_kill_is_at_once_and_close_twice_is_fine(tmp_path: Path) -> None:
    async def scene(stage: Scene) -> None:
        await stage.begin("c1", "c2")
        pids = [pid for host in stage.crew.hosts.values() for pid in host.pids]
        stage.crew.kill()
        await stage.crew.close()
        assert not living(pids)
        await stage.crew.close()

    play(tmp_path, speaks(tmp_path), scene)


def test_no_child_hears_a_signal_to_the_harness_group(tmp_path: Path) -> None:
    async def scene(stage: Scene) -> None:
        await stage.begin("c1")
        (pid,) = stage.crew.hosts["c1"].pids
        assert os.getsid(pid) == pid != os.getsid(0)

    play(tmp_path, speaks(tmp_path), scene)


HARNESS = """
import asyncio, sys, time
from pathlib import Path
from diarchy.clusters.cluster import Endpoints
from diarchy.history.op import Recorder
from diarchy.workloads.launch import Crew
from diarchy.workloads.lock import Lock

async def main():
    folder, command = Path(sys.argv[1]), tuple(sys.argv[2:])
    epoch = time.monotonic_ns()
    crew = Crew(Recorder(lambda: time.monotonic_ns() - epoch), folder / "logs", epoch)
    await crew.resource("127.0.0.1", folder / "r.db", True)
    await crew.spawn(["c1", "c2"], Lock(command=command), "etcd")
    await crew.introduce(lambda name: Endpoints({}, ""), "key")
    crew.go()
    while len(crew.hosts["c1"].pids) + len(crew.hosts["c2"].pids) < 4:
        await asyncio.sleep(0.01)
    print(await crew.hosts["c1"].pause(), file=sys.stderr)
    pids = [pid for host in crew.hosts.values() for pid in host.pids]
    print(*pids, crew._guard.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_children_and_grandchildren_die_with_a_killed_harness_even_while_stopped(tmp_path: Path) -> None:
    """The grandchild ignores what can be ignored, and its parent is stopped: only SIGKILL from outside ends it."""
    grandchild = "import signal, time; signal.signal(signal.SIGHUP, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    command = speaks(tmp_path, go=f"subprocess.Popen([sys.executable, '-S', '-c', {grandchild!r}])")
    harness = subprocess.Popen([sys.executable, "-c", HARNESS, str(tmp_path), *command], stdout=subprocess.PIPE, text=True)
    try:
        assert harness.stdout is not None
        pids = [int(word) for word in harness.stdout.readline().split()]
        assert len(pids) == 6
        assert "T" in {seen.state for pid in pids if (seen := groups.look(pid))}
        harness.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 5
        while left := living(pids):
            assert time.monotonic() < deadline, f"{left} of {pids} live on"
            time.sleep(0.01)
    finally:
        harness.kill()
        harness.communicate()


def test_the_guard_takes_no_signals_and_spares_a_reused_number(tmp_path: Path) -> None:
    from diarchy.workloads import guard

    bystander = subprocess.Popen(["sleep", "60"], start_new_session=True)
    victim = subprocess.Popen(["sleep", "60"], start_new_session=True)
    forgotten = subprocess.Popen(["sleep", "60"], start_new_session=True)
    watching = subprocess.Popen([sys.executable, "-I", "-S", guard.__file__], stdin=subprocess.PIPE, text=True)
    try:
        started = {process: seen.started for process in (bystander, victim, forgotten) if (seen := groups.look(process.pid))}
        assert watching.stdin is not None
        watching.stdin.write(textwrap.dedent(f"""\
            +{bystander.pid} {started[bystander] - 1}
            +{victim.pid} {started[victim]}
            +{forgotten.pid} {started[forgotten]}
            rubbish
            -{forgotten.pid}
            """))
        watching.stdin.flush()
        deadline = time.monotonic() + 5
        while not ignores(watching.pid, signal.SIGTERM):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            watching.send_signal(number)
        watching.stdin.close()
        assert watching.wait(5) == 0
        assert victim.wait(5) == -signal.SIGKILL
        assert bystander.poll() is None
        assert forgotten.poll() is None
    finally:
        for process in (bystander, victim, forgotten, watching):
            process.kill()
            process.wait()


def ignores(pid: int, number: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(status.partition("SigIgn:")[2].split()[0], 16)
    return bool(mask >> (number - 1) & 1)


def test_a_start_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    """A failing cluster cancels the start of the candidates beside it, at any moment."""
    command = speaks(tmp_path)

    async def act(after_s: float) -> None:
        stage = Scene(tmp_path, command)
        spawning = asyncio.create_task(stage.crew.spawn(["c1", "c2", "c3"], stage.options, "etcd"))
        await asyncio.sleep(after_s)
        spawning.cancel()
        await asyncio.gather(spawning, return_exceptions=True)
        await stage.crew.close()

    for step in range(8):
        asyncio.run(asyncio.wait_for(act(step * 0.002), 20))
    assert not [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if command[1] in commandline(pid) and living([pid])]


def commandline(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def test_who_ends_between_ready_and_go_is_in_the_history(tmp_path: Path) -> None:
    async def scene(stage: Scene) -> None:
        await stage.introduce("c1")
        await stage.until(lambda: not stage.crew.hosts["c1"].pids)
        await stage.until(stage.crew._candidates[0].child.ended.is_set)
        stage.crew.go()
        assert [(op.f, op.value) for op in stage.ops] == [("ready", None), ("exit", {"status": 5})]

    play(tmp_path, speaks(tmp_path, pong='now())\n            if line["id"] == 4: sys.exit(5)\n            (0'), scene)


def test_a_candidate_that_ends_while_it_is_pinged_is_told_and_nothing_is_cancelled(tmp_path: Path) -> None:
    async def scene(stage: Scene) -> None:
        with pytest.raises(CandidateError, match=r"c1#1 ended with \{'status': 4\} while it was pinged"):
            await stage.introduce("c1")

    play(tmp_path, speaks(tmp_path, pong="sys.exit(4)"), scene)


def test_a_restart_that_ends_while_it_is_pinged_did_not_bite(tmp_path: Path) -> None:
    async def scene(stage: Scene) -> None:
        await stage.begin("c1")
        host = stage.crew.hosts["c1"]
        assert (await host.kill()).bit
        (tmp_path / "broken").touch()
        started = await host.start()
        assert not started.bit
        assert "while it was pinged" in started.evidence
        await stage.crew.stop(2)

    play(tmp_path, speaks(tmp_path, pong=f"sys.exit(4) if os.path.exists({str(tmp_path / 'broken')!r}) else now()"), scene)


def test_a_candidate_whose_program_is_gone_at_the_restart_can_be_stopped(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!{sys.executable}\n" + SPEAKS.format(init="pass", go="pass", stop="sys.exit(0)", pong="now()"))
    program.chmod(0o755)

    async def scene(stage: Scene) -> None:
        await stage.begin("c1", "c2")
        host = stage.crew.hosts["c1"]
        assert (await host.kill()).bit
        program.unlink()
        started = await host.start()
        assert not started.bit
        assert "there is no program" in started.evidence
        await stage.crew.stop(2)
        assert stage.where("exit")[-1].value == {"status": 0}

    play(tmp_path, (str(program),), scene)


def test_a_pong_that_comes_too_late_loses_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "PING_S", 0.1)

    async def scene(stage: Scene) -> None:
        with pytest.raises(CandidateError, match="did not answer a ping"):
            await stage.introduce("c1")
        stage.crew.go()
        await stage.until(lambda: stage.where("tick"))
        assert len(stage.where("tick")) == 1

    play(tmp_path, speaks(tmp_path, pong="(time.sleep(0.3), now())[1]", go=TICK), scene)


def test_who_left_its_group_dies_with_the_harness_too(tmp_path: Path) -> None:
    """A daemon: in a session of its own, its parent is init. The harness is killed, so that only the guard is left to do it."""
    daemon = 'os.fork() or (os.setsid(), os.fork() and os._exit(0), open("pid", "w").write(str(os.getpid())), time.sleep(600))'
    command = speaks(tmp_path, go=f"os.chdir({str(tmp_path)!r})\n{daemon}")
    harness = subprocess.Popen([sys.executable, "-c", textwrap.dedent(f"""
        import asyncio, time
        from pathlib import Path
        from diarchy.clusters.cluster import Endpoints
        from diarchy.history.op import Recorder
        from diarchy.workloads.launch import Crew
        from diarchy.workloads.lock import Lock

        async def main():
            crew = Crew(Recorder(time.monotonic_ns), Path({str(tmp_path / "logs")!r}), 0)
            await crew.spawn(["c1"], Lock(command={command!r}), "etcd")
            await crew.introduce(lambda name: Endpoints({{"n1": "c1:1"}}, "resource:1"), "the key")
            crew.go()
            await asyncio.sleep(600)

        asyncio.run(main())
    """)])
    try:
        deadline = time.monotonic() + 10
        while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        pid = int((tmp_path / "pid").read_text())
        assert living([pid])
    finally:
        harness.kill()
        harness.wait()
    deadline = time.monotonic() + 5
    while living([pid]):
        assert time.monotonic() < deadline
        time.sleep(0.02)

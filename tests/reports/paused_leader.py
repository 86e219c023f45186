"""A history as a real run leaves it, written by a small clockwork: a paused leader, a frozen overlap, a refused write, gaps."""
import heapq
from collections.abc import Callable

from diarchy.checkers.verdict import Check, Finding, Verdict
from diarchy.history.columns import History
from diarchy.history.op import Op, Recorder

S, MS = 1_000_000_000, 1_000_000
TTL = 2 * S
HOSTILE = "</script><img src=http://evil.example/x onerror=alert(1)> $$x^2$$ \u202eright-to-left"


class Clockwork:
    """Actions in the order of their times; `recorder` reads the time of the one under way. Times in ns."""

    def __init__(self) -> None:
        self.now = 0
        self.ops: list[Op] = []
        self.recorder = Recorder(lambda: self.now)
        self.recorder.listeners.append(self.ops.append)
        self._heap: list[tuple[int, int, Callable[[], object]]] = []
        self._count = 0

    def at(self, time: int, action: Callable[[], object]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (time, self._count, action))

    def run(self) -> list[Op]:
        while self._heap:
            self.now, _, action = heapq.heappop(self._heap)
            action()
        return self.ops


def say(clock: Clockwork, time: int, process: str, type_: str, f: str, **rest: object) -> None:
    """One line at one time; `after` names a cell that takes the index, `tenure` may be a cell that has one."""
    def action() -> None:
        fields = {key: value[0] if isinstance(value, list) and key in ("tenure", "of_cell") else value for key, value in rest.items()}
        cell = fields.pop("cell", None)
        op = clock.recorder.append(process, type_, f, time=time, **fields)  # type: ignore[arg-type]
        if isinstance(cell, list):
            cell.append(op.index)
    clock.at(time, action)


def reign(clock: Clockwork, claimant: str, token: int, start: int, until: int, every: int, count: list[int]) -> list[int]:
    """Acquire at `start`, renew and write until `until`; the cell that will hold the tenure's id."""
    name, cell = claimant.partition("#")[0], []
    elect, renew = f"{name}/elect", f"{name}/renew"
    say(clock, start, elect, "invoke", "acquire", claimant=claimant, cell=cell)
    say(clock, start + 12 * MS, elect, "ok", "acquire", claimant=claimant, token=token, sent=start, ttl=TTL, until=start + TTL)
    for at in range(start + 500 * MS, until - 10 * MS, 500 * MS):
        say(clock, at, renew, "invoke", "renew", claimant=claimant, tenure=cell)
        say(clock, at + 6 * MS, renew, "ok", "renew", claimant=claimant, tenure=cell, token=token, sent=at, ttl=TTL, until=at + TTL)
    for at in range(start + 15 * MS, until - every, every):
        write(clock, claimant, token, at, cell, count, took=min(4 * MS, every * 3 // 4))
    return cell


def write(clock: Clockwork, claimant: str, token: int, at: int, cell: list[int], count: list[int], *, took: int = 4 * MS,
          outcome: str = "ok", client: str | None = "same", error: str | None = None, activity: str = "write") -> None:
    """A write, the resource's record of it (unless outcome is "lost") and what its client hears."""
    count[0] += 1
    process, id_, order = f"{claimant.partition('#')[0]}/{activity}", f"{claimant}-{count[0]}", count[0]
    say(clock, at, process, "invoke", "write", claimant=claimant, tenure=cell, token=token, id=id_)
    if outcome != "lost":
        more = {"order": order} if outcome == "ok" else {}
        say(clock, at + took // 2, "resource", outcome, "write", id=id_, token=token, epoch=1, fence=max(token, 9 if outcome == "fail" else 0), **more)
    if client is not None:
        say(clock, at + took, process, outcome if client == "same" else client, "write", claimant=claimant, tenure=cell, token=token, id=id_, error=error)


def observers(clock: Clockwork, start: int, end: int) -> None:
    """Three nodes asked ten times a second: n2 leads in term 2, is isolated at 13 s, n1 leads in term 3; n3 is silent for a while."""
    for i, node in enumerate(("n1", "n2", "n3")):
        for at in range(start + i * 7 * MS, end, 100 * MS):
            process = f"observer/{node}"
            say(clock, at, process, "invoke", "observe", node=node)
            if node == "n3" and 9 * S <= at < 10_500 * MS:
                say(clock, at + 60 * MS, process, "fail", "observe", node=node, error="TimeoutError: no answer within 1 s")
                continue
            leads = (node == "n2" and at < 14_200 * MS) or (node == "n1" and at >= 14_400 * MS)
            term = 2 if at < (14_400 if node != "n2" else 15_600) * MS else 3
            say(clock, at + 3 * MS, process, "ok", "observe", node=node, claimant=f"{node}#1", term=term, value={"leads": leads, "role": "leader" if leads else "follower"})


def nemesis(clock: Clockwork, process: str, f: str, lift: str, start: int, end: int | None, value: dict[str, object], *, bit: bool = True,
            evidence: str = "") -> None:
    """A fault asked for at `start` and lifted at `end`, each realised 20 ms later."""
    cell: list[int] = []
    say(clock, start, process, "invoke", f, value=value, cell=cell)
    say(clock, start + 20 * MS, process, "ok", f, value={**value, "bit": bit, "evidence": evidence})
    if end is None:
        return
    clock.at(end, lambda: clock.recorder.append(process, "invoke", lift, time=end, value={**value, "lifts": cell[0]}))
    clock.at(end + 15 * MS, lambda: clock.recorder.append(process, "ok", lift, time=end + 15 * MS, value={**value, "lifts": cell[0]}))


def ops(every: int = 5 * MS, candidate_error: str = HOSTILE) -> list[Op]:
    """The whole story, about 18 s; a leader writes once in `every` ns."""
    clock, count = Clockwork(), [0]
    setup = {"version": "0.1.0", "scenario": "paused-leader-naive", "seed": 7, "cluster": "etcd", "nodes": ["n1", "n2", "n3"],
             "candidates": ["c1", "c2", "c3"], "quorum": 2, "ttl": TTL, "fence": True, "real": True, "tolerance": 180_000,
             "grace": 250 * MS, "nemeses": 4, "versions": {"etcd": "3.6.4", "toxiproxy": "2.12.0"}}
    say(clock, 3200 * MS, "harness", "ok", "setup", value=setup)
    observers(clock, 3250 * MS, 18_300 * MS)
    first = reign(clock, "c1#1", 7, 3500 * MS, 6 * S, every, count)
    second = reign(clock, "c2#1", 9, 8050 * MS, 13_800 * MS, every, count)
    third = reign(clock, "c3#1", 12, 15_950 * MS, 18_100 * MS, every, count)
    say(clock, 12_016 * MS, "c1/tick", "ok", "stall", claimant="c1#1", value={"since": 6 * S})
    write(clock, "c1#1", 7, 12_018 * MS, first, count, outcome="fail", error=candidate_error)
    write(clock, "c1#1", 7, 12_023 * MS, first, count, outcome="fail", error=candidate_error)
    say(clock, 12_030 * MS, "c1/elect", "ok", "step-down", claimant="c1#1", tenure=first)
    write(clock, "c2#1", 9, 13_799 * MS, second, count, outcome="lost", client=None)
    say(clock, 13_830 * MS, "c2/exit", "ok", "exit", claimant="c2#1", value={"signal": "SIGKILL"})
    say(clock, 16_400 * MS, "c2/tick", "ok", "tick", claimant="c2#2")
    write(clock, "c3#1", 12, 17_998 * MS, third, count, took=90 * MS, outcome="lost", client="info", error="TimeoutError", activity="audit")
    say(clock, 18_150 * MS, "c3/elect", "ok", "step-down", claimant="c3#1", tenure=third)
    nemesis(clock, "nemesis/1-pause", "pause", "resume", 6 * S, 12 * S, {"host": "c1#1", "pids": [4711]}, evidence="4711: state T")
    isolated = [[a, b] for peer in ("n1", "n3", "c1", "c2", "c3") for a, b in (("n2", peer), (peer, "n2"))]
    nemesis(clock, "nemesis/2-partition", "cut", "heal", 13 * S, 15_500 * MS, {"links": isolated, "how": "drop"}, evidence="10 links probed: nothing passes")
    nemesis(clock, "nemesis/3-latency", "slow", "heal", 9 * S, 10_500 * MS, {"links": [["c3", "n3"], ["n3", "c3"]], "latency": 200 * MS, "jitter": 50 * MS})
    nemesis(clock, "nemesis/3-latency", "slow", "heal", 16_500 * MS, 17_500 * MS, {"links": [["c1", "n1"]], "latency": 300 * MS}, bit=False, evidence="measured 0.4 ms")
    nemesis(clock, "nemesis/4-kill", "kill", "start", 13_800 * MS, 16_300 * MS, {"host": "c2#1"}, evidence="no such process")
    say(clock, 18 * S, "harness", "ok", "deadline")
    say(clock, 18_300 * MS, "smoke", "invoke", "write", token=9, id="smoke-1")
    say(clock, 18_302 * MS, "resource", "fail", "write", id="smoke-1", token=9, epoch=1, fence=12)
    say(clock, 18_304 * MS, "smoke", "fail", "write", token=9, id="smoke-1")
    say(clock, 18_400 * MS, "harness", "ok", "end")
    return clock.run()


def judged(history: History, *, violation: bool = False) -> Verdict:
    """What checkers would say of it."""
    pause, resume = history.where("pause")[0], history.where("resume")[-1]
    acquires = history.where("acquire", type="ok")
    refused = history.where("write", type="fail")
    frozen = Finding("frozen", (
        "c1#1 believed until 12.030 s that it led; its last grant ended at 7.500 s, and it was paused from 6.000 s to 12.015 s. c2#1 led from "
        "8.062 s. Overlap 12.015 - 8.062 = 3.953 s, in all of which c1#1 was late and paused: no lease can prevent it. 2 writes of c1#1 were refused."),
        "accepted" if violation else "attempted", ("c1#1", "c2#1"), 8062 * MS, 12_015 * MS, (acquires[0], pause, acquires[1], *refused[:4], resume),
        fails=violation)
    possible = Finding("possible", "c1#1 and c2#1 overlapped for 15.0 ms within the grace of 250.0 ms after waking.", "attempted",
                       ("c1#1", "c2#1"), 12_015 * MS, 12_030 * MS, (resume, acquires[1]))
    gaps = (Finding("gap", f"Nobody led from 6.020 s to 8.062 s, 2.042 s: c1#1 was paused (op {pause}).", None, (), 6020 * MS, 8062 * MS, (pause, acquires[1])),
            Finding("gap", "Nobody led from 13.800 s to 15.962 s, 2.162 s: c2#1 was killed.", None, (), 13_800 * MS, 15_962 * MS, (acquires[2],)))
    overlap = Check("overlap", "violation" if violation else "valid", (frozen, possible),
                    {"tenures": 3, "overlaps": {"frozen": 1, "possible": 1}, "longest_ns": 3953 * MS, "belief_ns": {"total": 3968 * MS}})
    fencing = Check("fencing", "valid", (), {"refused": 2, "highest_token": 12, "smoke": "refused"})
    failovers = [{"fault": "pause", "detection_ns": 1480 * MS, "election_ns": 62 * MS, "initialisation_ns": 5 * MS},
                 {"fault": "kill", "detection_ns": 2010 * MS, "election_ns": 152 * MS, "initialisation_ns": 4 * MS}]
    availability = Check("availability", "valid", gaps, {"led_ns": 9 * S, "longest_gap_ns": 2162 * MS, "share": 0.684, "failovers": failovers})
    assumptions = Check("assumptions", "valid", (), {"leaders": 3, "writes": {"accepted": 2051, "refused": 2, "unknown": 2}, "clock_sound": True})
    return Verdict("violation" if violation else "valid", not violation, "paused-leader-naive", 7, (assumptions, overlap, fencing, availability),
                   ("overlap: expected valid, found violation (accepted)",) if violation else (),
                   ("history.jsonl:7012: the last line is cut off and was left out",) if violation else ())


SCENARIO = """\
name: paused-leader-naive
about: A leader is stopped for three TTLs. On waking it writes once before it learns that it was deposed.
cluster: {kind: etcd, nodes: 3}
workload: {kind: lock, recipe: naive, candidates: 3, ttl: 2s, renew_every: 500ms, write_every: 5ms, fence: true}
duration: 15s
seed: 7
nemeses:
  - {kind: pause, target: 'candidate:leader', after: 2.5s, for: 6s}
"""
COMMAND = "diarchy run scenarios/etcd/paused-leader-naive.yaml --seed 7 --set workload.ttl=2s"

"""What judging costs: `python benchmarks/judge.py [--ops 200000]` prints ops per second of CPU and peak memory.

The history is of one leader after another (each with renewals, 20 writes a second, records of the resource, three observers), with
every tenth leader paused past its lease. Judging is compared, in the same run, with merely reading the file, for a quarter of the
ops and for all of them: roughly linear is a ratio of about 4. Then the same without observers and without a file, as simulated runs
are judged: recorded (the telling included), made a History, and judged, once with all the ops and once in histories of 700.
"""
import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from diarchy.history.faults import Realised
from diarchy.history.op import Recorder
from diarchy.history.setup import Setup

MS, S = 10**6, 10**9
TTL = 2 * S
SMALL = 700
STEPS = ("record", "columns", "judge")


class Told:
    """Tells a history of about so many ops; `sinks` are the Recorder's."""

    def __init__(self, ops: int, observed: bool, **sinks: Callable[..., object]) -> None:
        self.now, self.order, self.observed = 0, 0, observed
        self.asleep: tuple[str, int] | None = None
        self.recorder = Recorder(lambda: self.now, **sinks)
        self.say = self.recorder.tell
        setup = Setup(ttl=TTL, grace=250 * MS, fence=True, nodes=("n1", "n2", "n3"), candidates=("c1", "c2", "c3"), quorum=2)
        self.say("harness", "ok", "setup", value=setup)
        token = 0
        while self.recorder.count < ops:
            token += 1
            self.tenure(f"c{token % 3 + 1}", token)
        self.say("harness", "ok", "end")

    def tenure(self, name: str, token: int) -> None:
        """Six seconds in office; then it steps down, or sleeps until its successor has been in office for as long."""
        who, asked = f"{name}#1", self.now
        tenure = self.say(f"{name}/elect", "invoke", "acquire", claimant=who)
        self.now += 5 * MS
        lease = {"sent": asked, "ttl": TTL, "until": asked + TTL}
        self.say(f"{name}/elect", "ok", "acquire", claimant=who, token=token, **lease)
        for step in range(120):
            self.now += 50 * MS
            if self.observed and step % 2 == 0:
                for node in ("n1", "n2", "n3"):
                    self.say(f"observer/{node}", "invoke", "observe", node=node)
                    self.say(f"observer/{node}", "ok", "observe", node=node, claimant=f"{node}#1", term=2, value={"leads": node == "n1"})
            if step % 10 == 0:
                self.say(f"{name}/renew", "invoke", "renew", claimant=who, tenure=tenure)
                self.say(f"{name}/renew", "ok", "renew", claimant=who, tenure=tenure, sent=self.now, ttl=TTL, until=self.now + TTL)
            self.order += 1
            write = {"claimant": who, "tenure": tenure, "id": f"{who}-{self.order}", "token": token}
            self.say(f"{name}/write", "invoke", "write", **write)
            self.say("resource", "ok", "write", id=write["id"], token=token, order=self.order, fence=token, epoch=1)
            self.say(f"{name}/write", "ok", "write", **write)
        if self.asleep is not None:
            name_, tenure_ = self.asleep
            self.nemesis("resume", f"{name_}#1")
            self.say(f"{name_}/elect", "ok", "step-down", claimant=f"{name_}#1", tenure=tenure_)
            self.asleep = None
        if token % 10 == 0:
            self.nemesis("pause", who)
            self.asleep = name, tenure
            self.now += TTL
        else:
            self.say(f"{name}/elect", "ok", "step-down", claimant=who, tenure=tenure)

    def nemesis(self, f: str, who: str) -> None:
        self.say("nemesis/1", "invoke", f, value=Realised(host=who))
        self.say("nemesis/1", "ok", f, value=Realised(host=who))


def measure(what: str, path: Path) -> tuple[float, int]:
    """CPU seconds and peak memory in MB of one thing, in a process of its own."""
    done = subprocess.run([sys.executable, __file__, "--only", what, "--file", str(path)], check=True, capture_output=True, text=True)
    seconds, memory = done.stdout.split()
    return float(seconds), int(memory)


def only(what: str, path: Path) -> None:
    from diarchy.checkers.judge import encode, judge
    from diarchy.history.columns import History

    began = time.process_time()
    history = History.read(path)
    if what == "judge":
        began = time.process_time()
        encode(judge(history))
    print(time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def in_memory(ops: int, times: int) -> tuple[float, float, float, int]:
    """CPU seconds of recording, making columns, and judging so many histories of so many ops; and how many ops that were."""
    from diarchy.checkers.judge import judge
    from diarchy.history.columns import Columns

    spent, count = [0.0, 0.0, 0.0], 0
    for _ in range(times):
        columns, marks = Columns(), [time.process_time()]
        Told(ops, observed=False, keep=columns.add)
        marks.append(time.process_time())
        history = columns.history()
        marks.append(time.process_time())
        judge(history)
        marks.append(time.process_time())
        spent = [total + end - start for total, start, end in zip(spent, marks, marks[1:], strict=False)]
        count += len(history)
    return spent[0], spent[1], spent[2], count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ops", type=int, default=200_000)
    parser.add_argument("--only", choices=("read", "judge"), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        return only(given.only, given.file)
    times = {}
    with tempfile.TemporaryDirectory() as folder:
        for ops in (given.ops // 4, given.ops):
            path = Path(folder) / f"{ops}.jsonl"
            with path.open("wb") as file:
                Told(ops, observed=True, write=file.write)
            for what in ("read", "judge"):
                seconds, memory = measure(what, path)
                times[what, ops] = seconds
                print(f"{what:>5} {ops:>9,} ops: {seconds:6.2f} s, {ops / seconds:>9,.0f} ops/s, peak {memory} MB")
    judged, read = (times[what, given.ops] for what in ("judge", "read"))
    print(f"judging takes {judged / read:.2f} times what reading takes; four times the ops take {judged / times['judge', given.ops // 4]:.1f} times as long")
    in_memory(SMALL, 10)
    *large, count = in_memory(given.ops, 1)
    print(f"in memory {count:>9,} ops: {', '.join(f'{word} {each / count * 1e6:.2f}' for word, each in zip(STEPS, large, strict=True))}, in all "
          f"{sum(large) / count * 1e6:.2f} µs an op ({sum(large):.2f} s); reading them takes {read / given.ops * 1e6:.2f} µs an op")
    *small, count = in_memory(SMALL, 100)
    print(f"in memory 100 times {count // 100} ops: {', '.join(f'{word} {each * 10:.2f}' for word, each in zip(STEPS, small, strict=True))}, in all "
          f"{sum(small) * 10:.2f} ms each")


if __name__ == "__main__":
    main()

"""What simulated time costs: `python benchmarks/simulator.py [--seconds 2000] [--seeds 1000]`.

Five Raft nodes with heartbeats every 50 ms, nothing recorded: on the simulator's heap, and the same machines over the same delays on
SimPy, and on asyncio's timers alone (in virtual time, too). Then with about 200 ops recorded in each simulated second and every check
run on them; for a quarter of the time and for all of it: linear is a ratio of 4. Then 1,000 seeds of 60 s of Bully under a partition, all
checks, on all cores. Last the whole process of `diarchy run` on a simulated scenario, beside a Python that only imports asyncio and numpy.
"""
import argparse
import asyncio
import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import simpy

from diarchy.checkers.judge import judge
from diarchy.clusters import virtual
from diarchy.clusters.simulated.cluster import SimulatedCluster
from diarchy.clusters.simulated.options import Simulated
from diarchy.clusters.virtual import VirtualLoop
from diarchy.history.columns import Columns
from diarchy.history.op import Recorder
from diarchy.history.setup import Setup
from diarchy.history.units import Duration
from diarchy.workloads.machine import Broadcast, Effects, Send
from diarchy.workloads.memory import SimulatedResource
from diarchy.workloads.peers import Peer
from diarchy.workloads.raft import Raft, RaftNode

MS, S = 10**6, 10**9
NODES = tuple(f"n{number}" for number in range(1, 6))
NEVER = Duration.parse("100000h")
BULLY = Path("scenarios/known-unsafe/bully-partition.yaml")
LOCK = Path("scenarios/simulated/paused-leader.yaml")
STARTS = 7


class Bare:
    """Five Raft nodes over any timer service: `later(delay_ns, act, *args)`, `now()` ns."""

    def __init__(self, now: Callable[[], int], later: Callable[..., object]) -> None:
        self._now, self._later = now, later
        self._queued = dict.fromkeys(NODES, virtual.FOREVER)
        self._nodes = {name: RaftNode(Raft(), name, NODES, Random(f"7/{name}"), None) for name in NODES}
        self._draw = {(a, b): Random(f"7/{a}-{b}").random for a in NODES for b in NODES}
        for name, node in self._nodes.items():
            self._follow(name, node.start(0))

    def _follow(self, name: str, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Send(to, message):
                    self._send(name, to, message)
                case Broadcast(message):
                    for to in NODES:
                        if to != name:
                            self._send(name, to, message)
        if (due := self._nodes[name].due) < self._queued[name]:
            self._queued[name] = due
            self._later(due - self._now(), self._ring, name, due)

    def _send(self, source: str, target: str, message: Any) -> None:
        self._later(MS + int(MS * self._draw[source, target]()), self._arrive, source, target, message)

    def _arrive(self, source: str, target: str, message: Any) -> None:
        self._follow(target, self._nodes[target].on_message(self._now(), source, message))

    def _ring(self, name: str, due: int) -> None:
        if due != self._queued[name]:
            return
        self._queued[name] = virtual.FOREVER
        node = self._nodes[name]
        self._follow(name, node.on_timer(self._now()) if self._now() >= node.due else ())


def on_simpy(seconds: int) -> None:
    """A timeout with a callback for each event: the least that SimPy can do."""
    world = simpy.Environment()

    def later(delay: int, act: Callable[..., object], *args: Any) -> None:
        world.timeout(delay).callbacks.append(lambda _: act(*args))

    Bare(lambda: world.now, later)
    world.run(until=seconds * S)


def on_asyncio(seconds: int) -> None:
    """A `call_later` for each event, and a clock that jumps to the next one."""
    loop = VirtualLoop()

    async def main() -> None:
        Bare(lambda: loop.now, lambda delay, act, *args: loop.call_later(delay / 1e9, act, *args))
        await asyncio.sleep(seconds)
    virtual.run(loop, main())


def peers(cluster: SimulatedCluster, recorder: Recorder, write_every: Duration) -> dict[str, Peer]:
    """The simulator's own nodes, begun."""
    resource = SimulatedResource(cluster.world, recorder, True)
    made = {name: Peer(cluster.world, name, NODES, Raft(write_every=write_every), recorder, resource) for name in NODES}
    for peer in made.values():
        peer.meet(made)
    for peer in made.values():
        peer.begin()
    return made


def on_the_heap(seconds: int) -> None:
    """The simulator; its few claims go nowhere."""
    cluster = SimulatedCluster(Simulated(nodes=5), 7)
    peers(cluster, Recorder(lambda: cluster.loop.now), NEVER)
    virtual.run(cluster.loop, asyncio.sleep(seconds))


def recorded(seconds: int) -> int:
    """The same with a leader that writes 66 times a second, recorded, made a History and judged; its number of ops."""
    cluster = SimulatedCluster(Simulated(nodes=5), 7)
    columns = Columns()
    recorder = Recorder(lambda: cluster.loop.now, keep=columns.add)
    setup = Setup(scenario="benchmark", seed=7, nodes=NODES, quorum=3, authority="term", fence=True)
    recorder.tell("harness", "ok", "setup", value=msgspec.to_builtins(setup))
    nodes = peers(cluster, recorder, Duration(12 * MS))

    async def main() -> None:
        for _ in range(seconds // 50):
            await asyncio.sleep(47)
            name = next(name for name, peer in nodes.items() if peer.leads)
            for act, f in ((cluster.world.host(name).pause, "pause"), (cluster.world.host(name).resume, "resume")):
                recorder.tell("nemesis/1", "invoke", f, value={"host": f"{name}#1"})
                await act()
                recorder.tell("nemesis/1", "ok", f, value={"host": f"{name}#1"})
                await asyncio.sleep(1.5)
    virtual.run(cluster.loop, main())
    verdict = judge(columns.history())
    assert verdict.verdict != "violation", verdict
    return recorder.count


def timed(act: Callable[[int], object], seconds: int) -> tuple[float, Any]:
    """CPU seconds that it took, and what it gave; the best of three."""
    best, result = float("inf"), None
    for _ in range(3):
        gc.collect()
        gc.freeze()
        began = time.process_time()
        result = act(seconds)
        best = min(best, time.process_time() - began)
    return best, result


def process(*command: str) -> float:
    """The fastest of a few starts of a whole process, s."""
    times = []
    for _ in range(STARTS):
        began = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=2000, help="simulated seconds")
    parser.add_argument("--seeds", type=int, default=1000)
    asked = parser.parse_args()
    print("five Raft nodes, nothing recorded, simulated seconds per second of one core:")
    for name, act in (("the simulator's heap", on_the_heap), ("SimPy", on_simpy), ("asyncio's timers", on_asyncio)):
        took, _ = timed(act, asked.seconds)
        print(f"  {name:22} {asked.seconds / took:8,.0f}")
    quarter, _ = timed(recorded, asked.seconds // 4)
    took, ops = timed(recorded, asked.seconds)
    print(f"recorded and judged: {asked.seconds / took:,.0f} simulated seconds per second, {ops / asked.seconds:.0f} ops in each; "
          f"four times the events take {took / quarter:.1f} times as long")
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "diarchy.harness", "run", str(BULLY), "--set", "duration=60s", "--seeds", f"1..{asked.seeds}", "--quiet"],
                   check=True, capture_output=True)
    print(f"{asked.seeds:,} seeds of {BULLY.stem}, all checks, on all cores: {time.perf_counter() - began:.1f} s")
    bare = process("-c", "import asyncio, numpy")
    with tempfile.TemporaryDirectory() as folder:
        for scenario in (LOCK, BULLY):
            whole = process("-m", "diarchy.harness", "run", str(scenario), "--quiet", "--seed", "1", "--out", folder)
            print(f"`diarchy run {scenario}`, the whole process: {whole:.2f} s; a Python that imports asyncio and numpy: {bare:.2f} s")


if __name__ == "__main__":
    main()

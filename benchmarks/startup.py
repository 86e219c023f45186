"""From nothing to a healthy etcd cluster, and back: diarchy's mesh against plain `docker run`: `python benchmarks/startup.py [-n 5]`.

Plain: the same containers, directly linked, without Toxiproxy's work; made one after another (`docker run -d`, four times) and side
by side. Healthy, for all: every server names the same leader, and a write is acknowledged. Rounds take turns, so that what else the
machine does hits all alike. `diarchy run`: from the start of the command until its first leader, everything included.
"""
import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from diarchy.clusters.docker import containers, images, network, owner
from diarchy.clusters.docker.sweep import sweep
from diarchy.clusters.etcd.cluster import EtcdCluster
from diarchy.clusters.etcd.options import Etcd

LIMIT, STOP_LIMIT_S = 1.5, 3.0
NODES = 3
SCENARIO = Path(__file__).parents[1] / "scenarios/etcd/graceful-handover.yaml"


def quiet(_: str) -> None: ...


def meshed(run: str) -> tuple[float, float]:
    """Seconds until healthy, and of the removal."""

    async def measure() -> tuple[float, float]:
        cluster = Etcd(nodes=NODES).build(run, 0)
        began = time.monotonic()
        try:
            await cluster.prepare(quiet)
            await cluster.start(quiet)
            ready = time.monotonic()
        finally:
            stopping = time.monotonic()
            await cluster.stop()
        return ready - began, time.monotonic() - stopping

    return asyncio.run(measure())


def first_leader(_: str) -> tuple[float, float]:
    """The whole command: seconds from its start to the first leader in its history, and from its last phase to its end."""
    with tempfile.TemporaryDirectory() as out:
        began = time.monotonic()
        command = subprocess.Popen(
            [sys.executable, "-m", "diarchy.harness", "run", str(SCENARIO), "--out", out, "--set", "duration=3s", "--set", "settle=0s",
             "--set", "checks=[{kind: assumptions, min_writes: 0}]"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert command.stderr is not None
        led = down = began
        for line in command.stderr:
            if "elected" in line and led == began:
                led = time.monotonic()
            if "tearing down" in line:
                down = time.monotonic()
            if line.startswith("report:"):
                break
        command.communicate()
    return led - began, time.monotonic() - down


def plain(run: str, workers: int) -> tuple[float, float]:
    """The same without the mesh."""
    client = images.connect()
    specs = [*_servers(run), containers.Spec(name="toxiproxy", image=images.reference("toxiproxy"), command=("-host=0.0.0.0",))]
    labels = owner.current().labels(run)
    began = time.monotonic()
    try:
        made = network.create(client, run, labels)

        def run_one(numbered: tuple[int, containers.Spec]) -> None:
            number, spec = numbered
            hosts = {f"n{i}": made.server(i) for i in range(1, NODES + 1)}
            placed = containers.Spec(name=spec.name, image=spec.image, entrypoint=spec.entrypoint, command=spec.command,
                                     address=made.server(number), hosts=hosts)
            containers.start(client, containers.create(client, run, labels, made, placed))

        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(run_one, enumerate(specs, 1)))
        asyncio.run(_healthy([made.server(i) for i in range(1, NODES + 1)]))
        ready = time.monotonic()
    finally:
        stopping = time.monotonic()
        sweep(client, only=run)
        client.close()
    return ready - began, time.monotonic() - stopping


def _servers(run: str) -> list[containers.Spec]:
    cluster = EtcdCluster(Etcd(nodes=NODES), run)
    image = images.reference("etcd")
    return [containers.Spec(name=spec.name, image=image, entrypoint=spec.entrypoint, command=spec.command)
            for spec in (cluster.server(node) for node in cluster.nodes)]


async def _healthy(addresses: Sequence[str]) -> None:
    import aiohttp

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1.0), raise_for_status=True) as session:
        async def post(address: str, path: str, body: dict[str, str]) -> str:
            async with session.post(f"http://{address}:2379{path}", json=body) as response:
                return str((await response.json()).get("leader", "0"))

        while True:
            try:
                leaders = set(await asyncio.gather(*(post(address, "/v3/maintenance/status", {}) for address in addresses)))
                if len(leaders) == 1 and leaders != {"0"}:
                    await post(addresses[0], "/v3/kv/put", {"key": "ZGlhcmNoeS9yZWFkeQ=="})
                    return
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(0.03)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=5, help="rounds")
    rounds = parser.parse_args().n
    ways: dict[str, Callable[[str], tuple[float, float]]] = {
        "docker run, one after another": lambda run: plain(run, 1),
        "docker run, side by side": lambda run: plain(run, NODES + 1),
        "diarchy, with the mesh": meshed,
        "diarchy run, to the first leader": first_leader,
    }
    taken: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for number in range(rounds):
        for index, (way, measure) in enumerate(ways.items()):
            taken[way].append(measure(f"startup-{os.getpid()}-{number}-{index}"))
    print(f"{NODES} etcd servers and Toxiproxy, {rounds} rounds; seconds")
    print(f"{'':32}{'healthy: median':>16}{'min':>7}{'max':>7}{'removed: median':>18}{'max':>7}")
    for way, times in taken.items():
        ready, stop = zip(*times, strict=True)
        print(f"{way:32}{statistics.median(ready):16.2f}{min(ready):7.2f}{max(ready):7.2f}{statistics.median(stop):18.2f}{max(stop):7.2f}")
    one_by_one, side_by_side, mesh, leader = (statistics.median(ready for ready, _ in times) for times in taken.values())
    stop_s = max(stop for _, stop in taken["diarchy, with the mesh"])
    print(f"the mesh: {mesh / min(one_by_one, side_by_side):.2f} times the quicker of the plain ways; "
          f"`diarchy run` to the first leader: {leader / one_by_one:.2f} times `docker run` one after another, "
          f"{leader / side_by_side:.2f} times side by side (limit {LIMIT})")
    print(f"slowest removal {stop_s:.2f} s (limit {STOP_LIMIT_S}); the last column of `diarchy run` includes judging and the report")
    return 0 if leader / one_by_one <= LIMIT and stop_s < STOP_LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())

"""A simulated cluster: its nodes, what goes wrong with them, and the candidates' way to its service."""
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from diarchy.clusters.cluster import ClusterError, Endpoints, Host, Observation, Progress
from diarchy.clusters.ledger import Change, HostState, Ledger
from diarchy.clusters.simulated.hosts import SimulatedHost
from diarchy.clusters.simulated.options import Simulated
from diarchy.clusters.simulated.rpc import Caller
from diarchy.clusters.simulated.world import World
from diarchy.clusters.stores import LeaseStore
from diarchy.clusters.virtual import VirtualLoop
from diarchy.history.faults import Fault, Kill, Pause, Realised, Skew, asked


class SimulatedCluster:
    """A Cluster in virtual time. Candidates and the resource are hosts of its world, too; whoever runs them makes them there."""

    def __init__(self, options: Simulated, seed: int) -> None:
        self.loop = VirtualLoop()
        self.nodes = tuple(f"n{i + 1}" for i in range(options.nodes))
        self.world = World(self.loop, options.network, seed, options.drift, int(options.offset))
        self._ledger = Ledger()
        self.service = None if options.service is None else options.service.build(self.world, self.nodes)
        self.quorum = len(self.nodes) // 2 + 1 if self.service is None else self.service.quorum
        for name in self.nodes:
            self.world.host(name)

    @property
    def observed(self) -> tuple[str, ...]:
        """The nodes that have something to say of themselves."""
        return self.nodes if self.service is not None else ()

    @property
    def resource_host(self) -> str:
        return "resource"

    def store(self, candidate: str) -> LeaseStore:
        """The candidate's client of the service; the candidates begin at different nodes."""
        if self.service is None:
            raise ClusterError("this simulated cluster has no election service")
        number = re.search(r"\d+$", candidate)
        return self.service.store(Caller(self.world, self.world.host(candidate), self.nodes, self.service), int(number[0]) - 1 if number else 0)

    async def prepare(self, progress: Progress) -> None:
        pass

    async def start(self, progress: Progress) -> None:
        if self.service is not None:
            self.service.start()

    async def link(self, candidates: Sequence[str], resource: str) -> None:
        pass

    async def stop(self) -> None:
        pass

    def stop_now(self) -> None:
        pass

    async def apply(self, fault: Fault) -> Realised:
        return await self._change(fault, self._ledger.apply(fault))

    async def lift(self, fault: Fault) -> Realised:
        return await self._change(fault, self._ledger.lift(fault))

    async def _change(self, fault: Fault, change: Change) -> Realised:
        for ends, state in change.links.items():
            self.world.link(*ends).set(state)
        match fault:
            case Pause(name) | Kill(name):
                return await _put(self.world.host(name), self._ledger.host(name))
            case Skew(name):
                host, (offset, drift) = self.world.host(name), self._ledger.skew(name)
                host.skew(offset, drift)
                return Realised(host=host.claimant, offset=offset, drift=drift, evidence=f"its clock reads {host.wall() / 1e9:.3f} s")
        return msgspec.structs.replace(asked(fault), evidence=f"{len(change.links)} links behave otherwise")

    async def observe(self, node: str) -> Observation:
        host = self.world.host(node)
        if self.service is None or not host.awake:
            raise ConnectionError(f"{node} does not answer")
        return self.service.observe(node)

    def endpoints(self, candidate: str) -> Endpoints:
        return Endpoints({}, "")

    def adopt(self, name: str, host: Host) -> None:
        pass

    async def logs(self, folder: Path) -> None:
        pass

    async def versions(self) -> dict[str, str]:
        return {}


async def _put(host: SimulatedHost, state: HostState) -> Realised:
    """Bring a host into the state that all faults together ask for."""
    match state:
        case "dead":
            return await host.kill()
        case "paused":
            if host.dead:
                await host.start()
            return await host.pause()
        case "up":
            return await host.start() if host.dead else await host.resume()

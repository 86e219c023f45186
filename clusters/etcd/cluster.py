"""etcd servers in containers: how they are started, when they are ready, what they say of themselves."""
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

from diarchy.clusters.cluster import ClusterError, Endpoints, Host, Observation, Progress
from diarchy.clusters.docker.containers import Spec
from diarchy.clusters.docker.deployment import Deployment, Kind, Port
from diarchy.clusters.docker.faults import Faults
from diarchy.clusters.docker.probe import http_get
from diarchy.clusters.etcd.options import Etcd
from diarchy.history.faults import Fault, Realised

PEER, CLIENT = 2380, 2379
READY_WITHIN_S = 60.0
EVERY_S = 0.03
TIMEOUT_S = 1.0
VERSION = http_get("/version")
KIND = Kind(image="etcd", peers=(Port(PEER, VERSION),), clients=Port(CLIENT, VERSION))


class EtcdCluster:
    """The `Cluster` protocol on real etcd servers."""

    def __init__(self, options: Etcd, run: str) -> None:
        self.options = options
        self.nodes = tuple(f"n{i + 1}" for i in range(options.nodes))
        self.quorum = options.nodes // 2 + 1
        self._deployment = Deployment(run, self.nodes, KIND)
        self._faults = Faults(self._deployment)
        self._session: aiohttp.ClientSession | None = None

    @property
    def observed(self) -> tuple[str, ...]:
        return self.nodes

    @property
    def resource_host(self) -> str:
        """This host's own address on the run's network."""
        return self._deployment.network.gateway

    async def prepare(self, progress: Progress) -> None:
        """Find engine and images, remove what dead runs left, make the network. Raises NoEngine."""
        await self._deployment.prepare(self.options.image, progress)

    async def start(self, progress: Progress) -> None:
        """Returns when all servers agree on a leader and a write was acknowledged."""
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), trust_env=False)
        await self._deployment.start([self.server(node) for node in self.nodes], progress)
        progress("waiting for etcd to elect")
        await self._elected()

    async def link(self, candidates: Sequence[str], resource: str) -> None:
        """A link from each candidate to each server and to the resource."""
        await self._deployment.link(candidates, resource)

    async def stop(self) -> None:
        """Remove all that the run has made. Idempotent, also after a `start` that failed or was cancelled."""
        try:
            if self._session is not None:
                await self._session.close()
        finally:
            await self._deployment.stop()

    def stop_now(self) -> None:
        """The same at once, without asyncio."""
        self._deployment.stop_now()

    async def apply(self, fault: Fault) -> Realised:
        """Do it, verify it; ClusterError where it cannot be done at all."""
        return await self._faults.apply(fault)

    async def lift(self, fault: Fault) -> Realised:
        """Undo it, verify that."""
        return await self._faults.lift(fault)

    def adopt(self, name: str, host: Host) -> None:
        """From now on Pause(name) and Kill(name) act on this host."""
        self._faults.adopt(name, host)

    def endpoints(self, candidate: str) -> Endpoints:
        """Where the candidate reaches each server and the resource."""
        return self._deployment.endpoints(candidate)

    async def logs(self, folder: Path) -> None:
        """Write the logs of the servers and of Toxiproxy."""
        await self._deployment.logs(folder)

    async def versions(self) -> dict[str, str]:
        """Of etcd, Toxiproxy and the Docker engine."""
        try:
            async with self._asking().get(f"http://{self._client(self.nodes[0])}/version", raise_for_status=True) as response:
                etcd = (await response.json())["etcdserver"]
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ClusterError(f"{self.nodes[0]} does not tell its version: {type(error).__name__}: {error}") from error
        return {"etcd": etcd, **await self._deployment.versions()}

    async def observe(self, node: str) -> Observation:
        """Ask the server's own address for raft's state. Raises on a time-out, an error, or a restart meanwhile.

        Not `Status`: that puts together the leader of now and the term of the last entry applied, so that a server just elected
        names the old term. `raft.status` is one reading, made by raft's own goroutine (docs/decisions/0003).
        """
        boot = self._deployment.boots[node]
        async with self._asking().get(f"http://{self._client(node)}/debug/vars", raise_for_status=True) as response:
            raft = (await response.json())["raft.status"]
        if boot != self._deployment.boots[node]:
            raise ClusterError(f"{node} was started anew while it was asked")
        role = str(raft["raftState"]).removeprefix("State").lower()
        return Observation(leads=role == "leader", term=int(raft["term"]) or None, claimant=f"{node}#{boot}", role=role)

    async def _elected(self) -> None:
        loop = asyncio.get_running_loop()
        deadline, checked = loop.time() + READY_WITHIN_S, loop.time()
        while (unready := await self._unready()) is not None:
            if loop.time() - checked > 0.5:
                checked = loop.time()
                if ended := await self._deployment.ended():
                    raise ClusterError(f"{', '.join(ended)} ended while starting:\n{await self._deployment.failing(ended)}")
            if loop.time() > deadline:
                raise ClusterError(f"etcd was not ready within {READY_WITHIN_S:.0f} s: {unready}\n"
                                   + await self._deployment.failing(self.nodes))
            await asyncio.sleep(EVERY_S)

    async def _unready(self) -> str | None:
        """What is missing; None once all agree on a leader and it has acknowledged a write."""
        try:
            answers = await asyncio.gather(*(self._post(node, "/v3/maintenance/status", {}) for node in self.nodes))
            leaders = {status.get("leader", "0") for status in answers}
            if len(leaders) != 1 or "0" in leaders:
                return f"the servers name {len(leaders)} leaders"
            await self._post(self.nodes[0], "/v3/kv/put", {"key": "ZGlhcmNoeS9yZWFkeQ=="})
        except (aiohttp.ClientError, TimeoutError) as error:
            return f"{type(error).__name__}: {error}"
        return None

    async def _post(self, node: str, path: str, body: dict[str, Any]) -> Any:
        async with self._asking().post(f"http://{self._client(node)}{path}", json=body, raise_for_status=True) as response:
            return await response.json()

    def _asking(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            raise ClusterError("the cluster is not running")
        return self._session

    def _client(self, node: str) -> str:
        return f"{self._deployment.address(node)}:{CLIENT}"

    def server(self, node: str) -> Spec:
        """How one server is started; image and addresses are the deployment's."""
        milliseconds = {"--heartbeat-interval": self.options.heartbeat, "--election-timeout": self.options.election}
        return Spec(
            name=node, image="", entrypoint=("etcd",),
            command=(
                "--name", node, "--data-dir", "/var/lib/etcd/data",
                "--listen-peer-urls", f"http://0.0.0.0:{PEER}", "--initial-advertise-peer-urls", f"http://{node}:{PEER}",
                "--listen-client-urls", f"http://0.0.0.0:{CLIENT}", "--advertise-client-urls", f"http://{node}:{CLIENT}",
                "--initial-cluster", ",".join(f"{name}=http://{name}:{PEER}" for name in self.nodes),
                "--initial-cluster-token", self._deployment.run,
                *(word for option, time in milliseconds.items() for word in (option, str(max(1, int(time) // 1_000_000)))),
            ),
        )

"""One run's network, Toxiproxy and servers in containers, whatever the servers are: made, linked, removed."""
import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from diarchy.clusters.cluster import ClusterError, Endpoints, Progress
from diarchy.clusters.docker import containers, images, network, owner
from diarchy.clusters.docker.containers import Spec
from diarchy.clusters.docker.engine import Threads, asking
from diarchy.clusters.docker.mesh import Mesh, Route
from diarchy.clusters.docker.packets import Packets
from diarchy.clusters.docker.probe import http_get
from diarchy.clusters.docker.sweep import stuck, sweep
from diarchy.clusters.docker.toxiproxy import API_PORT, Listener, Toxiproxy, ToxiproxyError
from diarchy.clusters.ledger import Ledger

if TYPE_CHECKING:
    from docker import DockerClient

FIRST_PORT = 10_000
"""Below the range from which kernels take a connection's own port."""
READY_WITHIN_S = 20.0
DRAIN_S = 10.0
TAIL = 15


class Port(msgspec.Struct, frozen=True):
    """A port that every server listens on. `question`: bytes that it answers at once, to probe links with."""

    number: int
    question: bytes = b""


class Kind(msgspec.Struct, frozen=True):
    """What the servers of one kind have in common: the ports that they reach one another by, and the one for clients."""

    image: str
    peers: tuple[Port, ...]
    clients: Port


class Deployment:
    """Made by `prepare`, `start` and `link`, in this order; `stop` or `stop_now` at any time after.

    `nodes` are the servers' names. Everything that is made carries the run's labels, by which `stop` finds it.
    """

    def __init__(self, run: str, nodes: tuple[str, ...], kind: Kind) -> None:
        self.run, self.nodes, self.kind = run, nodes, kind
        self.ledger, self.threads = Ledger(), Threads()
        self.containers: dict[str, str] = {}
        self.boots = dict.fromkeys(nodes, 1)
        self.resource = ""
        self._labels = owner.current().labels(run)
        self._endpoints: dict[str, Endpoints] = {}
        self._images: dict[str, str] = {}
        self._port = FIRST_PORT
        self._making = False
        self._client: DockerClient | None = None
        self._network: network.Network | None = None
        self._mesh: Mesh | None = None
        self._packets: Packets | None = None

    @property
    def client(self) -> "DockerClient":
        if self._client is None:
            raise ClusterError("the cluster is not prepared")
        return self._client

    @property
    def network(self) -> network.Network:
        if self._network is None:
            raise ClusterError("the cluster is not prepared")
        return self._network

    @property
    def mesh(self) -> Mesh:
        if self._mesh is None:
            raise ClusterError("the cluster is not started")
        return self._mesh

    @property
    def packets(self) -> Packets:
        """The second engine of partitions; its image is looked for when it is first asked for."""
        if self._packets is None:
            self._packets = Packets(self.ledger, self.threads, self.nodes, self.kind.peers[0].number, self.alias, self._helper,
                                    lambda container, command: containers.execute(self.client, container, command))
        return self._packets

    def address(self, node: str) -> str:
        """The node's own address on the run's network, which this host reaches."""
        return self.network.server(self._number(node))

    def alias(self, node: str, peer: str) -> str:
        """The address at which a node reaches a peer: Toxiproxy's, for this pair alone."""
        return f"169.254.{self._number(node)}.{self._number(peer)}"

    def endpoints(self, candidate: str) -> Endpoints:
        """Where the candidate finds its links. KeyError unless `link` has made them."""
        return self._endpoints[candidate]

    async def prepare(self, image: str | None, progress: Progress) -> None:
        """Find the images, remove what dead runs left, make the network. Raises NoEngine."""
        progress("looking for the Docker engine and the images")
        self._client = await self.threads.call(images.connect)
        wanted = {"toxiproxy": None, self.kind.image: image}
        self._images = {name: await self.threads.call(images.reference, name, override, progress) for name, override in wanted.items()}
        for line in await self.threads.call(self._sweep):
            progress(line)
        progress("making the network")
        self._making = True
        self._network = await self.threads.call(network.create, self.client, self.run, self._labels)

    async def start(self, servers: Sequence[Spec], progress: Progress) -> None:
        """Start Toxiproxy and the servers side by side; returns when the links between the servers work.

        The servers' `image`, `address` and `hosts` are filled in here.
        """
        progress("starting toxiproxy and " + ", ".join(spec.name for spec in servers))
        try:
            async with asyncio.TaskGroup() as group:
                proxy = group.create_task(self._start_toxiproxy())
                for spec in servers:
                    group.create_task(self._start_server(spec))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        self._mesh = proxy.result()

    async def link(self, candidates: Sequence[str], resource: str) -> None:
        """A proxy for each candidate and node, and each candidate and the resource."""
        self.resource = resource
        routes = []
        for candidate in candidates:
            found = {node: self._route(candidate, node, f"{self.address(node)}:{self.kind.clients.number}", self.kind.clients.question)
                     for node in self.nodes}
            store = self._route(candidate, "resource", resource, http_get("/state"))
            self._endpoints[candidate] = Endpoints({node: route.listen for node, route in found.items()}, store.listen)
            routes += [*found.values(), store]
        with _toxiproxy_errors():
            await self.mesh.add(routes)

    async def logs(self, folder: Path) -> None:
        """Write the output of each container, helpers left out, to `folder/<name>.log`. Those that can be had are written before
        the first error is raised: ClusterError or OSError."""
        if self._client is None:
            return
        folder.mkdir(parents=True, exist_ok=True)

        async def one(name: str, container: str) -> None:
            text = await self.threads.call(containers.log, self.client, container)
            (folder / f"{name}.log").write_bytes(text)

        done = await asyncio.gather(*(one(name, container) for name, container in self.containers.items()), return_exceptions=True)
        for error in done:
            if isinstance(error, BaseException):
                raise error

    async def failing(self, names: Sequence[str]) -> str:
        """The state and the last lines of these nodes' logs, those first that have ended."""
        texts = []
        for name in names:
            if (container := self.containers.get(name)) is None:
                continue
            state = await self.threads.call(containers.inspect, self.client, container)
            tail = await self.threads.call(containers.log, self.client, container, TAIL)
            how = "runs" if state.running else f"{state.status}, status {state.exit_code}"
            texts.append((state.running, f"{name} ({how}):\n" + tail.decode(errors="replace").rstrip()))
        return "\n".join(text for _, text in sorted(texts))

    async def ended(self) -> list[str]:
        """Names of the nodes whose container does not run."""
        states = await asyncio.gather(*(self.threads.call(containers.inspect, self.client, container)
                                        for container in self.containers.values()))
        return [name for name, state in zip(self.containers, states, strict=True) if not state.running]

    async def versions(self) -> dict[str, str]:
        """Of Toxiproxy and the engine."""
        with asking("asking for its version"):
            engine = await self.threads.call(self.client.version)
        with _toxiproxy_errors():
            return {"toxiproxy": await self.threads.call(self.mesh.toxiproxy.version), "docker": str(engine["Version"])}

    async def stop(self) -> list[str]:
        """Remove everything of the run, calls that are still under way included; what was removed. Idempotent. Raises ClusterError
        where something may be left, and says how to remove it."""
        return await asyncio.to_thread(self.stop_now, DRAIN_S)

    def stop_now(self, drain_s: float = 1.0) -> list[str]:
        """The same without asyncio, for a signal handler. What a call under way makes after `drain_s` is left to the next sweep."""
        self.threads.close()
        if self._client is None or not self._making:
            return []
        self.threads.drain(drain_s)
        try:
            with asking("removing the run's containers"):
                removed = sweep(self._client, only=self.run)
        except ClusterError as error:
            raise ClusterError(f"{error}: what it still has of this run is removed by `diarchy clean`, once it answers") from error
        finally:
            self._client.close()
        if left := stuck(removed):
            raise ClusterError("\n".join(left))
        return removed

    def _sweep(self) -> list[str]:
        with asking("removing what dead runs left"):
            return sweep(self.client)

    async def _start_toxiproxy(self) -> Mesh:
        aliases = tuple(self.alias(a, b) for a in self.nodes for b in self.nodes if a != b)
        spec = Spec(name="toxiproxy", image=self._images["toxiproxy"], command=("-host=0.0.0.0",), address=self.network.toxiproxy,
                    link_local=aliases)
        await self._run(spec)
        toxiproxy = Toxiproxy(self.network.toxiproxy)
        try:
            await self.threads.call(await_toxiproxy, toxiproxy, lambda: self._running("toxiproxy"))
        except ClusterError as error:
            if "toxiproxy" in await self.ended():
                raise ClusterError(f"toxiproxy ended while starting:\n{await self.failing(['toxiproxy'])}") from error
            raise
        mesh = Mesh(toxiproxy, self.ledger, self.threads)
        routes = [self._peers(a, b, port) for a in self.nodes for b in self.nodes if a != b for port in self.kind.peers]
        # The host has no way to link-local addresses: a second proxy in front of each lets it send a question through the link.
        probes = [Listener(f"probe-{route.name}", route.probe, route.listen) for route in routes if route.question]
        with _toxiproxy_errors():
            await mesh.add(routes, probes)
        return mesh

    async def _start_server(self, spec: Spec) -> None:
        hosts = {peer: self.address(peer) if peer == spec.name else self.alias(spec.name, peer) for peer in self.nodes}
        await self._run(msgspec.structs.replace(
            spec, image=self._images[self.kind.image], address=self.address(spec.name), hosts=hosts,
            link_local=(f"169.254.0.{10 + self._number(spec.name)}",)))

    async def _run(self, spec: Spec) -> None:
        container = await self.threads.call(containers.create, self.client, self.run, self._labels, self.network, spec)
        self.containers[spec.name] = container
        await self.threads.call(containers.start, self.client, container, spec.name)

    def _running(self, name: str) -> bool:
        return containers.inspect(self.client, self.containers[name]).running

    def _peers(self, source: str, target: str, port: Port) -> Route:
        probe = f"{self.network.toxiproxy}:{self._next_port()}"
        return Route(source, target, f"{self.alias(source, target)}:{port.number}", f"{self.address(target)}:{port.number}",
                     probe, port.question, str(port.number))

    def _route(self, candidate: str, target: str, upstream: str, question: bytes) -> Route:
        listen = f"{self.network.toxiproxy}:{self._next_port()}"
        return Route(candidate, target, listen, upstream, listen, question)

    def _helper(self, node: str) -> str | None:
        """In a thread: a container with iptables in the node's network namespace."""
        if self.ledger.host(node) == "dead":
            return None
        spec = Spec(name=f"helper-{node}-{self.boots[node]}", image=images.reference("helper"), capabilities=("NET_ADMIN",),
                    inside=self.containers[node])
        container = containers.create(self.client, self.run, self._labels, self.network, spec)
        containers.start(self.client, container)
        return container

    def _next_port(self) -> int:
        self._port += 1
        if self._port == API_PORT:
            self._port += 1
        return self._port

    def _number(self, node: str) -> int:
        return self.nodes.index(node) + 1


def await_toxiproxy(toxiproxy: Toxiproxy, running: Callable[[], bool] = lambda: True) -> None:
    """Wait until a server that has just been started answers, as long as it is `running`. Blocks. Raises ClusterError."""
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            toxiproxy.version()
            return
        except ToxiproxyError as error:
            if time.monotonic() > deadline or not running():
                raise ClusterError(
                    f"toxiproxy does not answer at {toxiproxy.address} ({error}). This host must reach its containers' "
                    "addresses: a remote engine, a rootless one or Docker Desktop does not let it") from error
        time.sleep(0.02)


@contextmanager
def _toxiproxy_errors() -> Iterator[None]:
    try:
        yield
    except ToxiproxyError as error:
        raise ClusterError(str(error)) from error

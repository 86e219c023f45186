"""Faults on a deployment: done first, then verified."""
import asyncio
from collections import defaultdict
from typing import Literal

import msgspec

from diarchy.clusters.cluster import ClusterError, Host
from diarchy.clusters.docker import containers, packets
from diarchy.clusters.docker.deployment import Deployment
from diarchy.clusters.docker.mesh import Mesh
from diarchy.clusters.docker.packets import Packets
from diarchy.clusters.docker.probe import ask
from diarchy.clusters.ledger import HostState, hosts_of, links_of
from diarchy.history.faults import Cut, Fault, Kill, Link, Pause, Realised, asked

ANSWERS_WITHIN_S = 15.0
ASK_S = 0.5


class Faults:
    """Applies and lifts faults on links, nodes and adopted hosts. What is done follows from the ledger, so that faults of
    several owners on one link or host may come and go in any order."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._hosts: dict[str, Host] = {}
        self._states: dict[str, HostState] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._packets_asked = False

    def adopt(self, name: str, host: Host) -> None:
        """From now on pauses and kills of `name` act on this host."""
        self._hosts[name] = host

    async def apply(self, fault: Fault) -> Realised:
        """Do it, then verify it. Raises ClusterError where it cannot be done at all."""
        self._check(fault)
        self._packets_asked |= isinstance(fault, Cut) and fault.how == "packets"
        self._deployment.ledger.apply(fault)
        return await self._do(fault, lifting=False)

    async def lift(self, fault: Fault) -> Realised:
        """Undo it, as far as no other fault asks for the same, then verify that."""
        self._check(fault)
        try:
            self._deployment.ledger.lift(fault)
        except ValueError:
            return msgspec.structs.replace(asked(fault), evidence="it was not in force")
        return await self._do(fault, lifting=True)

    def _check(self, fault: Fault) -> None:
        for name in hosts_of(fault):
            if name not in self._deployment.nodes and name not in self._hosts:
                known = ", ".join([*self._deployment.nodes, *self._hosts])
                raise ClusterError(f"nothing called {name} can be paused or killed here; there are: {known}")
        for source, target in links_of(fault):
            if not self._deployment.mesh.carries((source, target)):
                raise ClusterError(f"there is no link from {source} to {target}: nodes are linked with one another and with each "
                                   "candidate, candidates also with the resource")
        match fault:
            case Cut(links, "packets"):
                if (error := packets.unsupported(links, self._deployment.nodes)) is not None:
                    raise error
            case Cut(_, how) if how != "drop":
                raise ClusterError(f"a cut can be done by `drop` or by `packets`, not by {how!r}")

    async def _do(self, fault: Fault, lifting: bool) -> Realised:
        match fault:
            case Pause(name) | Kill(name):
                async with self._locks[name]:
                    return await self._bring(name, fault, lifting)
            case _:
                return await self._settle(fault)

    async def _settle(self, fault: Fault) -> Realised:
        links = links_of(fault)
        match fault:
            case Cut(how="packets"):
                engine: Mesh | Packets = self._deployment.packets
            case _:
                engine = self._deployment.mesh
        if problems := await engine.settle(links):
            await self._toxiproxy_lives()
        seen = await engine.verify(links)
        evidence = "; ".join([*problems, seen.evidence])
        return msgspec.structs.replace(asked(fault), bit=not problems and seen.as_wanted, evidence=evidence)

    async def _toxiproxy_lives(self) -> None:
        """ClusterError where Toxiproxy has ended, and all links with it."""
        deployment = self._deployment
        state = await deployment.threads.call(containers.inspect, deployment.client, deployment.containers["toxiproxy"])
        if not state.running:
            raise ClusterError(f"toxiproxy has ended ({state.status}, status {state.exit_code}), and with it every link of the run")

    async def _bring(self, name: str, fault: Pause | Kill, lifting: bool) -> Realised:
        """Bring the host to the state that the ledger says, holding its lock."""
        have, want = self._states.get(name, "up"), self._deployment.ledger.host(name)
        if not (steps := _steps(have, want)):
            return self._nothing(name, fault, have, lifting)
        act = self._host if name in self._hosts else self._node
        told: list[str] = []
        for step in steps:
            # Noted before it is done: if this is cancelled meanwhile, what is under way in a thread is still done.
            self._states[name], before = _REACHED[step], self._states.get(name, "up")
            realised = await act(name, step)
            told.append(realised.evidence)
            if not realised.bit:
                self._states[name] = "up" if step == "start" else before
                break
        return msgspec.structs.replace(realised, evidence="; ".join(told))

    def _nothing(self, name: str, fault: Pause | Kill, state: HostState, lifting: bool) -> Realised:
        """Other faults have the host in this state, and it stays there."""
        host = self._hosts.get(name)
        realised = Realised(host=host.claimant if host else name, pids=host.pids if host else ())
        if lifting:
            evidence = "nothing to undo" if state == "up" else f"still {state} by another fault"
            return msgspec.structs.replace(realised, evidence=evidence)
        in_vain = state == "dead" and isinstance(fault, Pause)
        return msgspec.structs.replace(realised, bit=not in_vain, evidence=f"already {state} by another fault")

    async def _host(self, name: str, step: "Step") -> Realised:
        host = self._hosts[name]
        match step:
            case "pause":
                return await host.pause()
            case "resume":
                return await host.resume()
            case "kill":
                return await host.kill()
            case "start":
                return await host.start()

    async def _node(self, name: str, step: "Step") -> Realised:
        deployment = self._deployment
        container = deployment.containers[name]
        match step:
            case "pause":
                bit, pid, evidence = await deployment.threads.call(containers.pause, deployment.client, container)
            case "resume":
                bit, pid, evidence = await deployment.threads.call(containers.resume, deployment.client, container)
            case "kill":
                problems = await deployment.mesh.close(name)
                bit, pid, evidence = await deployment.threads.call(containers.kill, deployment.client, container)
                evidence = "; ".join([evidence, *problems])
            case "start":
                bit, pid, evidence = await self._start(name)
        return Realised(host=name, pids=(pid,) if pid else (), bit=bit, evidence=evidence)

    async def _start(self, name: str) -> tuple[bool, int, str]:
        deployment = self._deployment
        deployment.boots[name] += 1
        state = await deployment.threads.call(containers.start, deployment.client, deployment.containers[name])
        # Again after a failure: until the node is back, a proxy may be stuck in dialling it.
        problems = await deployment.mesh.open(name) and await deployment.mesh.open(name)
        if self._packets_asked:
            deployment.packets.forget(name)
            links: list[Link] = [link for peer in deployment.nodes if peer != name for link in ((name, peer), (peer, name))]
            problems += await deployment.packets.settle(links)
        answers = await self._answers(name)
        evidence = "; ".join([f"boot {deployment.boots[name]}", answers or "answers", *problems])
        return not answers and not problems, state.pid, evidence

    async def _answers(self, name: str) -> str:
        """Wait until the node answers; else what it is doing, with the end of its log."""
        deployment, port = self._deployment, self._deployment.kind.peers[0]
        address = f"{deployment.address(name)}:{port.number}"
        loop = asyncio.get_running_loop()
        deadline = loop.time() + ANSWERS_WITHIN_S
        while port.question and (await ask(address, port.question, ASK_S)).outcome != "answered":
            if loop.time() > deadline or name in await deployment.ended():
                return "it does not answer: " + await deployment.failing([name])
            await asyncio.sleep(0.02)
        return ""


Step = Literal["pause", "resume", "kill", "start"]
_REACHED: dict[Step, HostState] = {"pause": "paused", "resume": "up", "kill": "dead", "start": "up"}


def _steps(have: HostState, want: HostState) -> tuple[Step, ...]:
    match have, want:
        case "up", "paused":
            return ("pause",)
        case "paused", "up":
            return ("resume",)
        case "dead", "up":
            return ("start",)
        case "dead", "paused":
            return ("start", "pause")
        case ("up" | "paused"), "dead":
            return ("kill",)
        case _:
            return ()


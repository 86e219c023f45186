"""Partitions that drop packets: iptables in a container that shares a node's network namespace.

Node i reaches node j at an address of that pair alone, so rules upon that address act on one pair of nodes. Packets between
Toxiproxy and a node are lost, as on a broken network: no connection is closed, new ones get no answer to their SYN.
"""
import asyncio
import shlex
import threading
from collections.abc import Callable, Iterable

import msgspec

from diarchy.clusters.cluster import ClusterError
from diarchy.clusters.docker.engine import Threads
from diarchy.clusters.docker.mesh import Seen
from diarchy.clusters.ledger import Ledger
from diarchy.history.faults import Link

IPTABLES = "/usr/sbin/iptables -w"
CONNECT = "/usr/bin/busybox nc -w 1 {address} {port} -e /usr/bin/busybox true"
SHELL = ("/usr/bin/busybox", "sh", "-c")


class Rule(msgspec.Struct, frozen=True, order=True):
    """Drop what `node` sends to (OUTPUT) or gets from (INPUT) the address at which it reaches `peer`."""

    node: str
    peer: str
    chain: str


def rules(link: Link) -> tuple[Rule, Rule]:
    """What stops data on a directed link: on the connection that its sender opened, and on the one that its receiver opened."""
    sender, receiver = link
    return Rule(sender, receiver, "OUTPUT"), Rule(receiver, sender, "INPUT")


class Packets:
    """The rules of one run, brought to what the ledger says. Helper containers are made when first needed.

    `alias(node, peer)` is the address at which a node reaches a peer, `helper(node)` makes and starts a container in the
    node's network namespace and returns its id (None while the node is dead), `execute` runs a command in it.
    """

    def __init__(self, ledger: Ledger, threads: Threads, nodes: tuple[str, ...], port: int, alias: Callable[[str, str], str],
                 helper: Callable[[str], str | None], execute: Callable[[str, tuple[str, ...]], tuple[int, str]]) -> None:
        self._ledger, self._threads, self._nodes, self._port = ledger, threads, nodes, port
        self._alias, self._helper, self._execute = alias, helper, execute
        self._containers: dict[str, str] = {}
        self._locks = {node: threading.Lock() for node in nodes}

    async def settle(self, links: Iterable[Link]) -> list[str]:
        """Bring the nodes at both ends of these links to what the ledger says; what went wrong."""
        nodes = sorted({rule.node for link in links for rule in rules(link)})
        said = await asyncio.gather(*(self._threads.call(self._bring, node) for node in nodes))
        return [text for text in said if text]

    def forget(self, node: str) -> None:
        """The node was started anew: its namespace, and the rules in it, are gone. Follow with `settle`."""
        self._containers.pop(node, None)

    async def verify(self, links: Iterable[Link]) -> Seen:
        """Read the rules back, and try a connection from both ends of each link."""
        ends = sorted({(rule.node, rule.peer) for link in links for rule in rules(link)})
        seen = await asyncio.gather(*(self._threads.call(self._look, node, peer) for node, peer in ends))
        return Seen(all(one.as_wanted for one in seen), "; ".join(one.evidence for one in seen))

    def _wanted(self, node: str) -> list[Rule]:
        pairs = [(a, b) for peer in self._nodes if peer != node for a, b in ((node, peer), (peer, node))]
        found = (rule for link in pairs if self._ledger.link(link).packets for rule in rules(link))
        return sorted({rule for rule in found if rule.node == node})

    def _bring(self, node: str) -> str:
        with self._locks[node]:
            want = self._wanted(node)
            container = self._containers.get(node)
            if container is None and (not want or (container := self._helper(node)) is None):
                return ""
            self._containers[node] = container
            # Flushed first: a rule added twice would survive being deleted once.
            commands = [f"{IPTABLES} -F", *(f"{IPTABLES} -A {self._specification(rule)}" for rule in want)]
            status, output = self._execute(container, (*SHELL, " && ".join(commands)))
            return "" if status == 0 else f"iptables on {node}: status {status} {output.strip()[:200]}"

    def _specification(self, rule: Rule) -> str:
        side = "-s" if rule.chain == "INPUT" else "-d"
        return f"{rule.chain} {side} {shlex.quote(self._alias(rule.node, rule.peer))}/32 -j DROP"

    def _look(self, node: str, peer: str) -> Seen:
        if self._ledger.host(node) == "dead":
            return Seen(True, f"{node} is dead: there is nothing to drop")
        container = self._containers.get(node)
        want = sorted(self._specification(rule) for rule in self._wanted(node) if rule.peer == peer)
        if container is None:
            return Seen(not want, f"{node} to {peer}: no rules")
        try:
            _, listed = self._execute(container, (*SHELL, f"{IPTABLES} -S"))
            command = CONNECT.format(address=self._alias(node, peer), port=self._port)
            connected = self._execute(container, (*SHELL, command))[0] == 0
        except ClusterError as error:
            return Seen(False, f"{node} to {peer}: {error}")
        here = sorted(line.removeprefix("-A ") for line in listed.splitlines() if f" {self._alias(node, peer)}/32 " in line)
        if self._ledger.host(peer) == "dead":
            return Seen(here == want, f"{node} to {peer}: {len(here)} rules read back; {peer} is dead, so no connection is tried")
        text = f"{node} to {peer}: {len(here)} rules read back, {'connected' if connected else 'no connection'}"
        return Seen(here == want and connected != bool(want), text)


def unsupported(links: Iterable[Link], nodes: tuple[str, ...]) -> ClusterError | None:
    """Why packets cannot be dropped on these links; None where they can."""
    for source, target in links:
        if source not in nodes or target not in nodes:
            return ClusterError(f"packets cannot be dropped between {source} and {target}: candidates and the resource share one "
                                "address of the proxy, so iptables cannot tell their links apart; use `how: drop` there")
    return None

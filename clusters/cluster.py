"""What the harness, the nemeses and the recipes ask of a system under test."""
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from diarchy.history.faults import Fault, Realised

Progress = Callable[[str], None]
"""Told in a few words what is being done now."""


class ClusterError(Exception):
    """The cluster cannot do what was asked; the text says what, where and what to do about it."""


class NoEngine(ClusterError):
    """No Docker engine, or an image is missing: exit status 69."""


class Host(Protocol):
    """A candidate (or the resource) as Pause and Kill act upon it: an OS process group, or a host of the simulator.

    Each act returns once it is true, verified; its text says what was seen.
    """

    @property
    def claimant(self) -> str: ...
    @property
    def pids(self) -> tuple[int, ...]: ...
    async def pause(self) -> Realised: ...
    async def resume(self) -> Realised: ...
    async def kill(self) -> Realised: ...
    async def start(self) -> Realised: ...


class Observation(msgspec.Struct, frozen=True):
    """What a node says of itself: whether it leads, in which term, and which boot of it spoke (`n1#1`)."""

    leads: bool
    term: int | None
    claimant: str
    role: str = ""


class Endpoints(msgspec.Struct, frozen=True):
    """Where one candidate finds each node (`host:port` by node name) and the resource, each through a link of its own."""

    nodes: dict[str, str]
    resource: str


class Cluster(Protocol):
    """A system under test. `start` and `stop` may be called once each; `stop` also after a failed `start`, and is idempotent."""

    nodes: tuple[str, ...]
    quorum: int

    @property
    def observed(self) -> tuple[str, ...]:
        """The nodes that say of themselves whether they lead."""
        ...
    @property
    def resource_host(self) -> str:
        """The address that the resource must listen on; known after `prepare`."""
        ...
    async def prepare(self, progress: Progress) -> None:
        """Check engine and images, make the network: quick, fails with NoEngine before anything else is started."""
        ...
    async def start(self, progress: Progress) -> None:
        """Start the nodes; returns when they have elected and answer. Raises ClusterError with the last lines of a node's log."""
        ...
    async def link(self, candidates: Sequence[str], resource: str) -> None:
        """Make the links of the candidates to each node, and to the resource at `host:port`."""
        ...
    async def stop(self) -> None: ...
    def stop_now(self) -> None:
        """The same at once, without asyncio: for the second Ctrl-C."""
        ...
    async def apply(self, fault: Fault) -> Realised:
        """Do it, verify it. A fault that did not bite is no error: `bit` is False and `evidence` says why."""
        ...
    async def lift(self, fault: Fault) -> Realised: ...
    async def observe(self, node: str) -> Observation:
        """Ask one node, not through the mesh. Raises on a time-out or an error."""
        ...
    def endpoints(self, candidate: str) -> Endpoints: ...
    def adopt(self, name: str, host: Host) -> None:
        """From now on Pause(name) and Kill(name) act on this host."""
        ...
    async def logs(self, folder: Path) -> None:
        """Write each server's log to `folder/<node>.log`."""
        ...
    async def versions(self) -> dict[str, str]:
        """Version of each server that takes part, by name."""
        ...

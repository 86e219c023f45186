"""Starts and owns the child processes of a run: candidates, the resource, and the guard that ends them with the harness."""
import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from diarchy.clusters.cluster import Endpoints, Host
from diarchy.history.op import Recorder
from diarchy.workloads.child import CandidateError, Child, Guard, module
from diarchy.workloads.hosts import Candidate, Place, Resource, ResourceError
from diarchy.workloads.lock import Lock
from diarchy.workloads.peer_options import Peers
from diarchy.workloads.protocol import Init, Serve
from diarchy.workloads.writer import HttpWriter, Probe

__all__ = ["CandidateError", "Crew", "ResourceError"]

TOLERANCE = 1_000_000
"""The least that the clocks of two processes are taken to differ, ns."""
END_S = 5.0

T = TypeVar("T")


class Crew:
    """The children of one run. Used inside a running event loop; `close` may be called at any time, also twice.

    `epoch` is CLOCK_MONOTONIC in ns at the recorder's zero. `failed` is told of what makes going on useless: ResourceError. `tolerance` (ns) and `problems` are known after `introduce`.
    """

    def __init__(self, recorder: Recorder, logs: Path, epoch: int, failed: Callable[[Exception], object] = lambda _: None) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._guard = Guard()
        self._place = Place(recorder, logs, self._guard, failed)
        self._epoch = epoch
        self._candidates: list[Candidate] = []
        self._resource: Resource | None = None
        self._options, self._store = Lock(), ""
        self.hosts: dict[str, Host] = {}
        self.tolerance = TOLERANCE
        self.problems: list[str] = []

    async def resource(self, host: str, database: Path, fence: bool) -> str:
        """Start the resource; where it listens, `host:port`. Raises CandidateError with the end of its log, ResourceError
        where it cannot keep its database."""
        serve = Serve(host, 0, str(database.absolute()), fence, self._epoch)
        self._resource = self.hosts["resource"] = Resource(self._place, module("diarchy.workloads.resource"), serve)
        await self._resource.boot()
        return self._resource.address

    async def spawn(self, names: Sequence[str], options: Lock | Peers, store: str) -> None:
        """Start the candidates' processes; nothing is said to them yet. Raises CandidateError."""
        assert isinstance(options, Lock), "only simulated nodes elect a leader among themselves"
        self._options, self._store = options, store
        command = options.command or module("diarchy.workloads.candidate")
        self._candidates = [Candidate(self._place, name, command) for name in names]
        self.hosts.update({candidate.name: candidate for candidate in self._candidates})
        await _all([candidate.spawn() for candidate in self._candidates])

    async def introduce(self, endpoints: Callable[[str], Endpoints], key: str) -> None:
        """Tell each candidate who it is, wait until it is ready, and compare its clock. Raises CandidateError."""
        def introduction(name: str) -> Callable[[str], Init]:
            at = endpoints(name)
            return lambda claimant: Init(name, claimant, self._epoch, at.nodes, at.resource, self._store, key, self._options)

        results = await _all([candidate.introduce(introduction(candidate.name)) for candidate in self._candidates])
        self.tolerance = max([TOLERANCE, *(trip for trip, _ in results)])
        self.problems += [problem for _, problems in results for problem in problems]

    def writer(self) -> Probe:
        """The harness's own way to the resource."""
        assert self._resource is not None
        return HttpWriter(self._resource.address)

    def go(self) -> None:
        """All begin to campaign; from now on the history hears them."""
        for candidate in self._candidates:
            candidate.voice.begin()

    async def stop(self, within_s: float) -> None:
        """Ask the candidates to step down and exit, kill those that have not after `within_s`, and hear their last lines.

        The resource goes on until `close`.
        """
        for candidate in self._candidates:
            candidate.stop()
        await self._end([candidate.child for candidate in self._candidates], within_s,
                        f"it had not ended {within_s:g} s after it was asked to stop, and was killed")

    def kill(self) -> None:
        """SIGKILL to every child, at once."""
        for child in self._children():
            child.kill_now()

    async def close(self) -> None:
        """Nothing is left after this: children killed and reaped, the guard ended."""
        self._place.closing = True
        self.kill()
        try:
            await self._end(self._children(), END_S)
        finally:
            self._guard.close()

    def _children(self) -> list[Child]:
        """Those that were started."""
        children = [candidate.child for candidate in self._candidates]
        if self._resource is not None:
            children.append(self._resource.child)
        return [child for child in children if child.group]

    async def _end(self, children: list[Child], within_s: float, why: str = "") -> None:
        """Wait until they have ended, kill the others, and wait for those."""
        ending = [asyncio.ensure_future(child.ended.wait()) for child in children if child.group]
        if not ending:
            return
        _, late = await asyncio.wait(ending, timeout=within_s)
        if late:
            for child in children:
                child.kill_now(why)
            await asyncio.wait(late, timeout=END_S)
        for future in ending:
            future.cancel()


async def _all(works: list[Coroutine[Any, Any, T]]) -> list[T]:
    """Their results, side by side; the first error once all have ended, so that none is left half-started."""
    results = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return cast(list[T], results)

"""The mesh: one Toxiproxy proxy per pair of ends, brought to what the ledger says, and probed."""
import asyncio
import threading
from collections.abc import Collection, Iterable, Sequence

import msgspec

from diarchy.clusters.docker.engine import Threads
from diarchy.clusters.docker.probe import ask
from diarchy.clusters.docker.toxics import Step, after, steps, wanted
from diarchy.clusters.docker.toxiproxy import Listener, Toxic, Toxiproxy, ToxiproxyError
from diarchy.clusters.ledger import Ledger, LinkState
from diarchy.history.faults import Link

SILENCE_S = 0.3
ANSWER_S = 1.0
SAMPLES = 3
ATTEMPTS = 3
SLACK_NS = 1_000_000
"""Toxiproxy delays in whole ms."""


class Route(msgspec.Struct, frozen=True):
    """One proxy, for connections that `source` opens to `target`. Its upstream carries data source→target, its downstream back.

    `probe` is where this host reaches the proxy, `question` what the target answers at once (empty: nothing is known).
    """

    source: str
    target: str
    listen: str
    upstream: str
    probe: str
    question: bytes = b""
    port: str = ""

    @property
    def name(self) -> str:
        return "-".join(part for part in (self.source, self.target, self.port) if part)

    def links(self) -> tuple[Link, Link]:
        """The links that its upstream and its downstream carry."""
        return (self.source, self.target), (self.target, self.source)


class Seen(msgspec.Struct, frozen=True):
    """Whether what was seen is what the ledger wants, and what it was."""

    as_wanted: bool
    evidence: str


class _Look(msgspec.Struct, frozen=True):
    """What one route showed: to a probe (`round_trips`, ns, of its answers) and when its toxics were read back."""

    as_wanted: bool
    probed: str
    read: str = ""
    round_trips: tuple[int, ...] = ()


class Mesh:
    """The proxies of one run. The ledger says what they should do; whoever alters it calls `settle` with the links altered."""

    def __init__(self, toxiproxy: Toxiproxy, ledger: Ledger, threads: Threads) -> None:
        self.toxiproxy, self._ledger, self._threads = toxiproxy, ledger, threads
        self._routes: dict[str, Route] = {}
        self._have: dict[str, frozenset[Toxic] | None] = {}
        self._open: dict[str, bool | None] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._closed: frozenset[str] = frozenset()

    async def add(self, routes: Sequence[Route], others: Sequence[Listener] = ()) -> None:
        """Make the proxies, in one request. `others` are proxies that no fault acts upon. Raises ToxiproxyError."""
        made = [self._listener(route, route.target not in self._closed) for route in routes]
        await self._threads.call(self.toxiproxy.populate, [*made, *others])
        for route, listener in zip(routes, made, strict=True):
            self._routes[route.name] = route
            self._have[route.name] = frozenset()
            self._open[route.name] = listener.enabled
            self._locks[route.name] = threading.Lock()

    def carries(self, link: Link) -> bool:
        """Whether there is such a link."""
        return any(link in route.links() for route in self._routes.values())

    async def settle(self, links: Iterable[Link]) -> list[str]:
        """Bring the proxies of these links to what the ledger says; what went wrong."""
        return await self._reconcile(self._carrying(links))

    async def close(self, host: str) -> list[str]:
        """Refuse connections to the host, which is about to die: Toxiproxy would dial it without end. What went wrong."""
        self._closed |= {host}
        return await self._reconcile([route for route in self._routes.values() if route.target == host])

    async def open(self, host: str) -> list[str]:
        """Take connections to the host again. What went wrong."""
        self._closed -= {host}
        return await self._reconcile([route for route in self._routes.values() if route.target == host])

    async def verify(self, links: Iterable[Link]) -> Seen:
        """Read the toxics back, and send a question through every proxy of these links."""
        routes = self._carrying(links)
        seen = await asyncio.gather(*(self._look(route) for route in routes))
        alike: dict[tuple[str, str], list[tuple[Route, _Look]]] = {}
        for route, one in zip(routes, seen, strict=True):
            alike.setdefault((one.probed, one.read), []).append((route, one))
        return Seen(all(one.as_wanted for one in seen), "; ".join(_told(looks) for looks in alike.values()))

    def _carrying(self, links: Iterable[Link]) -> list[Route]:
        wanted = set(links)
        return [route for route in self._routes.values() if wanted & set(route.links())]

    async def _reconcile(self, routes: Collection[Route]) -> list[str]:
        said = await asyncio.gather(*(self._threads.call(self._bring, route) for route in routes))
        return [text for text in said if text]

    def _bring(self, route: Route) -> str:
        """In a thread. Reads the ledger only once it has the proxy to itself, so that the last to come does what holds now."""
        with self._locks[route.name]:
            try:
                have = self._have[route.name]
                if have is None:
                    _, have = self.toxiproxy.read(route.name)
                up, down = (self._ledger.link(link) for link in route.links())
                plan = steps(have, wanted("upstream", up) | wanted("downstream", down))
                self._have[route.name] = None
                for step in plan:
                    self._take(route, step)
                self._have[route.name] = after(have, plan)
                if self._open[route.name] != (listen := route.target not in self._closed):
                    # Unknown until it is answered: a server that is dialling a dead node does it long after we have given up.
                    self._open[route.name] = None
                    (self.toxiproxy.enable if listen else self.toxiproxy.disable)(route.name)
                    self._open[route.name] = listen
            except ToxiproxyError as error:
                return str(error)
        return ""

    def _take(self, route: Route, step: Step) -> None:
        match step:
            case Step("add", Toxic() as toxic):
                self.toxiproxy.add(route.name, toxic)
            case Step("remove", Toxic() as toxic):
                self.toxiproxy.remove(route.name, toxic)
            case _:
                # Nobody may connect before its toxics are there again.
                self._open[route.name] = False
                self.toxiproxy.recreate(self._listener(route, False))

    async def _look(self, route: Route) -> _Look:
        for _ in range(ATTEMPTS):
            before = self._wanted(route)
            as_wanted, read = await self._read_back(route)
            probed = await self._probe(route, *before)
            if self._wanted(route) == before:
                break
        return msgspec.structs.replace(probed, as_wanted=as_wanted and probed.as_wanted, read=read)

    def _wanted(self, route: Route) -> tuple[LinkState, LinkState]:
        up, down = (self._ledger.link(link) for link in route.links())
        return up, down

    async def _read_back(self, route: Route) -> tuple[bool, str]:
        try:
            enabled, found = await self._threads.call(self.toxiproxy.read, route.name)
        except ToxiproxyError as error:
            return False, f"not read back: {error}"
        names = ", ".join(toxic.name for toxic in sorted(found)) or "no toxic"
        if enabled != (route.target not in self._closed):
            return False, f"the proxy is {'enabled' if enabled else 'disabled'}, with {names}"
        as_wanted = found == self._have[route.name]
        return as_wanted, f"{names} read back" if as_wanted else f"found {names}"

    async def _probe(self, route: Route, up: LinkState, down: LinkState) -> _Look:
        if not route.question:
            return _Look(True, "nothing to ask there")
        if route.target in self._closed:
            return _Look(True, f"{route.target} is dead, which a probe cannot tell from this")
        delay = up.latency + up.jitter + down.latency + down.jitter
        silence = up.silent or (down.silent and not up.reset)
        reset = not silence and (up.reset or down.reset)
        within_s = (SILENCE_S if silence else ANSWER_S) + delay / 1e9
        samples = SAMPLES if delay and not (silence or reset) else 1
        straight, *answers = await asyncio.gather(
            ask(route.upstream, route.question, ANSWER_S), *(ask(route.probe, route.question, within_s) for _ in range(samples)))
        outcomes = {answer.outcome for answer in answers}
        probed = "silent" if "silent" in outcomes else "closed" if "closed" in outcomes else "answered"
        took = tuple(answer.round_trip for answer in answers) if probed == "answered" else ()
        if straight.outcome != "answered":
            return _Look(True, f"{probed}, but {route.target} does not answer without the link either", "", took)
        if silence:
            return _Look(probed == "silent", f"{probed} for {within_s * 1000:.0f} ms" if probed == "silent" else probed, "", took)
        if reset:
            return _Look(probed == "closed", probed, "", took)
        least = delay - 2 * (up.jitter + down.jitter)
        in_time = probed == "answered" and sorted(took)[len(took) // 2] >= least - SLACK_NS
        return _Look(in_time, f"{probed} (at least {least / 1e6:.0f} ms asked)" if least > 0 else probed, "", took)

    @staticmethod
    def _listener(route: Route, enabled: bool) -> Listener:
        return Listener(route.name, route.listen, route.upstream, enabled)


def _told(looks: Sequence[tuple[Route, _Look]]) -> str:
    """Routes that showed the same, in one line."""
    first = looks[0][1]
    took = sorted(round(ns / 1e6) for _, look in looks for ns in look.round_trips)
    span = f" in {took[0]} ms" if took and took[0] == took[-1] else f" in {took[0]} to {took[-1]} ms" if took else ""
    probed = first.probed.replace("answered", f"answered{span}", 1)
    return f"{', '.join(route.name for route, _ in looks)}: {probed}; {first.read}"

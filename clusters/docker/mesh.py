"""The mesh: one Toxiproxy proxy per pair of ends, brought to what the ledger says, and probed."""
import asyncio
import threading
from collections.abc import Collection, Iterable, Sequence

import msgspec

from diarchy.clusters.docker.engine import Threads
from diarchy.clusters.docker.probe import Answer, ask
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


class Mesh:
    """The proxies of one run. The ledger says what they should do; whoever alters it calls `settle` with the links altered."""

    def __init__(self, toxiproxy: Toxiproxy, ledger: Ledger, threads: Threads) -> None:
        self.toxiproxy, self._ledger, self._threads = toxiproxy, ledger, threads
        self._routes: dict[str, Route] = {}
        self._have: dict[str, frozenset[Toxic] | None] = {}
        self._open: dict[str, bool] = {}
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
        told: dict[str, list[str]] = {}
        for route, one in zip(routes, seen, strict=True):
            told.setdefault(one.evidence, []).append(route.name)
        evidence = "; ".join(f"{', '.join(names)}: {text}" for text, names in told.items())
        return Seen(all(one.as_wanted for one in seen), evidence)

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
                    have = self.toxiproxy.toxics(route.name)
                up, down = (self._ledger.link(link) for link in route.links())
                plan = steps(have, wanted("upstream", up) | wanted("downstream", down))
                self._have[route.name] = None
                for step in plan:
                    self._take(route, step)
                self._have[route.name] = after(have, plan)
                if self._open[route.name] != (listen := route.target not in self._closed):
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

    async def _look(self, route: Route) -> Seen:
        for _ in range(ATTEMPTS):
            before = self._wanted(route)
            as_wanted, read = await self._read_back(route)
            probed = await self._probe(route, *before)
            if self._wanted(route) == before:
                break
        return Seen(as_wanted and probed.as_wanted, f"{probed.evidence}; {read}")

    def _wanted(self, route: Route) -> tuple[LinkState, LinkState]:
        up, down = (self._ledger.link(link) for link in route.links())
        return up, down

    async def _read_back(self, route: Route) -> tuple[bool, str]:
        try:
            found = await self._threads.call(self.toxiproxy.toxics, route.name)
        except ToxiproxyError as error:
            return False, f"not read back: {error}"
        expected = self._have[route.name]
        names = ", ".join(toxic.name for toxic in sorted(found)) or "no toxic"
        return found == expected, f"{names} read back" if found == expected else f"found {names}"

    async def _probe(self, route: Route, up: LinkState, down: LinkState) -> Seen:
        if not route.question:
            return Seen(True, "nothing to ask there")
        if route.target in self._closed:
            return Seen(True, f"{route.target} is dead, which a probe cannot tell from this")
        delay = up.latency + up.jitter + down.latency + down.jitter
        silence = up.silent or (down.silent and not up.reset)
        reset = not silence and (up.reset or down.reset)
        within_s = (SILENCE_S if silence else ANSWER_S) + delay / 1e9
        samples = SAMPLES if delay and not (silence or reset) else 1
        straight, *answers = await asyncio.gather(
            ask(route.upstream, route.question, ANSWER_S), *(ask(route.probe, route.question, within_s) for _ in range(samples)))
        if straight.outcome != "answered":
            return Seen(True, f"{answers[0].outcome}, but {route.target} does not answer without the link either")
        if silence:
            silent = answers[0].outcome == "silent"
            return Seen(silent, f"silent for {within_s * 1000:.0f} ms" if silent else str(answers[0]))
        if reset:
            return Seen(answers[0].outcome == "closed", str(answers[0]))
        return _in_time(answers, delay - 2 * (up.jitter + down.jitter))

    @staticmethod
    def _listener(route: Route, enabled: bool) -> Listener:
        return Listener(route.name, route.listen, route.upstream, enabled)


def _in_time(answers: Sequence[Answer], least: int) -> Seen:
    """Answered, at the median no sooner than `least` ns."""
    lost = [answer for answer in answers if answer.outcome != "answered"]
    if lost:
        return Seen(False, str(lost[0]))
    median = sorted(answer.round_trip for answer in answers)[len(answers) // 2]
    asked = f" (at least {least / 1e6:.0f} ms asked)" if least > 0 else ""
    return Seen(median >= least - SLACK_NS, f"answered in {median / 1e6:.0f} ms{asked}")

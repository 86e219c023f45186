"""The active faults of all nemeses, folded into one effective state per link and host. Pure: no I/O, no clock."""
from typing import Literal

import msgspec

from diarchy.history.faults import Cut, Fault, Kill, Link, Pause, Reset, Skew, Slow, Stall

HostState = Literal["up", "paused", "dead"]


class LinkState(msgspec.Struct, frozen=True):
    """What one directed link should do now, all faults on it taken together. Times in ns, `bandwidth` in KB/s (0: no limit).

    `cut` loses bytes, `packets` loses packets, `stalled` holds bytes; latencies and jitters add, the least bandwidth counts.
    """

    cut: bool = False
    packets: bool = False
    stalled: bool = False
    reset: bool = False
    latency: int = 0
    jitter: int = 0
    bandwidth: int = 0

    @property
    def silent(self) -> bool:
        """Whether the proxy lets nothing pass."""
        return self.cut or self.stalled


CLEAR = LinkState()


class Change(msgspec.Struct, frozen=True):
    """The links and hosts whose effective state an `apply` or a `lift` has altered, with their new state."""

    links: dict[Link, LinkState]
    hosts: dict[str, HostState]


class Ledger:
    """Faults in force. The same fault may be in force several times: each `lift` takes one of them away.

    `active` is replaced, never altered, so that threads may read while the loop writes.
    """

    def __init__(self) -> None:
        self.active: tuple[Fault, ...] = ()

    def apply(self, fault: Fault) -> Change:
        """Put the fault in force; what must now change."""
        before = self._states(fault)
        self.active = (*self.active, fault)
        return self._difference(before, fault)

    def lift(self, fault: Fault) -> Change:
        """Take the fault out of force; what must now change. ValueError where it was not in force."""
        before = self._states(fault)
        index = self.active.index(fault)
        self.active = self.active[:index] + self.active[index + 1:]
        return self._difference(before, fault)

    def link(self, link: Link) -> LinkState:
        """The effective state of a directed link."""
        state = CLEAR
        for fault in self.active:
            if link in links_of(fault):
                state = _fold(state, fault)
        return state

    def host(self, name: str) -> HostState:
        """The effective state of a host: dead if any fault kills it, else paused if any pauses it."""
        state: HostState = "up"
        for fault in self.active:
            match fault:
                case Kill(host) if host == name:
                    return "dead"
                case Pause(host) if host == name:
                    state = "paused"
        return state

    def skew(self, name: str) -> tuple[int, float]:
        """How far its faults put a host's wall clock ahead (ns), and by what share they make its clocks run too fast."""
        skews = [fault for fault in self.active if isinstance(fault, Skew) and fault.host == name]
        return sum(fault.offset for fault in skews), sum(fault.drift for fault in skews)

    def _states(self, fault: Fault) -> Change:
        return Change({link: self.link(link) for link in links_of(fault)}, {name: self.host(name) for name in hosts_of(fault)})

    def _difference(self, before: Change, fault: Fault) -> Change:
        after = self._states(fault)
        return Change({link: state for link, state in after.links.items() if state != before.links[link]},
                      {name: state for name, state in after.hosts.items() if state != before.hosts[name]})


def links_of(fault: Fault) -> tuple[Link, ...]:
    """The directed links that a fault acts upon."""
    match fault:
        case Pause() | Kill() | Skew():
            return ()
        case Cut(links) | Slow(links) | Stall(links) | Reset(links):
            return links


def hosts_of(fault: Fault) -> tuple[str, ...]:
    """The host that a fault acts upon, if any."""
    match fault:
        case Pause(host) | Kill(host):
            return (host,)
        case _:
            return ()


def _fold(state: LinkState, fault: Fault) -> LinkState:
    replace = msgspec.structs.replace
    match fault:
        case Cut(how="packets"):
            return replace(state, packets=True)
        case Cut():
            return replace(state, cut=True)
        case Stall():
            return replace(state, stalled=True)
        case Reset():
            return replace(state, reset=True)
        case Slow(_, latency, jitter, bandwidth):
            limits = [limit for limit in (state.bandwidth, bandwidth) if limit]
            return replace(state, latency=state.latency + latency, jitter=state.jitter + jitter, bandwidth=min(limits, default=0))
        case _:
            return state

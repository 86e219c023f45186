"""Faults as data: what nemeses ask for, clusters do, the history records, and checkers read back. Times in ns."""
import msgspec

Link = tuple[str, str]
"""A directed link: data from the first to the second. Ends are nodes (`n1`), candidates (`c1`) and `resource`."""


class Cut(msgspec.Struct, frozen=True, tag="cut", tag_field="kind"):
    """Nothing passes. `how`: `drop` (bytes are lost) by the proxy, or `packets` (iptables, the true packet loss)."""

    links: tuple[Link, ...]
    how: str = "drop"


class Slow(msgspec.Struct, frozen=True, tag="slow", tag_field="kind"):
    """Each direction named is delayed by `latency` ± `jitter` ns, and limited to `bandwidth` KB/s if that is not 0."""

    links: tuple[Link, ...]
    latency: int = 0
    jitter: int = 0
    bandwidth: int = 0


class Stall(msgspec.Struct, frozen=True, tag="stall", tag_field="kind"):
    """Bytes are held, and delivered when the fault is lifted."""

    links: tuple[Link, ...]


class Reset(msgspec.Struct, frozen=True, tag="reset", tag_field="kind"):
    """Connections are closed with a reset, new ones too."""

    links: tuple[Link, ...]


class Pause(msgspec.Struct, frozen=True, tag="pause", tag_field="kind"):
    """SIGSTOP of the whole host: a node's container or a candidate's process group. Lifted by SIGCONT."""

    host: str


class Kill(msgspec.Struct, frozen=True, tag="kill", tag_field="kind"):
    """SIGKILL. Lifted by starting the host again (a candidate comes back as a new claimant)."""

    host: str


class Skew(msgspec.Struct, frozen=True, tag="skew", tag_field="kind"):
    """The host's wall clock jumps by `offset` ns, and both its clocks run by the share `drift` too fast. Lifted by undoing both."""

    host: str
    offset: int = 0
    drift: float = 0.0


Fault = Cut | Slow | Stall | Reset | Pause | Kill | Skew

APPLIED = {Cut: "cut", Slow: "slow", Stall: "stall", Reset: "reset", Pause: "pause", Kill: "kill", Skew: "skew"}
LIFTED = {Cut: "heal", Slow: "heal", Stall: "heal", Reset: "heal", Pause: "resume", Kill: "start", Skew: "unskew"}


class Realised(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a nemesis op did: the `value` of its `invoke` (as asked) and of its completion (as realised and verified).

    `host` is a node or, for candidates, the claimant (`c1#1`; after `start` the new one). `bit` is False where the
    verification found that the fault did not take hold (or, for a lift, that it was not undone); `evidence` says what it saw.
    `lifts` is, for heal/resume/start, the index of the `invoke` of the fault that it lifts.
    """

    host: str | None = None
    links: tuple[Link, ...] = ()
    latency: int = 0
    jitter: int = 0
    bandwidth: int = 0
    how: str = ""
    offset: int = 0
    drift: float = 0.0
    pids: tuple[int, ...] = ()
    bit: bool = True
    evidence: str = ""
    lifts: int | None = None


def asked(fault: Fault) -> Realised:
    """The fault as a nemesis op's `value`, before anything was done."""
    match fault:
        case Pause(host) | Kill(host):
            return Realised(host=host)
        case Skew(host, offset, drift):
            return Realised(host=host, offset=offset, drift=drift)
        case Slow(links, latency, jitter, bandwidth):
            return Realised(links=links, latency=latency, jitter=jitter, bandwidth=bandwidth)
        case Cut(links, how):
            return Realised(links=links, how=how)
        case Stall(links) | Reset(links):
            return Realised(links=links)

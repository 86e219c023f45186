"""Which toxics make a link's effective state, and in which order Toxiproxy 2.12 gets from one set to another without harm."""
from collections.abc import Iterable
from typing import Literal

import msgspec

from diarchy.clusters.docker.toxiproxy import Toxic
from diarchy.clusters.ledger import LinkState

CUT, STALL, RESET = ("timeout", (("timeout", 0),)), ("bandwidth", (("rate", 0),)), ("reset_peer", (("timeout", 0),))


class Step(msgspec.Struct, frozen=True):
    """Add or remove a toxic; `recreate` the proxy without any, which drops all that it holds."""

    do: Literal["add", "remove", "recreate"]
    toxic: Toxic | None = None


def wanted(stream: str, state: LinkState) -> frozenset[Toxic]:
    """The toxics for one stream. Of states that exclude each other the first counts: stalled, cut, reset, slow."""
    if state.stalled:
        return frozenset({_toxic(STALL, stream)})
    if state.cut:
        return frozenset({_toxic(CUT, stream)})
    if state.reset:
        return frozenset({_toxic(RESET, stream)})
    toxics = set()
    if state.latency or state.jitter:
        # In whole ms; what is asked for is never rounded to nothing.
        toxics.add(Toxic("latency", stream, (("jitter", _ms(state.jitter)), ("latency", _ms(state.latency)))))
    if state.bandwidth:
        toxics.add(Toxic("bandwidth", stream, (("rate", state.bandwidth),)))
    return frozenset(toxics)


def steps(have: frozenset[Toxic], want: frozenset[Toxic]) -> list[Step]:
    """How to get from one set of a proxy's toxics (both streams) to the other. Four properties of the server decide it:

    - adding a toxic behind a stall, or changing it, lets go of the bytes held: while a stream stalls nothing else is added;
    - removing a toxic in front of a stall blocks, and loses bytes in the middle of a stream: it stays until the stall ends;
    - removing a cut closes the connections, and a toxic in front of it could then block the server: the cut goes last;
    - a stall that turns into a cut must lose what it holds: only making the proxy anew does that.
    """
    if any(_is(toxic, STALL) and _toxic(CUT, toxic.stream) in want for toxic in have - want):
        return [Step("recreate"), *(Step("add", toxic) for toxic in sorted(want))]
    frozen = {toxic.stream for toxic in want if _is(toxic, STALL)}
    ended = [Step("remove", toxic) for toxic in sorted(have - want) if _is(toxic, STALL)]
    added = [Step("add", toxic) for toxic in sorted(want - have)]
    dropped = [toxic for toxic in sorted(have - want)
               if not _is(toxic, STALL) and (toxic.stream not in frozen or _holds_nothing(toxic))]
    return ended + added + [Step("remove", toxic) for toxic in _cuts_last(dropped)]


def after(have: frozenset[Toxic], taken: Iterable[Step]) -> frozenset[Toxic]:
    """The set of toxics once the steps are taken."""
    for step in taken:
        match step:
            case Step("add", Toxic() as toxic):
                have |= {toxic}
            case Step("remove", toxic):
                have -= {toxic}
            case _:
                have = frozenset()
    return have


def _toxic(kind: tuple[str, tuple[tuple[str, int], ...]], stream: str) -> Toxic:
    return Toxic(kind[0], stream, kind[1])


def _is(toxic: Toxic, kind: tuple[str, tuple[tuple[str, int], ...]]) -> bool:
    return (toxic.type, toxic.attributes) == kind


def _holds_nothing(toxic: Toxic) -> bool:
    return _is(toxic, CUT) or _is(toxic, RESET)


def _cuts_last(toxics: Iterable[Toxic]) -> list[Toxic]:
    return sorted(toxics, key=_holds_nothing)


def _ms(ns: int) -> int:
    return max(1, round(ns / 1e6)) if ns else 0

"""The overlap checker against the definitions taken literally: every second of every pair, on random histories of any soundness."""
from collections import Counter
from random import Random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from told import S, line, tell

from diarchy.checkers.landed import holdings
from diarchy.checkers.pairs import Rules, pairs
from diarchy.history.columns import History
from diarchy.history.spans import total, united
from diarchy.history.tenures import tenures

END, DRAWN, GRACE = 120, 60, 3


class Stay(msgspec.Struct):
    """One stay in office, as it was drawn; all times in whole seconds."""

    who: str
    token: int
    invoked: int
    acquired: int
    grants: list[tuple[int, int, int]]
    stepped: int | None = None
    released: int | None = None
    wrote: int | None = None
    next_asked: int | None = None


class Drawn(msgspec.Struct):
    """A random history: the stays, the pauses and the kills of each claimant, and what it said last."""

    stays: list[Stay]
    pauses: dict[str, list[tuple[int, int]]]
    kills: dict[str, int]
    last: dict[str, int]
    lines: list[dict[str, Any]]


def draw(dice: Random) -> Drawn:
    drawn = Drawn([], {}, {}, {}, [])
    tokens = list(range(1, 40))
    if dice.random() < 0.3:
        dice.shuffle(tokens)
    for name in ("c1", "c2", "c3"):
        who, now = f"{name}#1", dice.randrange(10)
        drawn.pauses[who], said = [], [now]
        while now < DRAWN - 10 and dice.random() < 0.8:
            stay = stay_of(dice, who, tokens.pop(0), now)
            if drawn.stays and drawn.stays[-1].who == who:
                drawn.stays[-1].next_asked = stay.invoked
            drawn.stays.append(stay)
            ends = [time for time in (stay.stepped, stay.released, stay.wrote) if time is not None]
            said += [stay.invoked, stay.acquired, *(at for _, at, _ in stay.grants), *(sent for sent, _, _ in stay.grants), *ends]
            now = max([stay.acquired, *ends, *(at for _, at, _ in stay.grants)]) + dice.randrange(1, 6)
        for number in range(dice.randrange(3)):
            start = dice.randrange(DRAWN)
            drawn.pauses[who].append((start, start + dice.randrange(1, 15)))
            drawn.lines += fault_of(f"nemesis/{name}-{number}", "pause", "resume", who, *drawn.pauses[who][-1])
        if dice.random() < 0.2:
            drawn.kills[who] = dice.randrange(5, DRAWN)
            drawn.lines += fault_of(f"nemesis/{name}-kill", "kill", "start", who, drawn.kills[who], None)
        drawn.last[who] = max(said)
    return drawn


def stay_of(dice: Random, who: str, token: int, now: int) -> Stay:
    acquired = now + dice.randrange(1, 4)
    stay = Stay(who, token, now, acquired, [(now, acquired, now + dice.randrange(1, 12))])
    at = acquired
    for _ in range(dice.randrange(4)):
        sent = at + dice.randrange(1, 6)
        at = sent + dice.randrange(3)
        stay.grants.append((sent, at, sent + dice.randrange(1, 12)))
    if dice.random() < 0.7:
        stay.stepped = at + dice.randrange(1, 8)
    if dice.random() < 0.4:
        stay.released = at + dice.randrange(1, 8)
    if dice.random() < 0.3:
        stay.wrote = at + dice.randrange(1, 12)
    return stay


def fault_of(process: str, f: str, lift: str, who: str, start: int, end: int | None) -> list[dict[str, Any]]:
    told = [line(start, process, kind, f, value={"host": who}) for kind in ("invoke", "ok")]
    return told if end is None else told + [line(end, process, kind, lift, value={"host": who}) for kind in ("invoke", "ok")]


def told(drawn: Drawn) -> History:
    """The history of what was drawn. Every stay names itself, so that the order of the lines does not matter."""
    lines = list(drawn.lines)
    for number, stay in enumerate(drawn.stays):
        name = stay.who.partition("#")[0]
        ref = len(lines) + 1
        lines.append(line(stay.invoked, f"{name}/elect.{number}", "invoke", "acquire"))
        for i, (sent, at, until) in enumerate(stay.grants):
            f = "acquire" if i == 0 else "renew"
            if i:
                lines.append(line(sent, f"{name}/renew.{number}.{i}", "invoke", "renew", tenure=ref))
            lines.append(line(at, f"{name}/{'renew' if i else 'elect'}.{number}" + (f".{i}" if i else ""), "ok", f, sent=sent, until=until,
                              **({"tenure": ref} if i else {"token": stay.token})))
        if stay.stepped is not None:
            lines.append(line(stay.stepped, f"{name}/elect", "ok", "step-down", tenure=ref))
        if stay.released is not None:
            lines.append(line(stay.released, f"{name}/release.{number}", "invoke", "release", tenure=ref))
        if stay.wrote is not None:
            lines.append(line(stay.wrote, f"{name}/write.{number}", "invoke", "write", tenure=ref, id=f"w{number}"))
    return tell(lines, end=END, grace=GRACE * S)


class Literal:
    """The definitions, second by second; `t` stands for [t, t + 1]."""

    def __init__(self, drawn: Drawn) -> None:
        self.drawn = drawn

    def belief(self, stay: Stay) -> tuple[int, int]:
        end = stay.stepped if stay.stepped is not None else END if stay.next_asked is None else stay.next_asked
        end = max(end, stay.wrote or 0)
        return stay.acquired, min(end, END, self.drawn.kills.get(stay.who, END))

    def certain(self, stay: Stay, t: int) -> bool:
        cut = min(time for time in (stay.stepped, stay.released, self.belief(stay)[1]) if time is not None)
        return any(at <= t and t + 1 <= min(until, cut) for _, at, until in stay.grants)

    def paused(self, stay: Stay, t: int) -> bool:
        killed = self.drawn.kills.get(stay.who, END + 1)
        return any(start <= t and t + 1 <= min(end, killed) for start, end in self.drawn.pauses[stay.who])

    def overdue(self, stay: Stay, t: int) -> bool:
        """More than the grace awake, this second included, since it was last certain."""
        awake, at = 0, t
        while at >= stay.acquired and not self.certain(stay, at):
            awake += not self.paused(stay, at) and at < self.drawn.last[stay.who]
            at -= 1
        return awake > GRACE and not self.paused(stay, t) and t < self.drawn.last[stay.who]

    def revived(self, earlier: Stay, later: Stay, t: int) -> bool:
        left = min(time for time in (earlier.stepped, earlier.released, END + 1) if time is not None)
        return any(at <= t and t + 1 <= min(until, left, self.belief(earlier)[1])
                   for sent, at, until in earlier.grants[1:] if later.acquired < sent < left)

    def kind(self, a: Stay, b: Stay, t: int) -> str | None:
        earlier, later = sorted((a, b), key=lambda stay: stay.token)
        if self.revived(earlier, later, t):
            return "granted"
        if not all(start <= t and t + 1 <= end for start, end in (self.belief(a), self.belief(b))):
            return None
        late = [stay for stay in (a, b) if not self.certain(stay, t)]
        if not late:
            return "granted"
        if any(self.overdue(stay, t) for stay in late):
            return "overstayed"
        return "frozen" if any(self.paused(stay, t) for stay in late) else "possible"

    def totals(self) -> Counter[tuple[frozenset[int], str]]:
        found: Counter[tuple[frozenset[int], str]] = Counter()
        for i, a in enumerate(self.drawn.stays):
            for b in self.drawn.stays[i + 1:]:
                if a.who != b.who:
                    found.update((frozenset((a.token, b.token)), kind) for t in range(END) if (kind := self.kind(a, b, t)))
        return found


@settings(max_examples=150, deadline=None)
@given(st.integers(min_value=0, max_value=2**32))
def test_every_second_has_the_kind_that_the_definitions_say(seed: int) -> None:
    drawn = draw(Random(seed))
    history = told(drawn)
    stays = tenures(history)
    assert len(stays) == len(drawn.stays)
    expected, found = Literal(drawn).totals(), Counter[tuple[frozenset[int], str]]()
    met = pairs(history, stays, holdings(history, stays), Rules(0, GRACE * S, GRACE * S))
    for pair in met:
        key = frozenset((pair.a.token or 0, pair.b.token or 0))
        for piece in pair.pieces:
            found[key, piece.kind] += (piece.end - piece.start) // S
        if not pair.pieces:
            found[key, "granted"] += total(united(revival.span for revival in pair.revivals)) // S
    named = {tokens for tokens, _ in found}
    only_revived = {tokens for tokens, _ in expected} - named
    assert {key: n for key, n in found.items() if n} == {key: n for key, n in expected.items() if key[0] in named}
    assert {kind for tokens, kind in expected if tokens in only_revived} <= {"granted"}
    for tokens in only_revived:
        earlier = min(tokens)
        assert any(pair.revivals and pair.a.token == earlier for pair in met), "a tenure that was revived is named with one later tenure at least"

"""Who was in office when: claims, certain time and belief, read from a history."""
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np

from diarchy.history.columns import NONE, History, Ints
from diarchy.history.lives import Life, lives
from diarchy.history.spans import Span, clipped, united

__all__ = ["Hold", "Span", "Tenure", "possible_holds", "tenures"]


class Tenure(msgspec.Struct, frozen=True):
    """One claimant's stay in office. Times in ns, ops by index."""

    id: int
    """Index of the acquire's `invoke` (what `tenure` of other ops names)."""
    claimant: str
    candidate: str
    invoked: int
    acquired: int
    ok: int
    """Index of the acquire's `ok`."""
    token: int | None
    term: int | None
    again: bool
    grants: tuple[int, ...]
    """Indices of the `ok` of the acquire and of each renewal."""
    sent: tuple[int | None, ...]
    """When the request of each of the grants left: its `sent`, else the time of its `invoke`; None where neither is known."""
    certain: tuple[Span, ...]
    belief: Span
    stepped_down: int | None
    """Time of the step-down, None where there is none."""
    writes: tuple[int, ...]
    """Indices of the write `invoke`s that name this tenure."""
    lease: bool
    """Whether any of its grants has a deadline."""
    root: int
    """The id of the tenure that it continues by `again`; its own id if it is a new one."""
    paused: tuple[Span, ...]
    """Pauses and recorded stalls of its claimant, within the belief."""
    last_sign: int
    """The claimant's last sign of life in the whole history."""
    step_down: int | None
    """Index of the step-down."""
    release: int | None
    """Index of the release's `invoke`."""
    released: int | None
    """Time of the release's `invoke`."""
    killed: int | None
    """Time of the kill of its claimant."""


class Hold(msgspec.Struct, frozen=True):
    """An acquire of unknown outcome: its claimant may hold the office from `start` on; `end` where it released it after all."""

    op: int
    claimant: str
    start: int
    end: int | None


class _Draft(msgspec.Struct):
    id: int
    ok: int
    who: str
    root: int
    grants: list[int]
    sent: list[int | None]
    step_down: int | None = None
    release: int | None = None


class _Office(NamedTuple):
    """The tenures as drafts, and what other names (a renewing acquire's `invoke`) lead to them."""

    drafts: list[_Draft]
    by_id: dict[int, _Draft]
    next: dict[int, _Draft]
    """By id, the same claimant's next tenure."""


def tenures(history: History) -> list[Tenure]:
    """All tenures of candidates, in the order of their acquire's `ok`. Never raises: broken references are left out."""
    return list(_tenures(history))


def possible_holds(history: History) -> list[Hold]:
    """The acquires that may have succeeded without anybody knowing, in the order of their `invoke`."""
    return list(_possible_holds(history))


@lru_cache(maxsize=1)
def _possible_holds(history: History) -> tuple[Hold, ...]:
    invokes = invoked_by(history, "acquire")
    answered = {of: row for row, of in invokes.items() if history.type[row] != "info"}
    done = {int(history.tenure[row]): int(history.time[row]) for row in history.where("release", type="ok")[::-1]}
    return tuple(Hold(row, history.claimant[row] or "", int(history.time[row]), done.get(row))
                 for row in history.where("acquire", type="invoke") if row not in answered)


@lru_cache(maxsize=2)
def invoked_by(history: History, *f: str) -> Mapping[int, int]:
    """The `invoke` of each completion of these ops: the one that it names, else the one under way in its process."""
    invoke = history.type.is_("invoke")
    open_: dict[tuple[int, int, int], int] = {}
    found: dict[int, int] = {}
    rows = np.flatnonzero(history.f.is_(*f))
    keys = zip(*(names.codes[rows].tolist() for names in (history.process, history.claimant, history.f)), strict=True)
    for row, key, asks, named in zip(rows.tolist(), keys, invoke[rows].tolist(), history.of[rows].tolist(), strict=True):
        if asks:
            open_[key] = row
            continue
        of = open_.pop(key, -1) if named == NONE else named
        if 0 <= of < len(history) and invoke[of] and history.f.codes[of] == key[2]:
            found[row] = of
    return found


@lru_cache(maxsize=1)
def _tenures(history: History) -> tuple[Tenure, ...]:
    office = _office(history)
    alive = lives(history)
    writes = _writes(history, office)
    built = [_tenure(history, draft, alive[draft.who], office.next.get(draft.id), writes.get(draft.id))
             for draft in office.drafts if draft.who in alive]
    return tuple(sorted(built, key=lambda tenure: (tenure.acquired, tenure.ok)))


def _office(history: History) -> _Office:
    """An op belongs to the tenure that it names; one that names none, to its claimant's newest."""
    office = _Office([], {}, {})
    invokes = invoked_by(history, "acquire", "renew")
    newest: dict[str, _Draft] = {}
    rows = history.rows(history.f.is_("acquire", "renew", "step-down", "release"))
    for row, who, f, type_, tenure in zip(rows.tolist(), history.claimant.at(rows), history.f.at(rows), history.type.at(rows),
                                          history.tenure[rows].tolist(), strict=True):
        if who is None:
            continue
        if f == "acquire" and type_ == "ok":
            _grant(history, office, newest, who, row, invokes)
            continue
        draft = newest.get(who) if tenure == NONE else office.by_id.get(tenure)
        if draft is None or draft.who != who:
            continue
        match f, type_:
            case "renew", "ok":
                draft.grants.append(row)
                draft.sent.append(_sent(history, row, invokes))
            case "step-down", "ok" if draft.step_down is None:
                draft.step_down = row
            case "release", "invoke" if draft.release is None:
                draft.release = row
    return office


def _grant(history: History, office: _Office, newest: dict[str, _Draft], who: str, ok: int,
           invokes: Mapping[int, int]) -> None:
    """Open a tenure; or renew the open one, where the acquire answered with the token that it has."""
    id, sent = invokes.get(ok, ok), _sent(history, ok, invokes)
    before, again = newest.get(who), bool(history.again[ok])
    token = history.get("token", ok)
    same = before is not None and history.get("token", before.ok) == token and (again or token is not None)
    if same and before is not None and before.step_down is None and before.release is None:
        before.grants.append(ok)
        before.sent.append(sent)
        office.by_id[id] = before
        return
    root = before.root if same and again and before is not None else id
    draft = newest[who] = office.by_id[id] = _Draft(id, ok, who, root, [ok], [sent])
    office.drafts.append(draft)
    if before is not None:
        office.next[before.id] = draft


def _sent(history: History, ok: int, invokes: Mapping[int, int]) -> int | None:
    sent, of = history.get("sent", ok), invokes.get(ok)
    return sent if sent is not None or of is None else int(history.time[of])


def _writes(history: History, office: _Office) -> dict[int, Ints]:
    """The write `invoke`s of each tenure, by its id, in the order of time."""
    mask = history.f.is_("write") & history.type.is_("invoke") & ~history.process.is_("smoke")
    mask &= (history.tenure >= 0) & (history.tenure < len(history))
    rows = history.rows(mask)
    rows = rows[history.claimant.codes[rows] == history.claimant.codes[history.tenure[rows]]]
    named = np.arange(len(history))
    for id, draft in office.by_id.items():
        named[id] = draft.id
    of = named[history.tenure[rows]]
    order = np.argsort(of, kind="stable")
    ids, starts = np.unique(of[order], return_index=True)
    return dict(zip(ids.tolist(), np.split(rows[order], starts[1:]), strict=True)) if len(rows) else {}


def _tenure(history: History, draft: _Draft, life: Life, next_: _Draft | None, writes: Ints | None) -> Tenure:
    at = history.time
    acquired = int(at[draft.ok])
    stepped = None if draft.step_down is None else int(at[draft.step_down])
    released = None if draft.release is None else int(at[draft.release])
    believed = history.end if next_ is None else int(at[next_.id])
    if stepped is not None:
        believed = stepped
    if writes is not None:
        believed = max(believed, int(at[writes[-1]]))
    gone = history.end if life.end is None else life.end
    belief = Span(acquired, max(acquired, min(believed, gone)))
    sure = min(time for time in (stepped, released, belief.end) if time is not None)
    grants = np.array(draft.grants)
    untils = [(start, until) for start, until in zip(at[grants].tolist(), history.until[grants].tolist(), strict=True) if until != NONE]
    return Tenure(
        id=draft.id, claimant=draft.who, candidate=draft.who.partition("#")[0],
        invoked=int(at[draft.id]) if draft.id != draft.ok else int(at.min()), acquired=acquired, ok=draft.ok,
        token=history.get("token", draft.ok), term=history.get("term", draft.ok), again=bool(history.again[draft.ok]),
        grants=tuple(draft.grants), sent=tuple(draft.sent), certain=united(Span(start, min(until, sure)) for start, until in untils), belief=belief,
        stepped_down=stepped, writes=() if writes is None else tuple(writes.tolist()), lease=bool(untils), root=draft.root,
        paused=clipped(life.paused, *belief), last_sign=life.last, step_down=draft.step_down, release=draft.release,
        released=released, killed=life.killed)

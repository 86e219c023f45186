"""Do fencing tokens grow with every grant, and does the resource refuse the old ones?

After M. Kleppmann, "How to do distributed locking" (2016), and M. Burrows, "The Chubby lock service" (2006), on sequencers.
"""
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import msgspec
import numpy as np

from diarchy.checkers.landed import accepted, records, refused
from diarchy.checkers.proofs import seconds
from diarchy.checkers.smoke import smoke_alarm
from diarchy.checkers.verdict import Check, Finding, Word
from diarchy.history.columns import NONE, History
from diarchy.history.tenures import Tenure, tenures


class Fencing(msgspec.Struct, frozen=True, tag="fencing", tag_field="kind", forbid_unknown_fields=True):
    """Fencing tokens grow with every grant and serve one tenure each; the resource refuses the old ones."""

    kinds: ClassVar[tuple[str, ...]] = ("token-fell", "token-reused", "stale-accepted", "fence-lost", "refused-highest", "no-tokens",
                                        "no-fence-available", "no-fence", "no-smoke", "smoke-unknown")
    levels: ClassVar[tuple[str, ...]] = ()

    def check(self, history: History) -> Check:
        stays = tenures(history)
        with_token = [stay for stay in stays if stay.token is not None]
        stale, rightful = _turned_away(history, with_token)
        stats = _stats(history, with_token) | {"refused_stale": len(stale), "refused_highest": len(rightful)}
        if not history.setup.tokens:
            return Check("fencing", "valid", (Finding("no-fence-available", (
                "No fence available: the system under test gives no fencing tokens, so nothing can refuse a stale write.")),), stats)
        alarm = smoke_alarm(history)
        findings = [*_falling(with_token, history.setup.tolerance), *_reused(with_token), *_stale(history), *_fence_lost(history),
                    *_refused_highest(history, rightful), *alarm.findings]
        if stays and not with_token:
            findings.append(Finding("no-tokens", "No acquire came with a token, so there was nothing to fence by. Send `token` with the "
                                                 "`ok` of `acquire`, or use a cluster that has tokens."))
        word: Word = "inconclusive" if alarm.inconclusive or not with_token else "valid"
        return Check("fencing", "violation" if any(f.fails for f in findings) else word,
                     tuple(sorted(findings, key=lambda f: (not f.fails, f.kind, f.start or 0, f.ops))), stats | {"smoke": alarm.outcome})


def _falling(stays: Sequence[Tenure], tolerance: int) -> Iterator[Finding]:
    """Of two grants, one `ok` before the other's `invoke`, the later has the higher token."""
    granted = iter(sorted(stays, key=lambda stay: (stay.acquired, stay.ok)))
    waiting, highest = next(granted, None), None
    for stay in sorted(stays, key=lambda stay: (stay.invoked, stay.id)):
        while waiting is not None and waiting.acquired + tolerance < stay.invoked:
            if highest is None or (waiting.token or 0) > (highest.token or 0):
                highest = waiting
            waiting = next(granted, None)
        if highest is not None and not stay.again and (stay.token or 0) < (highest.token or 0):
            yield Finding("token-fell", (
                f"{highest.claimant} acquired token {highest.token} at {seconds(highest.acquired)} (op {highest.ok}); {stay.claimant} asked after "
                f"that, at {seconds(stay.invoked)} (op {stay.id}), and got the lower token {stay.token} (op {stay.ok})."),
                None, (highest.claimant, stay.claimant), highest.acquired, stay.acquired, (highest.ok, stay.id, stay.ok), True)


def _reused(stays: Sequence[Tenure]) -> Iterator[Finding]:
    """No token serves two tenures, except where the second acquire says `again`."""
    first: dict[int, Tenure] = {}
    for stay in stays:
        before = first.setdefault(stay.token or 0, stay)
        if before is not stay and not stay.again:
            yield Finding("token-reused", (
                f"Token {stay.token} was given to {before.claimant} at {seconds(before.acquired)} (op {before.ok}) and again to "
                f"{stay.claimant} at {seconds(stay.acquired)} (op {stay.ok}): no fence can tell their writes apart."),
                None, (before.claimant, stay.claimant), before.acquired, stay.acquired, (before.ok, stay.ok), True)


def _stale(history: History) -> Iterator[Finding]:
    """In the resource's order of acceptance, tokens never fall. One finding for each stale token."""
    rows = accepted(history)
    rows = rows[history.token[rows] != NONE]
    fell = history.token[rows] < np.maximum.accumulate(history.token[rows])
    rightful = np.flatnonzero(~fell)
    late: dict[int, tuple[int, int]] = {}
    count: dict[int, int] = {}
    for place in np.flatnonzero(fell):
        row, highest = int(rows[place]), int(rows[rightful[np.searchsorted(rightful, place) - 1]])
        token = int(history.token[row])
        late.setdefault(token, (row, highest))
        count[token] = count.get(token, 0) + 1
    for token, (row, before) in late.items():
        yield Finding("stale-accepted", (
            f"The resource took write {history.id[row]} with token {token} (op {row}, order {history.order[row]}) after write "
            f"{history.id[before]} with token {history.token[before]} (op {before}, order {history.order[before]})"
            + (f", and {count[token] - 1} more with that token." if count[token] > 1 else ".")), None, (), int(history.time[before]), int(history.time[row]), (before, row), True)


def _fence_lost(history: History) -> Iterator[Finding]:
    """The fence never falls, above all not over a restart of the resource."""
    if not history.setup.fence:
        return
    rows = records(history)
    rows = rows[history.fence[rows] != NONE]
    order, epoch = np.where(history.order == NONE, -1, history.order), history.epoch
    rows = rows[np.lexsort((rows, order[rows], epoch[rows]))]
    fence = history.fence[rows]
    rose = np.concatenate((fence[:1] > NONE, fence[1:] > np.maximum.accumulate(fence)[:-1]))
    highest = rows[np.maximum.accumulate(np.where(rose, np.arange(len(rows)), 0))]
    ordered = (history.order[rows] != NONE) & (history.order[highest] != NONE)
    lost = np.flatnonzero((fence < history.fence[highest]) & ((epoch[rows] > epoch[highest]) | ordered))
    if len(lost):
        before, row = int(highest[lost[0]]), int(rows[lost[0]])
        restart = "over its restart" if epoch[row] > epoch[before] else "without a restart"
        yield Finding("fence-lost", (
            f"The resource's fence fell {restart} from {history.fence[before]} (op {before}) to {history.fence[row]} (op {row}): "
            "stale tokens pass again. It must be on disk before a write is acknowledged."),
            None, (), int(history.time[before]), int(history.time[row]), (before, row), True)


def _turned_away(history: History, stays: Sequence[Tenure]) -> tuple[list[int], list[int]]:
    """The refused writes: those with a stale token, and those of the highest token (by the fence, where the record has it, else by
    what had been granted and accepted)."""
    rows = records(history)
    taken = np.where(history.type.is_("ok")[rows], history.token[rows], NONE)
    granted = sorted((stay.acquired, stay.token or 0) for stay in stays)
    tokens = np.maximum.accumulate(np.array([NONE, *(token for _, token in granted)], dtype=np.int64))
    before = tokens[np.searchsorted(np.array([time for time, _ in granted], dtype=np.int64), history.time[rows], side="right")]
    highest = np.maximum(before, np.maximum.accumulate(taken))
    bound = np.where(history.fence[rows] == NONE, highest, history.fence[rows])
    turned = history.type.is_("fail")[rows] & (history.token[rows] != NONE)
    stale = history.token[rows] < bound
    return rows[turned & stale].tolist(), rows[turned & ~stale].tolist()


def _refused_highest(history: History, found: Sequence[int]) -> Iterator[Finding]:
    """A refused write of the highest token: safe, but the rightful leader cannot work."""
    if found:
        row = found[0]
        yield Finding("refused-highest", (
            f"The resource refused {len(found)} writes whose token was not below the highest, first {history.id[row]} with token "
            f"{history.token[row]} (op {row}): the rightful leader was turned away. Look at the resource's log."),
            None, (), int(history.time[row]), int(history.time[found[-1]]), tuple(found[:20]))


def _stats(history: History, stays: Sequence[Tenure]) -> dict[str, Any]:
    taken = accepted(history)
    tokens = [stay.token for stay in stays if stay.token is not None]
    return {"available": history.setup.tokens, "fence": history.setup.fence, "tokens": len(set(tokens)),
            "highest_token": max(tokens, default=None), "accepted": len(taken), "refused": len(refused(history))}

"""Did two leaders ever overlap, and was a deposed leader's write ever accepted?"""
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, get_args

import msgspec

from diarchy.checkers.landed import Holding, holdings
from diarchy.checkers.levels import Harm, Level, Order, harm, late_pairs
from diarchy.checkers.own import own_leaders
from diarchy.checkers.pairs import GRAVEST, Kind, Pair, Piece, Rules, pairs, same_term
from diarchy.checkers.proofs import Proof, joined, of_harm, of_late, of_one_term, of_piece, of_revival
from diarchy.checkers.states import State, timeline
from diarchy.checkers.verdict import Check, Finding, Word
from diarchy.history.columns import History
from diarchy.history.lives import lives
from diarchy.history.observed import claims
from diarchy.history.setup import grace_ns
from diarchy.history.spans import Span, total, united
from diarchy.history.tenures import Tenure, possible_holds, tenures

SHOWN = 20
"""How many of the overlaps that are only possible are listed (the longest); all are counted."""


class Overlap(msgspec.Struct, frozen=True, tag="overlap", tag_field="kind", forbid_unknown_fields=True):
    """Two claimants in office at once, how that came about, and what it did to the resource."""

    fail_on: Annotated[tuple[Kind, ...], msgspec.Meta(description=(
        "kinds of overlap that make the run a violation; a stale write that was accepted always does"
    ))] = ("granted", "overstayed", "late")

    kinds: ClassVar[tuple[str, ...]] = get_args(Kind)
    levels: ClassVar[tuple[str, ...]] = get_args(Level)

    def check(self, history: History) -> Check:
        stays = tenures(history)
        held = holdings(history, stays)
        rules = rules_of(history)
        met = pairs(history, stays, held, rules)
        groups = _grouped(met)
        kinds = {kind: [_spans(group, kind) for group in groups.values()] for kind in GRAVEST}
        findings = [finding for (a, b), group in groups.items()
                    for finding in _findings(history, group, harm(history, held[a], held[b], Order(rules.tolerance)), rules, self.fail_on)]
        findings += _late(history, held, groups, rules, self.fail_on)
        observed = claims(history)
        findings += own_leaders(observed, rules.tolerance, self.fail_on)
        word: Word = "violation" if any(f.fails for f in findings) else "valid" if stays or observed else "inconclusive"
        return Check("overlap", word, _listed(findings), _stats(history, stays, met, kinds, findings, rules) | {"own_leaders": len(observed)})


def rules_of(history: History) -> Rules:
    """Tolerance, grace and handover of a run."""
    setup = history.setup
    grace = setup.grace or grace_ns(setup.ttl, setup.real)
    return Rules(setup.tolerance, grace, grace if setup.handover is None else setup.handover)


def _grouped(met: Sequence[Pair]) -> dict[tuple[int, int], list[Pair]]:
    """Tenures of one claimant joined by `again` are one."""
    groups: dict[tuple[int, int], list[Pair]] = {}
    for pair in met:
        key = pair.a.root, pair.b.root
        groups.setdefault(key if key[::-1] not in groups else key[::-1], []).append(pair)
    return groups


def _spans(group: Sequence[Pair], kind: Kind) -> tuple[Span, ...]:
    return united(Span(piece.start, piece.end) for pair in group for piece in pair.pieces if piece.kind == kind)


def _findings(history: History, group: Sequence[Pair], harmed: Harm, rules: Rules, fail_on: Sequence[Kind]) -> Iterator[Finding]:
    """One for each kind of a pair of claimants' stays; the merely possible is left out where there is something graver."""
    found: dict[Kind, tuple[tuple[Span, ...], Proof]] = {}
    for kind in GRAVEST:
        shown = _proof(history, group, kind, rules)
        if shown is not None and not (kind == "possible" and found):
            found[kind] = shown
    for kind, (spans, proof) in found.items():
        whole = joined([proof, of_harm(history, harmed)])
        yield Finding(kind, whole.text, harmed.level, (group[0].a.claimant, group[0].b.claimant), spans[0].start, spans[-1].end,
                      whole.ops, kind in fail_on or harmed.level == "accepted")


def _proof(history: History, group: Sequence[Pair], kind: Kind, rules: Rules) -> tuple[tuple[Span, ...], Proof] | None:
    first = next(((pair, piece) for pair in group for piece in pair.pieces if piece.kind == kind and not _revived(pair, piece)), None)
    spans = _spans(group, kind)
    if kind != "granted":
        return None if first is None else (spans, of_piece(history, lives(history), *first, spans, rules.grace))
    proofs = [of_revival(history, pair, pair.revivals[0]) for pair in group if pair.revivals]
    proofs += [of_one_term(history, pair.a, pair.b) for pair in group if same_term(pair.a, pair.b)]
    if first is not None:
        proofs.append(of_piece(history, lives(history), *first, spans, rules.grace))
    if not proofs:
        return None
    revived = [revival.span for pair in group for revival in pair.revivals]
    elected = [Span(pair.b.acquired, pair.b.acquired) for pair in group if same_term(pair.a, pair.b)]
    return spans or tuple(sorted(revived or elected)), joined(proofs)


def _revived(pair: Pair, piece: Piece) -> bool:
    """Whether a piece is granted by a revival alone."""
    return piece.kind == "granted" and any(span.start <= piece.start and piece.end <= span.end for _, _, span in pair.revivals)


def _late(history: History, held: dict[int, Holding], groups: dict[tuple[int, int], list[Pair]], rules: Rules,
          fail_on: Sequence[Kind]) -> Iterator[Finding]:
    """Writes that came late between tenures that never overlapped: always accepted, so they always fail."""
    order = Order(rules.tolerance)
    for a, b in late_pairs(list(held.values()), order):
        if (a.root, b.root) in groups or (b.root, a.root) in groups:
            continue
        harmed = harm(history, a, b, order)
        if harmed.level == "accepted" and harmed.stale and harmed.fresh and harmed.late is not None and harmed.after is not None:
            proof = of_late(history, harmed)
            yield Finding("late", proof.text, "accepted", (harmed.stale.claimant, harmed.fresh.claimant),
                          int(history.time[harmed.after]), int(history.time[harmed.late]), proof.ops, True)


def _listed(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """What fails first, then by kind and time; of the merely possible only the longest."""
    doubtful = sorted((f for f in findings if f.kind == "possible" and not f.fails),
                      key=lambda f: ((f.start or 0) - (f.end or 0), f.start or 0, f.claimants))
    hidden = {id(finding) for finding in doubtful[SHOWN:]}
    rank = {kind: number for number, kind in enumerate(GRAVEST)}
    return tuple(sorted((f for f in findings if id(f) not in hidden),
                        key=lambda f: (not f.fails, rank[f.kind], f.start or 0, f.claimants, f.ops)))  # type: ignore[index]


def _stats(history: History, stays: Sequence[Tenure], met: Sequence[Pair], kinds: dict[Kind, list[tuple[Span, ...]]],
           findings: Sequence[Finding], rules: Rules) -> dict[str, Any]:
    overdue = [sum(part.end - part.start for part in timeline(stay, rules.grace) if part.state is State.OVERDUE) for stay in stays]
    return {
        "tenures": len(stays),
        "claimants": len({stay.claimant for stay in stays}),
        "possible_holds": len(possible_holds(history)),
        "found": {kind: sum(f.kind == kind for f in findings) for kind in GRAVEST},
        "overlap_ns": {kind: sum(map(total, spans)) for kind, spans in kinds.items() if kind != "late"},
        "certain_overlap_ns": sum(pair.both_certain for pair in met),
        "belief_overlap_ns": sum(piece.end - piece.start for pair in met for piece in pair.pieces),
        "overdue": sum(time > 0 for time in overdue),
        "overdue_ns": sum(overdue),
        "tolerance_ns": rules.tolerance, "grace_ns": rules.grace,
    }

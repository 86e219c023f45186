"""A system's own leaders, as observers read them: a lower term beside a higher, or two leaders of one term."""
from collections.abc import Sequence

from diarchy.checkers.proofs import seconds
from diarchy.checkers.verdict import Finding
from diarchy.history.observed import Claim
from diarchy.history.spans import Span, total, united


def own_leaders(claims: Sequence[Claim], tolerance: int, fail_on: Sequence[str]) -> list[Finding]:
    """One finding for each pair of nodes and kind. Without terms two leaders are only possible: roles may be read late."""
    return _one_term(claims, fail_on) + _beside(claims, tolerance, fail_on)


def _one_term(claims: Sequence[Claim], fail_on: Sequence[str]) -> list[Finding]:
    """Claims in a term in which the same boot had just said that it did not lead prove nothing: a server whose answer's term lags
    behind (etcd's Status has that of the last entry applied) is elected in one term and still names the one before."""
    first: dict[int, Claim] = {}
    found: dict[tuple[int, str], Finding] = {}
    for claim in claims:
        if claim.term is None or not claim.fresh:
            continue
        before = first.setdefault(claim.term, claim)
        if before.claimant != claim.claimant and (claim.term, claim.claimant) not in found:
            found[claim.term, claim.claimant] = Finding(
                "granted", f"{_said(before)}; {_said(claim)}. One term has one leader, at whatever times.", "belief",
                (before.claimant, claim.claimant), claim.belief.start, claim.belief.end, tuple(sorted((*before.ops, *claim.ops))),
                "granted" in fail_on)
    return list(found.values())


def _beside(claims: Sequence[Claim], tolerance: int, fail_on: Sequence[str]) -> list[Finding]:
    met: dict[tuple[str, str, str], list[tuple[Claim, Claim, Span]]] = {}
    open_: list[Claim] = []
    for claim in claims:
        open_ = [other for other in open_ if other.belief.end - claim.belief.start > tolerance]
        for other in open_:
            both = Span(claim.belief.start, min(claim.belief.end, other.belief.end))
            same = claim.term is not None and claim.term == other.term
            if other.node == claim.node or same or both.end - both.start <= tolerance:
                continue
            kind = "possible" if claim.term is None or other.term is None else "superseded"
            low, high = sorted((other, claim), key=lambda c: (c.term or 0, c.belief))
            met.setdefault((kind, low.claimant, high.claimant), []).append((low, high, both))
        open_.append(claim)
    return [_finding(kind, parts, fail_on) for (kind, _, _), parts in met.items()]


def _finding(kind: str, parts: list[tuple[Claim, Claim, Span]], fail_on: Sequence[str]) -> Finding:
    low, high, _ = parts[0]
    spans = united(span for _, _, span in parts)
    why = ("the lower term can commit nothing any more" if kind == "superseded"
           else "without a term nothing says which answer was out of date")
    return Finding(kind, f"{_said(low)}; {_said(high)}. Both for {seconds(total(spans))}: {why}.", "belief",
                   (low.claimant, high.claimant), spans[0].start, spans[-1].end,
                   tuple(sorted({op for a, b, _ in parts for op in (*a.ops, *b.ops)})), kind in fail_on)


def _said(claim: Claim) -> str:
    term = "" if claim.term is None else f" in term {claim.term}"
    return (f"{claim.claimant} said that it led{term} from {seconds(claim.belief.start)} (op {claim.ops[0]}) to "
            f"{seconds(claim.belief.end)} (op {claim.ops[1]}), {claim.samples} answers")

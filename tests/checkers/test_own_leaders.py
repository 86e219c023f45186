"""A system's own leader, as observers read it."""
from typing import Any

from told import S, fault, line, tell

from diarchy.checkers.availability import Availability
from diarchy.checkers.overlap import Overlap
from diarchy.history.observed import claims

Lines = list[dict[str, Any]]


def said(node: str, start: float, leads: bool, term: int | None, times: int = 1, boot: int = 1, every: float = 0.1) -> Lines:
    """Answers of one node, each asked at `start` + n * `every` and given 10 ms later."""
    told: Lines = []
    for number in range(times):
        at = start + number * every
        told += [line(at, f"observer/{node}", "invoke", "observe", node=node),
                 line(at + 0.01, f"observer/{node}", "ok", "observe", node=node, claimant=f"{node}#{boot}",
                      value={"leads": leads, "role": "leader" if leads else "follower"}, **({} if term is None else {"term": term}))]
    return told


def failed(node: str, at: float) -> Lines:
    return [line(at, f"observer/{node}", "invoke", "observe", node=node), line(at + 0.05, f"observer/{node}", "fail", "observe", node=node)]


def test_a_claim_is_from_the_first_answer_to_the_last_question() -> None:
    (claim,) = claims(tell([*said("n1", 1, False, 4), *said("n1", 2, True, 5, 3), *said("n1", 3, False, 6)]))
    assert (claim.claimant, claim.term, claim.samples) == ("n1#1", 5, 3)
    assert (claim.belief.start, claim.belief.end) == (round(2.01 * S), round(2.2 * S))
    assert claim.ops == (4, 7)


def test_said_once_proves_nothing_and_another_answer_between_ends_a_claim() -> None:
    assert claims(tell(said("n1", 1, True, 5))) == []
    assert claims(tell([*said("n1", 1, True, 5), *said("n1", 2, False, 5), *said("n1", 3, True, 5)])) == []
    assert claims(tell([*said("n1", 1, True, 5), *said("n1", 2, True, 5, boot=2)])) == []
    assert len(claims(tell([*said("n1", 1, True, 5), *failed("n1", 2), *said("n1", 3, True, 5)]))) == 1


def test_a_claim_that_goes_over_into_a_higher_term_may_have_named_the_old_one() -> None:
    found = claims(tell([*said("n2", 1, True, 5, 3), *said("n2", 2, True, 6, 3)]))
    assert [claim.term for claim in found] == [6]


def test_a_new_leader_that_still_names_the_old_term_is_no_violation() -> None:
    history = tell([*said("n1", 1, True, 5, 10), *said("n2", 3, True, 5, 3), *said("n2", 4, True, 6, 5)])
    assert Overlap().check(history).findings == ()


def test_a_new_leader_that_never_commits_may_name_the_old_term_to_its_end() -> None:
    """It said that it followed in term 5, was elected in term 6, and was cut off before it had applied anything of that."""
    history = tell([*said("n1", 1, True, 5, 10), *said("n2", 1, False, 5, 10), *said("n2", 3, True, 5, 5), *said("n2", 4, False, 7)])
    assert Overlap().check(history).findings == ()


def test_a_lower_term_beside_a_higher_is_superseded() -> None:
    history = tell([*said("n1", 1, True, 5, 30), *said("n2", 2, True, 6, 40)])
    check = Overlap().check(history)
    (finding,) = check.findings
    assert (finding.kind, finding.fails, finding.claimants) == ("superseded", False, ("n1#1", "n2#1"))
    assert (finding.start, finding.end) == (round(2.01 * S), round(3.9 * S))
    assert (check.verdict, check.stats["own_leaders"]) == ("valid", 2)


def test_two_leaders_of_one_term_are_granted_at_whatever_times() -> None:
    check = Overlap().check(tell([*said("n1", 1, True, 5, 3), *said("n1", 2, False, 5), *said("n2", 19, False, 4), *said("n2", 20, True, 5, 3)]))
    (finding,) = check.findings
    assert (finding.kind, finding.fails, finding.claimants, check.verdict) == ("granted", True, ("n1#1", "n2#1"), "violation")


def test_without_terms_two_leaders_are_only_possible() -> None:
    check = Overlap().check(tell([*said("n1", 1, True, None, 30), *said("n2", 2, True, None, 40)]))
    assert [(f.kind, f.fails) for f in check.findings] == [("possible", False)]


def test_the_systems_own_failover_is_from_the_fault_to_the_first_answer_of_the_next_leader() -> None:
    history = tell([line(0, "c1", "ok", "ready", claimant="c1#1"), *said("n1", 1, True, 5, 10), *fault("kill", "start", 2, 8, host="n1"),
                    *said("n2", 3.5, True, 6, 10)], nodes=("n1", "n2", "n3"))
    stats = Availability().check(history).stats
    assert stats["own_changes"] == 1
    part = stats["own_failover"]["kill node"]
    assert (part["count"], part["failover_ns"]["max"]) == (1, round(1.51 * S))


def test_a_new_leader_without_a_fault_is_a_change_and_no_failover() -> None:
    history = tell([line(0, "c1", "ok", "ready", claimant="c1#1"), *said("n1", 1, True, 5, 10), *said("n2", 3, True, 6, 10),
                    *said("n2", 5, True, 7, 10)], nodes=("n1", "n2", "n3"))
    stats = Availability().check(history).stats
    assert (stats["own_changes"], stats["own_failover"]) == (1, {})

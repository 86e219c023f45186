"""Fencing: tokens, the resource's order, its fence, and the smoke alarm."""
from typing import Any

import pytest
from told import S, acquire, line, tell

from diarchy.checkers.fencing import Fencing
from diarchy.checkers.verdict import Check

Lines = list[dict[str, Any]]


def record(time: float, type: str, id: str, token: int, order: int | None = None, fence: int | None = None, epoch: int = 1) -> dict[str, Any]:
    given = {"order": order, "fence": fence}
    return line(time, "resource", type, "write", id=id, token=token, epoch=epoch, **{k: v for k, v in given.items() if v is not None})


def smoke(token: int, answer: str | None, at: float = 25) -> Lines:
    asked = line(at, "smoke", "invoke", "write", id="smoke-1", token=token)
    return [asked] if answer is None else [asked, line(at + 0.1, "smoke", answer, "write", id="smoke-1", token=token)]


LEADERS = [*acquire("c1", 0, 0.1, 1), line(1, "c1/elect", "ok", "step-down", tenure=1), *acquire("c2", 2, 2.1, 2)]
WRITES = [record(0.5, "ok", "a", 1, 1, 1), record(3, "ok", "b", 2, 2, 2)]


def kinds(check: Check) -> list[str]:
    return [finding.kind for finding in check.findings]


def judged(*lines: dict[str, Any], **setup: Any) -> Check:
    return Fencing().check(tell(sorted(lines, key=lambda each: each["time"]), **({"fence": True} | setup)))


def test_all_is_well() -> None:
    check = judged(*LEADERS, *WRITES, record(4, "fail", "c", 1, fence=2), *smoke(1, "fail"))
    assert (check.verdict, check.findings, check.stats["smoke"]) == ("valid", (), "refused")
    assert (check.stats["accepted"], check.stats["refused"], check.stats["refused_stale"], check.stats["highest_token"]) == (2, 1, 1, 2)


def test_a_later_grant_with_a_lower_token() -> None:
    check = judged(*acquire("c1", 0, 0.1, 5), *acquire("c2", 2, 2.1, 4), *WRITES, *smoke(1, "fail"))
    (finding,) = check.findings
    assert (finding.kind, finding.fails, finding.ops, check.verdict) == ("token-fell", True, (2, 4, 5), "violation")


def test_grants_under_way_at_the_same_time_may_have_any_order() -> None:
    assert kinds(judged(*acquire("c1", 0, 2.05, 5), *acquire("c2", 2, 2.1, 4), *WRITES, *smoke(1, "fail"))) == []


def test_one_token_for_two_tenures() -> None:
    check = judged(*acquire("c1", 0, 0.1, 5), *acquire("c2", 2, 2.1, 5), *WRITES, *smoke(1, "fail"))
    assert (kinds(check), check.verdict) == (["token-reused"], "violation")


def test_again_may_have_the_same_token() -> None:
    lines = [*acquire("c1", 0, 0.1, 5), line(1, "c1/elect", "ok", "step-down", tenure=1), *acquire("c1", 2, 2.1, 5, again=True)]
    assert kinds(judged(*lines, *WRITES, *smoke(1, "fail"))) == []


def test_tokens_that_fall_in_the_order_of_acceptance() -> None:
    check = judged(*LEADERS, *WRITES, record(4, "ok", "c", 1, 3, 2), record(5, "ok", "d", 1, 4, 2), *smoke(1, "fail"))
    (finding,) = check.findings
    assert (finding.kind, finding.fails) == ("stale-accepted", True)
    assert "and 1 more with that token" in finding.text


def test_the_order_counts_and_not_the_time_of_the_record() -> None:
    assert kinds(judged(*LEADERS, record(3, "ok", "b", 2, 2, 2), record(3.1, "ok", "a", 1, 1, 1), *smoke(1, "fail"))) == []


@pytest.mark.parametrize(("fence", "word"), [(True, "violation"), (False, "valid")])
def test_a_fence_that_fell_over_a_restart(fence: bool, word: str) -> None:
    check = judged(*LEADERS, *WRITES, record(4, "ok", "c", 2, 3, 1, epoch=2), *smoke(1, "fail"), fence=fence)
    assert check.verdict == word
    assert [f.kind for f in check.findings if f.fails] == (["fence-lost"] if fence else [])


def test_a_refused_write_of_the_highest_token_is_reported() -> None:
    check = judged(*LEADERS, *WRITES, record(4, "fail", "c", 2, fence=2), *smoke(1, "fail"))
    assert (kinds(check), check.verdict) == (["refused-highest"], "valid")


def test_without_a_fence_in_the_record_a_refusal_is_stale_once_a_higher_token_was_granted() -> None:
    assert kinds(judged(*LEADERS, *WRITES, record(2.5, "fail", "c", 1), *smoke(1, "fail"))) == []


@pytest.mark.parametrize(("fence", "word"), [(True, "violation"), (False, "valid")])
def test_a_smoke_write_that_was_taken_means_that_there_is_no_fence(fence: bool, word: str) -> None:
    check = judged(*LEADERS, *WRITES, *smoke(1, "ok"), record(25.05, "ok", "smoke-1", 1, 3, 2), fence=fence)
    assert (kinds(check), check.verdict, check.stats["smoke"]) == (["no-fence"], word, "taken")


@pytest.mark.parametrize("answer", ["info", None])
def test_the_resources_record_tells_where_the_answer_was_lost(answer: str | None) -> None:
    taken = judged(*LEADERS, *WRITES, *smoke(1, answer), record(25.05, "ok", "smoke-1", 1, 3, 2))
    assert (kinds(taken), taken.verdict) == (["no-fence"], "violation")
    assert judged(*LEADERS, *WRITES, *smoke(1, answer), record(25.05, "fail", "smoke-1", 1, fence=2)).verdict == "valid"


@pytest.mark.parametrize(("lines", "kind"), [(smoke(1, "info"), "smoke-unknown"), (smoke(1, None), "smoke-unknown"), ([], "no-smoke"), (smoke(2, "ok"), "no-smoke")])
def test_a_smoke_alarm_without_an_answer_proves_nothing(lines: Lines, kind: str) -> None:
    """Nor does one whose token was not below the highest."""
    check = judged(*LEADERS, *WRITES, *lines)
    assert (kinds(check), check.verdict) == ([kind], "inconclusive")
    assert judged(*LEADERS, *WRITES, *lines, fence=False).verdict == "valid"


def test_a_system_without_tokens_has_no_fence_available() -> None:
    check = judged(*acquire("c1", 0, 0.1), tokens=False)
    assert (kinds(check), check.verdict, check.stats["available"]) == (["no-fence-available"], "valid", False)
    assert "No fence available" in check.findings[0].text


def test_tokens_that_were_promised_and_never_came_prove_nothing() -> None:
    check = judged(*acquire("c1", 0, 0.1), fence=False)
    assert (kinds(check), check.verdict) == (["no-tokens"], "inconclusive")


def test_times_are_exact() -> None:
    (finding,) = judged(*LEADERS, *WRITES, record(4, "ok", "c", 1, 3, 2), *smoke(1, "fail")).findings
    assert (finding.start, finding.end) == (3 * S, 4 * S)

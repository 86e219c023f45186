"""From a history to its verdict: a pure function, the same bytes whenever it is asked."""
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from diarchy.checkers.assumptions import Assumptions
from diarchy.checkers.kinds import DEFAULTS, CheckOptions
from diarchy.checkers.verdict import Check, Checker, Finding, Verdict, merge
from diarchy.history import units
from diarchy.history.columns import History


def judge(history: History) -> Verdict:
    """Run the checks that the set-up names (all, where it names none; the assumptions always), and compare with what it expects.

    Never raises for what a history says: a checker that crashes is inconclusive, with the error in a finding.
    """
    done = tuple(_run(name, checker, history) for name, checker in _asked(history.setup.checks))
    unexpected = tuple(_unexpected(done, history.setup.expect))
    return Verdict(merge(check.verdict for check in done), not unexpected, history.setup.scenario, history.setup.seed, done, unexpected,
                   tuple(history.warnings))


def encode(verdict: Verdict) -> bytes:
    """`verdict.json`: the keys of a struct in their order, those of a dict sorted, a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(verdict, order="deterministic", enc_hook=units.encode), indent=2) + b"\n"


def _asked(checks: Sequence[dict[str, Any]]) -> list[tuple[str, CheckOptions | str]]:
    """Each check by name, with its options or with what is wrong with them."""
    asked: list[tuple[str, CheckOptions | str]] = []
    for options in checks:
        name = str(options.get("kind"))
        try:
            asked.append((name, msgspec.convert(options, CheckOptions, dec_hook=units.decode)))
        except msgspec.ValidationError as error:
            asked.append((name, f"the options of this check cannot be read: {error}"))
    if not asked:
        asked = [(_name(options), options) for options in DEFAULTS]
    if all(name != "assumptions" for name, _ in asked):
        asked.insert(0, ("assumptions", Assumptions()))
    return asked


def _name(options: CheckOptions) -> str:
    return str(options.__struct_config__.tag)


def _run(name: str, checker: Checker | str, history: History) -> Check:
    if isinstance(checker, str):
        return Check(name, "inconclusive", (Finding("bad-options", checker),))
    try:
        return checker.check(history)
    except Exception as error:
        last = traceback.format_exception_only(error)[-1].strip()
        where = traceback.extract_tb(error.__traceback__)[-1]
        return Check(name, "inconclusive", (Finding("crashed", (
            f"This check crashed and says nothing of the run: {last} ({where.name}, line {where.lineno}). That is a bug of diarchy: "
            "please report it with the history.")),))


def _unexpected(done: Sequence[Check], expect: dict[str, Any]) -> Iterator[str]:
    """What differs from the scenario's `expect`; a check that it does not name must be valid."""
    for check in done:
        yield from _differs(check, expect.get(check.check, {}))
    for name in sorted(set(expect) - {check.check for check in done}):
        yield f"{name}: expected something of it, but it was not checked"


def _differs(check: Check, spec: Any) -> Iterator[str]:
    if not isinstance(spec, dict):
        yield f"{check.check}: what is expected must be a mapping with verdict, kinds, levels; it is {spec!r}"
        return
    wanted = spec.get("verdict", "valid")
    if check.verdict != wanted:
        yield f"{check.check}: {wanted} was expected, it is {check.verdict}" + _because(check)
    for word, found in (("kinds", {f.kind for f in check.findings}), ("levels", {f.level for f in check.findings})):
        for name in spec.get(word) or ():
            if name not in found:
                yield f"{check.check}: {word[:-1]} {name} was expected and not found"
    if spec.get("kinds"):
        for kind in sorted({f.kind for f in check.findings if f.fails} - set(spec["kinds"])):
            yield f"{check.check}: {kind} was found, which was not expected"


def _because(check: Check) -> str:
    """The kinds of findings behind a verdict."""
    kinds = dict.fromkeys(f.kind for f in check.findings if f.fails or check.verdict == "inconclusive")
    return f" ({', '.join(kinds)})" if kinds else ""

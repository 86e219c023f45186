"""Did two leaders ever overlap, and was a deposed leader's write ever accepted?"""
from typing import Annotated, Literal

import msgspec

from diarchy.checkers.verdict import Check
from diarchy.history.columns import History

Kind = Literal["granted", "overstayed", "frozen", "superseded", "possible", "late"]


class Overlap(msgspec.Struct, frozen=True, tag="overlap", tag_field="kind", forbid_unknown_fields=True):
    """Two claimants in office at once, how that came about, and what it did to the resource."""

    fail_on: Annotated[tuple[Kind, ...], msgspec.Meta(description=(
        "kinds of overlap that make the run a violation; a stale write that was accepted always does"
    ))] = ("granted", "overstayed", "late")

    def check(self, history: History) -> Check:
        raise NotImplementedError

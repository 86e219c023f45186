"""Does the history hold enough, and sound enough, evidence to prove anything?"""
from typing import Annotated

import msgspec

from diarchy.checkers.verdict import Check
from diarchy.history.columns import History


class Assumptions(msgspec.Struct, frozen=True, tag="assumptions", tag_field="kind", forbid_unknown_fields=True):
    """There was a leader, it wrote, the faults bit while it led, the clock can be trusted. Always checked."""

    min_writes: Annotated[int, msgspec.Meta(ge=0, description=(
        "with fewer accepted writes the run is inconclusive; 0 for workloads that do not write"))] = 10

    def check(self, history: History) -> Check:
        raise NotImplementedError

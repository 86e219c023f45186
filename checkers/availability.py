"""How long did nobody lead, and was that anybody's fault?"""
from typing import Annotated

import msgspec

from diarchy.checkers.verdict import Check
from diarchy.history.columns import History
from diarchy.history.units import Duration


class Availability(msgspec.Struct, frozen=True, tag="availability", tag_field="kind", forbid_unknown_fields=True):
    """Gaps in which nobody led, and how long each failover took."""

    longest_gap: Annotated[Duration | None, msgspec.Meta(description=(
        "a longer gap, less what the faults excuse, is a violation; default: gaps are only reported"))] = None
    first_election: Annotated[Duration | None, msgspec.Meta(description=(
        "the same for the time from the first candidate that was ready to the first leader; default: reported"))] = None
    near: Annotated[Duration | None, msgspec.Meta(description=(
        "a fault explains a change of leader that comes at most so long after it was lifted; default: twice the TTL"))] = None

    def check(self, history: History) -> Check:
        raise NotImplementedError

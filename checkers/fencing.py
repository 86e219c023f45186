"""Do fencing tokens grow with every grant, and does the resource refuse the old ones?"""
import msgspec

from diarchy.checkers.verdict import Check
from diarchy.history.columns import History


class Fencing(msgspec.Struct, frozen=True, tag="fencing", tag_field="kind", forbid_unknown_fields=True):
    """Fencing tokens grow with every grant and serve one tenure each; the resource refuses the old ones."""

    def check(self, history: History) -> Check:
        raise NotImplementedError

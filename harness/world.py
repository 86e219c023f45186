"""Who leads right now, kept from the ops as they are recorded: what the nemeses' targets are looked up in."""
from collections.abc import Sequence

from diarchy.history.op import Op


class Now:
    """A listener of the recorder. Candidates in office are those whose newest acquire succeeded and who did not step down since."""

    def __init__(self, nodes: Sequence[str], candidates: Sequence[str]) -> None:
        self.nodes, self.candidates = tuple(nodes), tuple(candidates)
        self._office: dict[str, str] = {}
        self._observed: dict[str, tuple[bool, int]] = {}

    def see(self, op: Op) -> None:
        match op.f, op.type:
            case "acquire", "ok" if op.claimant:
                self._office.pop(op.claimant, None)
                self._office[op.claimant] = op.process.partition("/")[0]
            case ("step-down" | "exit"), "ok" if op.claimant:
                self._office.pop(op.claimant, None)
            case "observe", "ok" if op.node:
                self._observed[op.node] = bool(op.value and op.value.get("leads")), op.term or 0
            case "observe", ("fail" | "info") if op.node:
                self._observed.pop(op.node, None)

    def leaders(self) -> tuple[str, ...]:
        """Candidates in office by their own account, the one elected last first."""
        return tuple(dict.fromkeys(reversed(self._office.values())))

    def leader_nodes(self) -> tuple[str, ...]:
        """Nodes that lead by their own account, the one elected last first; then those that said so at the last question, the highest term first."""
        leading = [(term, node) for node, (leads, term) in self._observed.items() if leads]
        return tuple(name for name in self.leaders() if name in self.nodes) + tuple(node for _, node in sorted(leading, reverse=True))

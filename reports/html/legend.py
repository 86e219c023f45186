"""What the signs of the timeline mean: one entry for each kind that the view has, each switches its layer."""
import msgspec

from diarchy.reports.shapes import View

TEXTS: dict[str, str] = {
    "certain": "in office, lease in force",
    "claimed": "in office, without a lease",
    "late-paused": "past its lease, paused",
    "late-awake": "past its lease, awake",
    "lease": "lease as granted",
    "deadline": "last deadline",
    "step-down": "steps down",
    "stopped": "stopped (SIGSTOP)",
    "stalled": "noticed a stall",
    "down": "killed",
    "end": "process ended",
    "start": "started again",
    "accepted": "write accepted",
    "refused": "write refused",
    "unknown": "write, outcome unknown",
    "accepted-many": "writes accepted, counted",
    "refused-many": "writes refused, counted",
    "unknown-many": "writes unknown, counted",
    "named": "accepted write named by a finding that fails",
    "leads": "node says it leads",
    "silent": "node does not answer",
    "gap": "nobody led",
    "long-gap": "nobody led, beyond the limit",
    "excused": "excused: no election possible",
    "reported": "finding, reported",
    "fails": "finding that fails",
    "asked": "fault, as asked",
    "fault": "fault, as realised",
    "missed": "fault without hold",
    "band": "fault, over all lanes",
    "note": "nemesis could not",
}
SIGNS = {"accepted": "●", "refused": "✕", "unknown": "○", "named": "◯", "deadline": "▼", "step-down": "◇", "start": "△", "end": "☒", "note": "✱"}


class Entry(msgspec.Struct, frozen=True):
    """`sign` is a character where the layer is points; else the swatch is drawn by the style of the layer's name."""

    layer: str
    text: str
    sign: str


def legend(view: View) -> list[Entry]:
    """The entries, in the order of TEXTS."""
    there = {bar.kind for bar in view.bars} | {mark.kind for mark in view.marks} | ({"band"} if view.bands else set())
    return [Entry(layer, text, SIGNS.get(layer, "")) for layer, text in TEXTS.items() if layer in there]

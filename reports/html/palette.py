"""Colours by what they stand for, in light and in dark. The hues are Okabe and Ito's, which colour-blind people can tell apart.

Nothing is told by colour alone: what matters differs in hatching, shape or lane as well.
"""

INKS: dict[str, tuple[str, str]] = {
    "paper": ("#ffffff", "#14181e"),
    "panel": ("#f5f7f9", "#1b2027"),
    "stripe": ("#f7f8fa", "#191e25"),
    "rule": ("#dde2e8", "#303843"),
    "text": ("#17202b", "#e4e9f0"),
    "muted": ("#566170", "#9ba7b6"),
    "link": ("#005f95", "#7cc4f0"),
    "certain": ("#0072b2", "#56b4e9"),
    "on-certain": ("#ffffff", "#06131d"),
    "lease": ("#0072b2", "#56b4e9"),
    "late-awake": ("#d55e00", "#f07f3c"),
    "late-paused": ("#f3c063", "#b98516"),
    "hatch": ("#3c2a00", "#fff3d6"),
    "stopped": ("#59636f", "#aab5c2"),
    "leads": ("#a8d8f3", "#1d5d85"),
    "silent": ("#8a94a0", "#8c98a6"),
    "fault": ("#cc79a7", "#cc79a7"),
    "on-fault": ("#2b0f20", "#1d0a16"),
    "gap": ("#f0e442", "#d9cd2f"),
    "on-gap": ("#2a2800", "#1c1b00"),
    "accepted": ("#009e73", "#1fc997"),
    "refused": ("#d55e00", "#ff9457"),
    "unknown": ("#17202b", "#e4e9f0"),
    "fails": ("#d55e00", "#f07f3c"),
    "on-fails": ("#ffffff", "#1d0c00"),
    "reported": ("#cfd6de", "#4a5563"),
    "good": ("#007a59", "#2bd3a2"),
    "doubt": ("#8a6100", "#f0c14b"),
    "bad": ("#b34700", "#ff9457"),
}


def variables(dark: bool) -> str:
    """The CSS custom properties of one theme."""
    return " ".join(f"--{name}: {colours[dark]};" for name, colours in INKS.items())

"""How reports say things: times, links, faults, and text that came from outside."""
from collections.abc import Iterable, Mapping
from typing import Any

from diarchy.history.faults import Link

NAMED = 4
"""So many ends of links are named; of more, the first and how many follow."""


def seconds(ns: int, digits: int = 3) -> str:
    """A point in time or a length, in seconds: `12.345 s`."""
    return f"{ns / 1e9:.{digits}f} s"


def length(ns: int) -> str:
    """A length of time in the unit that reads best: `0`, `740 ns`, `85 µs`, `12.4 ms`, `1.443 s`, `2 min 5.0 s`."""
    size = abs(ns)
    if size >= 120_000_000_000:
        minutes, rest = divmod(size, 60_000_000_000)
        return f"{'-' if ns < 0 else ''}{minutes} min {rest / 1e9:.1f} s"
    for unit, name, digits in ((1_000_000_000, "s", 3), (1_000_000, "ms", 1), (1_000, "µs", 0)):
        if size >= unit:
            return f"{ns / unit:.{digits}f} {name}"
    return f"{ns} ns" if ns else "0"


def plain(text: str, limit: int = 2000) -> str:
    """Text from outside on one line: what could steer a terminal or reorder a line is shown as its escape, and the rest is cut."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:limit])
    return shown if len(text) <= limit else f"{shown} … ({len(text) - limit} more characters)"


def links(pairs: Iterable[Link]) -> str:
    """Directed links in few words: `n1 ↔ n2, n3; c1 → n2`. The host with the most links comes first."""
    directed = {(a, b) for a, b in pairs}
    both = sorted({(min(a, b), max(a, b)) for a, b in directed if (b, a) in directed})
    one = sorted((a, b) for a, b in directed if (b, a) not in directed)
    return "; ".join([*_stars(both, "↔"), *_stars(one, "→")])


def _stars(pairs: list[Link], arrow: str) -> list[str]:
    """Pairs as stars: the end that most of them share, and the others after the arrow."""
    parts = []
    while pairs:
        out = {end: [b for a, b in pairs if a == end] for end in dict.fromkeys(a for a, _ in pairs)}
        in_ = {end: [a for a, b in pairs if b == end] for end in dict.fromkeys(b for _, b in pairs)}
        if arrow == "↔":
            out = {end: out.get(end, []) + in_.get(end, []) for end in dict.fromkeys([*out, *in_])}
            in_ = {}
        source, targets = max(out.items(), key=lambda item: len(item[1]))
        sink, sources = max(in_.items(), key=lambda item: len(item[1]), default=("", []))
        if len(sources) > len(targets):
            parts.append(f"{some(sorted(sources))} {arrow} {sink}")
            pairs = [(a, b) for a, b in pairs if b != sink]
        else:
            parts.append(f"{source} {arrow} {some(sorted(targets))}")
            pairs = [(a, b) for a, b in pairs if not ((a == source and b in targets) or (b == source and a in targets))]
    return parts


def some(names: list[str]) -> str:
    """`a, b, c`, and of more than NAMED how many there are."""
    return ", ".join(names) if len(names) <= NAMED else f"{', '.join(names[:NAMED - 1])} and {len(names) - NAMED + 1} more"


def fault(f: str, value: Mapping[str, Any] | None) -> str:
    """A fault as one reads it: `pause c1#1`, `slow n1 ↔ n2 by 200.0 ms`. `value` is a `Realised` as a dict."""
    value = value or {}
    words = [f]
    if value.get("host"):
        words.append(str(value["host"]))
    if value.get("links"):
        words.append(links((str(a), str(b)) for a, b in value["links"]))
    if value.get("latency"):
        words.append(f"by {length(value['latency'])}")
    if value.get("jitter"):
        words.append(f"± {length(value['jitter'])}")
    if value.get("bandwidth"):
        words.append(f"to {value['bandwidth']} KB/s")
    return plain(" ".join(words))

"""A view as a Bokeh figure: one real time axis in seconds, lanes from top to bottom, one unit of y for one pixel.

Bokeh draws, pans and zooms. Colours come from the page's style when it is shown (tags `ink:PROPERTY=NAME`), so that one file is
light and dark; layers are switched by the tag `layer:NAME`; hovering and labels are the page's script. Labels of lanes are
PlainText: a string could be taken for TeX.
"""
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from diarchy.reports.html.palette import INKS
from diarchy.reports.shapes import Bar, BarKind, Flight, Lane, LaneKind, MarkKind, View

FONT = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"
ROW = 20
HEIGHTS: dict[LaneKind, int] = {"findings": 26, "gaps": 28, "candidate": 56, "resource": 46, "node": 32, "nemesis": 28}
PROOF = 32
"""The height of the row above all lanes, in which the ops of a chosen finding are numbered."""

PLACES: dict[BarKind, tuple[int, int]] = {
    "certain": (8, 28), "claimed": (8, 28), "late-awake": (8, 28), "late-paused": (8, 28), "lease": (31, 33), "stalled": (50, 53),
    "leads": (7, 25), "silent": (7, 25), "asked": (3, 25), "fault": (5, 23), "missed": (5, 23),
    "gap": (5, 23), "long-gap": (5, 23), "excused": (7, 21), "fails": (4, 22), "reported": (4, 22),
    "accepted-many": (38, 46), "refused-many": (35, 49), "unknown-many": (35, 49)}
FAINT = ("stopped", "down", "excused")
"""Their hatching is faint, because other things or text lie over it."""
WHOLE = ("stopped", "down")
"""Bars that take the height of their lane."""
AT: dict[MarkKind, int] = {"named": 42, "accepted": 42, "refused": 42, "unknown": 42, "deadline": 5, "step-down": 18, "start": 18, "end": 18, "note": 14}
AT_RESOURCE: dict[str, int] = {"named": 31, "accepted": 31, "refused": 14, "accepted-many": 31, "refused-many": 14}


class Style(msgspec.Struct, frozen=True):
    """How one kind of bar or mark is drawn; colours are names of inks."""

    fill: str | None = None
    line: str | None = None
    alpha: float = 1.0
    width: float = 1.0
    dash: str = "solid"
    hatch: str | None = None
    hatch_ink: str = "hatch"
    marker: str = ""
    size: int = 0


BARS: dict[BarKind, Style] = {
    "stopped": Style(None, "stopped", hatch="left_diagonal_line", hatch_ink="stopped", dash="dashed"),
    "down": Style(None, "stopped", hatch="diagonal_cross", hatch_ink="stopped"),
    "lease": Style("lease", "lease", 0.7),
    "asked": Style(None, "muted", dash="dotted", width=1.5),
    "fault": Style("fault", "fault"),
    "missed": Style(None, "muted", dash="dashed", width=1.5),
    "leads": Style("leads", "leads"),
    "silent": Style("paper", "silent", 0.85, hatch="dot", hatch_ink="silent", dash="dashed"),
    "certain": Style("certain", "certain"),
    "claimed": Style("leads", "certain", width=1.5),
    "late-paused": Style("late-paused", "late-paused", hatch="right_diagonal_line"),
    "late-awake": Style("late-awake", "late-awake", hatch="cross", hatch_ink="on-fails", width=2),
    "stalled": Style("stopped", "stopped"),
    "gap": Style("gap", "muted", 0.35, dash="dashed"),
    "long-gap": Style("gap", "fails", width=2),
    "excused": Style("paper", None, 0.6, hatch="right_diagonal_line", hatch_ink="muted"),
    "reported": Style("reported", "muted", width=1.5),
    "fails": Style("fails", "bad", width=1.5),
    "accepted-many": Style("accepted", "accepted"),
    "refused-many": Style("refused", "refused", width=2),
    "unknown-many": Style(None, "unknown", width=2),
}
MARKS: dict[MarkKind, Style] = {
    "accepted": Style("accepted", "accepted", marker="circle", size=4),
    "unknown": Style("paper", "unknown", width=1.8, marker="circle", size=9),
    "refused": Style(None, "refused", width=2.6, marker="x", size=11),
    "named": Style(None, "fails", width=2.4, marker="circle", size=14),
    "deadline": Style("text", "text", marker="inverted_triangle", size=8),
    "step-down": Style("paper", "text", width=1.6, marker="diamond", size=13),
    "start": Style("paper", "text", width=1.6, marker="triangle", size=11),
    "end": Style("paper", "text", width=1.6, marker="square_x", size=11),
    "note": Style(None, "text", width=1.8, marker="asterisk", size=11),
}
ON: dict[str, str] = {"certain": "on-certain", "fault": "on-fault", "long-gap": "on-gap", "fails": "on-fails"}
"""The ink of labels on a filled bar; `text` on all others."""


class Layout:
    """Where each lane is, in pixels from the top."""

    def __init__(self, lanes: Sequence[Lane], proof: bool) -> None:
        self.tops: dict[str, int] = {}
        self.heights: dict[str, int] = {}
        self.lanes = {lane.name: lane for lane in lanes}
        self.proof = proof
        self.height = PROOF if proof else 0
        for lane in lanes:
            self.tops[lane.name] = self.height
            self.heights[lane.name] = HEIGHTS[lane.kind] + ROW * (lane.rows - 1)
            self.height += self.heights[lane.name]

    def bar(self, bar: Bar) -> tuple[int, int]:
        """Top and bottom of a bar."""
        top = self.tops[bar.lane]
        if bar.kind in WHOLE:
            return top + 3, top + self.heights[bar.lane] - 3
        a, b = PLACES[bar.kind]
        if bar.lane == "resource" and bar.kind in AT_RESOURCE:
            middle = AT_RESOURCE[bar.kind]
            a, b = middle - 5, middle + 5
        return top + a + ROW * bar.row, top + b + ROW * bar.row

    def mark(self, lane: str, kind: MarkKind) -> int:
        """The middle of a mark."""
        at = AT_RESOURCE.get(kind, 22) if lane == "resource" else AT[kind]
        return self.tops[lane] + at


def item(view: View) -> dict[str, Any]:
    """The figure as JSON that BokehJS embeds."""
    from bokeh.embed import json_item
    return dict(json_item(figure(view), "timeline"))


def figure(view: View) -> Any:
    """The figure itself."""
    from bokeh.models import ColumnDataSource
    from bokeh.plotting import figure as new

    layout = Layout(view.lanes, proof=any(finding.ops for finding in view.findings))
    plot = new(height=layout.height + 64, sizing_mode="stretch_width", toolbar_location=None, output_backend="canvas",
               x_range=_axis(view), y_range=_downwards(layout.height), tools="", min_border_right=14, name="timeline",
               outline_line_color=None, lod_threshold=None)
    plot.background_fill_color = plot.border_fill_color = None
    _axes(plot, layout)
    _stripes(plot, layout)
    quads = plot.quad(left="left", right="right", top=0, bottom=layout.height, source=ColumnDataSource({
        "left": [band.start / 1e9 for band in view.bands], "right": [band.end / 1e9 for band in view.bands]}),
        fill_alpha=0.13, line_width=0)
    _ink(quads, "band", {"fill_color": "fault"})
    for kind, style in BARS.items():
        _bars(plot, layout, kind, style, [bar for bar in view.bars if bar.kind == kind])
    _flights(plot, layout, view.flights)
    _marks(plot, layout, view)
    for ink in ("text", *dict.fromkeys(ON.values())):
        _labels(plot, layout, ink, [bar for bar in view.bars if bar.label and ON.get(bar.kind, "text") == ink])
    _proof(plot)
    return plot


def _axis(view: View) -> Any:
    from bokeh.models import Range1d
    margin = max((view.end - view.start) // 60, 1_000_000)
    start, end = (view.start - margin) / 1e9, (view.end + margin) / 1e9
    return Range1d(start=start, end=end, bounds=(start, end), min_interval=1e-5, name="time")


def _downwards(height: int) -> Any:
    from bokeh.models import Range1d
    return Range1d(start=height, end=0)


def _axes(plot: Any, layout: Layout) -> None:
    from bokeh.models import LinearAxis, PanTool, WheelZoomTool
    from bokeh.models.text import PlainText
    plot.add_layout(LinearAxis(), "above")
    middles = {layout.tops[name] + layout.heights[name] / 2: lane.label for name, lane in layout.lanes.items()}
    if layout.proof:
        middles[PROOF / 2] = "proof"
    plot.yaxis.ticker = list(middles)
    plot.yaxis.major_label_overrides = {y: PlainText(text=label) for y, label in middles.items()}
    plot.yaxis.major_tick_line_color = plot.yaxis.axis_line_color = None
    plot.yaxis.major_label_text_font_size = "13px"
    plot.yaxis.major_label_text_font = FONT
    plot.ygrid.grid_line_color = None
    for axis in plot.xaxis:
        axis.minor_tick_line_color = None
        axis.major_label_text_font = axis.axis_label_text_font = FONT
        axis.major_label_text_font_size = "12px"
        axis.formatter.use_scientific = False
        axis.ticker.desired_num_ticks = 10
        axis.tags = ["ink:axis_line_color=rule", "ink:major_tick_line_color=rule", "ink:major_label_text_color=muted",
                     "ink:axis_label_text_color=muted"]
    plot.xaxis[1].axis_label = "seconds since the run began"
    plot.xaxis[1].axis_label_text_font_style = "normal"
    plot.xaxis[1].axis_label_text_font_size = "12px"
    plot.yaxis[0].tags = ["ink:major_label_text_color=text"]
    plot.xgrid[0].tags = ["ink:grid_line_color=rule"]
    plot.add_tools(PanTool(dimensions="width"), WheelZoomTool(dimensions="width", modifiers="ctrl"))
    plot.toolbar.active_drag = plot.tools[0]
    plot.toolbar.active_scroll = plot.tools[1]


def _stripes(plot: Any, layout: Layout) -> None:
    """Every other lane lies on a slightly different ground."""
    names = list(layout.tops)[::2]
    stripes = plot.hspan(y=[layout.tops[name] for name in layout.tops], line_width=1)
    _ink(stripes, "", {"line_color": "rule"})
    areas = plot.hstrip(y0=[layout.tops[name] for name in names], y1=[layout.tops[name] + layout.heights[name] for name in names],
                        line_width=0, level="image")
    _ink(areas, "", {"fill_color": "stripe"})


def _bars(plot: Any, layout: Layout, kind: BarKind, style: Style, bars: Sequence[Bar]) -> None:
    from bokeh.models import ColumnDataSource
    if not bars:
        return
    places = [layout.bar(bar) for bar in bars]
    source = ColumnDataSource({
        "left": _s(bar.start for bar in bars), "right": _s(bar.end for bar in bars),
        "top": [top for top, _ in places], "bottom": [bottom for _, bottom in places], "tip": [bar.tip for bar in bars]},
        name="bars")
    quads = plot.quad(left="left", right="right", top="top", bottom="bottom", source=source, line_width=style.width,
                      line_dash=style.dash, fill_alpha=style.alpha if style.fill else 0, line_alpha=1 if style.line else 0,
                      hatch_pattern=style.hatch, hatch_alpha=0.4 if kind in FAINT else 0.8, hatch_weight=1.2, hatch_scale=12)
    inks = {"line_color": style.line, "fill_color": style.fill, "hatch_color": style.hatch_ink if style.hatch else None}
    _ink(quads, kind, {name: ink for name, ink in inks.items() if ink})


def _marks(plot: Any, layout: Layout, view: View) -> None:
    from bokeh.models import ColumnDataSource
    for kind, style in MARKS.items():
        marks = [mark for mark in view.marks if mark.kind == kind]
        if not marks:
            continue
        source = ColumnDataSource({"x": _s(mark.time for mark in marks), "y": [layout.mark(mark.lane, kind) for mark in marks],
                                   "tip": [mark.tip for mark in marks]}, name="marks")
        if kind == "deadline":
            stems = plot.segment(x0="x", x1="x", y0="y", y1="y1", source=ColumnDataSource({
                "x": source.data["x"], "y": source.data["y"], "y1": [y + 29 for y in source.data["y"]]}), line_width=1.6)
            _ink(stems, kind, {"line_color": "text"})
        points = plot.scatter("x", "y", source=source, marker=style.marker, size=style.size, line_width=style.width,
                              fill_alpha=1 if style.fill else 0)
        _ink(points, kind, {"line_color": style.line or "text", **({"fill_color": style.fill} if style.fill else {})})


def _flights(plot: Any, layout: Layout, flights: Sequence[Flight]) -> None:
    """From the candidate that sent a write to the resource that decided it much later."""
    from bokeh.models import ColumnDataSource
    for accepted, ink in ((True, "accepted"), (False, "refused")):
        some = [flight for flight in flights if flight.accepted == accepted]
        if not some:
            continue
        source = ColumnDataSource({
            "x0": _s(f.sent for f in some), "x1": _s(f.decided for f in some), "tip": [f.tip for f in some],
            "y0": [layout.mark(f.lane, "accepted") for f in some], "y1": [layout.mark("resource", ink) for f in some]})  # type: ignore[arg-type]
        lines = plot.segment(x0="x0", y0="y0", x1="x1", y1="y1", source=source, line_width=1.4, line_dash="dashed")
        _ink(lines, ink, {"line_color": ink})


def _labels(plot: Any, layout: Layout, ink: str, bars: Sequence[Bar]) -> None:
    """Text on bars; the page's script shows what fits and keeps it within the part that is seen."""
    from bokeh.models import ColumnDataSource
    if not bars:
        return
    middles = [sum(layout.bar(bar)) / 2 for bar in bars]
    source = ColumnDataSource({"x": _s(bar.start for bar in bars), "y": middles, "text": [""] * len(bars),
                               "left": _s(bar.start for bar in bars), "right": _s(bar.end for bar in bars),
                               "label": [bar.label for bar in bars], "short": [bar.short for bar in bars]}, name="labels")
    texts = plot.text(x="x", y="y", text="text", source=source, x_offset=5, text_baseline="middle", text_font_size="12px", text_font={"value": FONT})
    _ink(texts, "", {"text_color": ink})


def _proof(plot: Any) -> None:
    """The chosen finding: its time as a box, its ops as numbered lines; empty until the page's script fills it."""
    from bokeh.models import BoxAnnotation, ColumnDataSource
    box = BoxAnnotation(left=0, right=0, fill_alpha=0.10, line_alpha=0.9, line_width=1.5, visible=False, name="chosen", level="underlay")
    box.tags = ["ink:fill_color=certain", "ink:line_color=certain"]
    plot.add_layout(box)
    source = ColumnDataSource({"x": [], "y": [], "text": []}, name="proof")
    lines = plot.vspan(x="x", source=source, line_width=1, line_dash="dotted")
    _ink(lines, "", {"line_color": "text"})
    texts = plot.text(x="x", y="y", text="text", source=source, x_offset=3, text_baseline="middle", text_font_size="11px", text_font={"value": FONT})
    _ink(texts, "", {"text_color": "text"})


def _ink(renderer: Any, layer: str, inks: dict[str, str]) -> None:
    """Name the inks of a renderer for the page, which sets them; the light ones stand until then."""
    renderer.glyph.tags = [f"ink:{name}={ink}" for name, ink in inks.items()]
    renderer.tags = [f"layer:{layer}"] if layer else []
    for name, ink in inks.items():
        setattr(renderer.glyph, name, INKS[ink][0])
    renderer.nonselection_glyph = renderer.selection_glyph = renderer.muted_glyph = renderer.hover_glyph = None


def _s(times: Iterable[int]) -> Any:
    import numpy as np
    return np.fromiter(times, dtype=np.float64) / 1e9

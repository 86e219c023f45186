"""The HTML report as a text: whole, self-contained, and nothing from outside taken for markup."""
import json
from html.parser import HTMLParser

import msgspec
import pytest

from diarchy.checkers.verdict import Check, Finding, Verdict
from diarchy.history.columns import History
from diarchy.reports.html import render
from diarchy.reports.html.page import data
from diarchy.reports.html.palette import INKS

FETCHING = ("src", "srcset", "href", "action", "formaction", "data", "poster", "background", "xlink:href", "ping", "manifest")


class Page(HTMLParser):
    """Elements with their attributes; the text of each element by its id or name."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self._open = [], {}, []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        if tag not in ("meta", "link", "br", "input", "img"):
            self._open.append(attrs.get("id") or tag)

    def handle_endtag(self, tag):
        if self._open:
            self._open.pop()

    def handle_data(self, text):
        for name in self._open[-1:]:
            self.texts[name] = self.texts.get(name, "") + text

    @property
    def visible(self):
        return " ".join(" ".join(text for name, text in self.texts.items() if name not in ("script", "style", "figure", "places")).split())


@pytest.fixture(scope="module")
def html(story, history):
    return render(history, story.judged(history, violation=True), story.SCENARIO, story.COMMAND)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_nothing_is_fetched_from_anywhere(page):
    named = [(tag, name, value) for tag, attrs in page.tags for name, value in attrs.items() if name in FETCHING]
    assert [each for each in named if not (each[2].startswith("#") or each[2] == "data:,")] == []
    assert "url(" not in page.texts["style"]
    assert "@import" not in page.texts["style"]
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy
    assert {tag for tag, _ in page.tags} & {"iframe", "object", "embed", "img", "base", "form"} == set()


def test_it_says_the_verdict_the_findings_their_proof_and_how_to_run_it_again(page, html, story, history):
    said = page.visible
    assert page.texts["title"] == "violation: paused-leader-naive, seed 7"
    assert '<span class="word">violation</span> <span class="expected">not as expected</span>' in html
    assert "1 finding fails the run; reported: 1 possible, 2 gap." in said
    for finding in story.judged(history).checks[1].findings:
        assert finding.text in said
    assert story.COMMAND in said
    assert "about: A leader is stopped for three TTLs." in said
    assert "the last line is cut off" in said
    assert "3.6.4" in said
    rows = [attrs for tag, attrs in page.tags if tag == "article" and "finding" in attrs.get("class", "")]
    assert [row["id"] for row in rows] == [f"finding-{n}" for n in range(1, 5)]
    assert sum(tag == "button" and "data-finding" in attrs for tag, attrs in page.tags) == 4


def test_the_ops_of_a_proof_are_in_a_table_with_index_time_token_and_until(html, story, history):
    finding = story.judged(history).checks[1].findings[0]
    for index in finding.ops:
        assert f'<tr><td class="number">{index}</td><td class="number">{history.op(index).time / 1e9:.6f}</td>' in html
    acquired = history.op(finding.ops[0])
    assert f'<td class="number">{acquired.token}</td><td class="number">{acquired.until / 1e9:.6f}</td>' in html


def test_the_figure_is_json_that_bokeh_embeds(page):
    figure = json.loads(page.texts["figure"])
    assert figure["target_id"] == "timeline"
    assert figure["root_id"]
    places = json.loads(page.texts["places"])
    assert [places[0][key] for key in ("number", "start", "end")] == [1, 8.062, 12.015]


def test_bokeh_has_nothing_to_complain_of(caplog, story, history):
    render(history, story.judged(history), story.SCENARIO, story.COMMAND)
    assert [record.getMessage() for record in caplog.records] == []


def test_no_text_is_given_to_bokeh_as_a_bare_string_that_could_be_tex(page):
    assert "MathText" not in page.texts["figure"]
    assert "mathjax" not in page.texts["figure"].lower()


@pytest.fixture(scope="module")
def hostile(story):
    """A report in which every text from outside tries to get out."""
    bad = story.HOSTILE
    ops = [msgspec.structs.replace(op, error=bad, value={bad: bad} if op.process.startswith("c1/") else op.value,
                                   process=op.process.replace("nemesis/1-pause", f"nemesis/{bad}"), id=op.id and op.id + bad)
           if op.index else op for op in story.ops()]
    history = History(ops)
    finding = Finding(bad, bad, bad, (bad,), 8 * story.S, 9 * story.S, tuple(range(40)), True)
    verdict = Verdict("violation", False, bad, 1, (Check(bad, "violation", (finding,), {bad: bad, "table": [{bad: bad}]}),), (bad,), (bad,))
    return render(history, verdict, f"about: |\n  {bad}\n", bad)


def test_hostile_text_stays_text(hostile, html):
    page, honest = Page(hostile), Page(html)
    scripts = [sum(tag == "script" for tag, _ in parsed.tags) for parsed in (page, honest)]
    assert scripts == [4, 4]
    assert "img" not in {tag for tag, _ in page.tags}
    assert [name for _, attrs in page.tags for name in attrs if name.startswith("on")] == []
    assert "<img src=http" not in hostile
    json.loads(page.texts["figure"])
    json.loads(page.texts["places"])


def test_json_in_the_page_cannot_end_its_element():
    text = data({"a": "</script><!--", "b": "\u2028&amp;"})
    assert "<" not in text
    assert ">" not in text
    assert json.loads(text) == {"a": "</script><!--", "b": "\u2028&amp;"}


def test_a_megabyte_of_error_text_is_cut(story):
    ops = [msgspec.structs.replace(op, error="x" * 1_000_000) if op.error else op for op in story.ops()]
    history = History(ops)
    assert len(render(history, story.judged(history), "", "")) < 3_000_000


def test_without_scenario_command_findings_or_setup_there_is_still_a_page():
    page = Page(render(History([]), Verdict("inconclusive", False, "", 0, ()), "", ""))
    assert "Timeline" in page.visible
    assert "Run it again" not in page.visible


def test_a_scenario_that_is_no_yaml_is_shown_as_it_is(story, history):
    assert "{ not: [yaml" in Page(render(history, story.judged(history), "{ not: [yaml", "x")).visible


def test_what_a_scenario_says_of_itself_is_one_paragraph(story, history):
    said = Page(render(history, story.judged(history), "about: |\n  Two lines,\n  one thought.\n", "x")).visible
    assert "Two lines, one thought." in said
    assert "\\n" not in said


def test_many_findings_are_all_there(story, history):
    findings = tuple(Finding("possible", f"overlap number {i}", "belief", ("c1#1", "c2#1"), 8 * story.S + i * 1000, 8 * story.S + i * 1000 + 500, (1, 2)) for i in range(400))
    html = render(history, Verdict("valid", True, "s", 1, (Check("overlap", "valid", findings),)), "", "")
    assert all(f"overlap number {i}<" in html for i in range(400))
    assert html.count("data-finding=") == 400
    assert len(html) < 4_000_000


def _luminance(colour):
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize(("ink", "ground"), [
    ("text", "paper"), ("text", "panel"), ("muted", "paper"), ("muted", "panel"), ("link", "paper"), ("on-certain", "certain"), ("on-fault", "fault"),
    ("on-gap", "gap"), ("text", "leads"), ("text", "reported"), ("good", "panel"), ("bad", "panel"), ("doubt", "panel"), ("bad", "paper")])
def test_text_can_be_read(theme, ink, ground):
    light, dark = sorted((_luminance(INKS[ink][theme]), _luminance(INKS[ground][theme])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5

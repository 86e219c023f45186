"""The HTML report in a real browser, opened from a file. Pictures of the main states are left in `artifacts/`."""
import json
import shutil
import time
from pathlib import Path

import pytest

from diarchy.checkers.judge import judge
from diarchy.checkers.verdict import Check, Finding, Verdict
from diarchy.reports.html import render

pytestmark = pytest.mark.browser
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
ARTIFACTS = Path(__file__).parents[2] / "artifacts"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--force-device-scale-factor=1", "--hide-scrollbars")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("chromium and chromedriver are not installed")
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory, story, history):
    """What the checkers really say of the story."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(history, judge(history), story.SCENARIO, story.COMMAND), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def red(tmp_path_factory, story, history):
    """A violation, with hostile text in it."""
    verdict = story.judged(history, violation=True)
    hostile = Check("fencing", "violation", (Finding(story.HOSTILE, story.HOSTILE, None, ("c1#1",), 12 * story.S, 13 * story.S, (1, 2), True),))
    path = tmp_path_factory.mktemp("red") / "report.html"
    verdict = Verdict(verdict.verdict, False, verdict.scenario, 7, (*verdict.checks, hostile), verdict.unexpected, verdict.warnings)
    path.write_text(render(history, verdict, story.SCENARIO, story.COMMAND), encoding="utf-8")
    return path


def until(what, bound=20.0):
    """Wait for a predicate, at most `bound` seconds; its last value."""
    end = time.monotonic() + bound
    while not (value := what()) and time.monotonic() < end:
        time.sleep(0.05)
    return value


def visit(browser, path, width=1400, height=1000, dark=False):
    """Open a file and wait until its script has done all; older log entries are dropped."""
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
        {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}, {"name": "prefers-reduced-motion", "value": "reduce"}]})
    browser.set_window_size(width, height)
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(path.as_uri())
    assert until(lambda: browser.execute_script("return document.documentElement.dataset.ready") == "true"), browser.get_log("browser")


def picture(browser, name):
    ARTIFACTS.mkdir(exist_ok=True)
    browser.save_screenshot(str(ARTIFACTS / f"{name}.png"))


def whole(browser, name, width):
    """A picture of the whole page."""
    height = browser.execute_script("return document.documentElement.scrollHeight")
    browser.set_window_size(width, height + 150)
    until(lambda: idle(browser))
    picture(browser, name)


def idle(browser):
    return browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(() => arguments[0](Bokeh.documents[0].is_idle)))")


def axis(browser):
    return browser.execute_script("const r = Bokeh.documents[0].get_model_by_name('time'); return [r.start, r.end]")


PIXELS = """
    const counts = {};
    const walk = (node) => {
      for (const child of node.children) { if (child.shadowRoot) walk(child.shadowRoot); walk(child); if (child.tagName === "CANVAS") read(child); }
    };
    const read = (canvas) => {
      if (!canvas.width || !canvas.height) return;
      const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      for (let i = 0; i < data.length; i += 4) if (data[i + 3] === 255) { const c = [data[i], data[i + 1], data[i + 2]].join(","); counts[c] = (counts[c] ?? 0) + 1; }
    };
    walk(document.getElementById("timeline"));
    return counts;
"""


def rgb(colour):
    return ",".join(str(int(colour[i:i + 2], 16)) for i in (1, 3, 5))


def severe(browser):
    return [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def requests(browser):
    """Every address that the page asked for."""
    messages = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    return [message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"]


def click(browser, selector):
    browser.find_element("css selector", selector).click()


@pytest.mark.parametrize("width", [1400, 800])
@pytest.mark.parametrize("dark", [False, True])
def test_it_opens_from_a_file_draws_in_both_themes_and_fetches_nothing(browser, report, width, dark):
    from diarchy.reports.html.palette import INKS
    visit(browser, report, width, dark=dark)
    assert until(lambda: idle(browser))
    pixels = browser.execute_script(PIXELS)
    for ink in ("certain", "late-paused", "leads", "accepted"):
        assert pixels.get(rgb(INKS[ink][dark]), 0) > 10, f"no {ink} was drawn in {'dark' if dark else 'light'}"
    assert [url for url in requests(browser) if not url.startswith(("file:", "data:", "blob:"))] == []
    assert severe(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the window"
    whole(browser, f"report-{'dark' if dark else 'light'}-{width}", width)


def test_the_button_of_a_finding_takes_the_timeline_there(browser, red):
    visit(browser, red)
    before = axis(browser)
    click(browser, "#finding-1 button.show")
    assert until(lambda: axis(browser) != before)
    start, end = axis(browser)
    assert before[0] < start <= 8.062
    assert 12.015 <= end < before[1]
    assert browser.find_element("id", "current").text == "finding 1 of 5: frozen, accepted"
    box = browser.execute_script("const b = Bokeh.documents[0].get_model_by_name('chosen'); return [b.left, b.right, b.visible]")
    assert box == [8.062, 12.015, True]
    assert until(lambda: browser.execute_script("return document.getElementById('what').getBoundingClientRect().top < innerHeight / 2"))
    assert any(browser.execute_script("return Bokeh.documents[0].get_model_by_name('proof').data.text"))
    until(lambda: idle(browser))
    picture(browser, "report-finding-light")


def test_findings_can_be_walked_and_the_whole_run_comes_back(browser, red):
    visit(browser, red)
    before = axis(browser)
    click(browser, "[data-do=next]")
    first = axis(browser)
    click(browser, "[data-do=next]")
    assert browser.find_element("id", "current").text.startswith("finding 2 of 5")
    assert axis(browser) != first
    click(browser, "[data-do=all]")
    assert axis(browser) == before


def test_keys_zoom_and_move(browser, red):
    from selenium.webdriver.common.keys import Keys
    visit(browser, red)
    start, end = axis(browser)
    box = browser.find_element("id", "timeline")
    box.send_keys("+")
    zoomed = axis(browser)
    assert zoomed[1] - zoomed[0] == pytest.approx((end - start) / 2)
    box.send_keys(Keys.ARROW_RIGHT)
    assert axis(browser)[0] > zoomed[0]
    for _ in range(40):
        box.send_keys(Keys.ARROW_RIGHT)
    assert axis(browser)[1] == pytest.approx(end)
    box.send_keys("0")
    assert axis(browser) == [start, end]


def test_the_pointer_finds_what_lies_under_it(browser, red):
    from selenium.webdriver.common.action_chains import ActionChains
    visit(browser, red, height=1600)
    browser.execute_script("document.getElementById('what').scrollIntoView({behavior: 'instant'})")
    where = browser.execute_script("""
        const plot = Bokeh.documents[0].get_model_by_name("timeline"), view = Bokeh.index.get_by_id(plot.id);
        const bars = [...Bokeh.documents[0].all_models].filter((m) => m.type === "ColumnDataSource" && m.name === "bars");
        const late = bars.find((s) => s.data.tip[0].includes("past its lease and paused")).data;
        const frame = view.frame.bbox, box = document.getElementById("timeline").getBoundingClientRect();
        return [frame.x + view.frame.x_scale.compute(10) - box.width / 2, frame.y + view.frame.y_scale.compute((late.top[0] + late.bottom[0]) / 2) - frame.y - box.height / 2];
    """)
    box = browser.find_element("id", "timeline")
    ActionChains(browser).move_to_element_with_offset(box, round(where[0]), round(where[1])).perform()
    tip = browser.find_element("id", "tip")
    assert until(tip.is_displayed), where
    assert tip.text.startswith("c1#1 in office, token 7\npast its lease and paused")
    assert "SIGSTOP" in tip.text
    picture(browser, "report-hover-light")


def test_a_layer_can_be_switched_off(browser, red):
    visit(browser, red)
    drawn = browser.execute_script(PIXELS).get(rgb("#0072b2"), 0)
    click(browser, "[data-layer=certain]")
    assert until(lambda: idle(browser))
    assert until(lambda: browser.execute_script(PIXELS).get(rgb("#0072b2"), 0) < drawn / 2)
    assert browser.find_element("css selector", "[data-layer=certain]").get_attribute("aria-pressed") == "false"


def test_the_theme_can_be_switched(browser, red):
    visit(browser, red)
    assert browser.execute_script(PIXELS).get(rgb("#56b4e9"), 0) == 0
    click(browser, "#theme")
    assert until(lambda: idle(browser))
    assert until(lambda: browser.execute_script(PIXELS).get(rgb("#56b4e9"), 0) > 100)
    assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 30)"


def test_a_violation_with_hostile_text_is_drawn_and_runs_nothing(browser, red):
    visit(browser, red, dark=True)
    assert browser.execute_script("return document.images.length") == 0
    assert [url for url in requests(browser) if not url.startswith(("file:", "data:", "blob:"))] == []
    assert severe(browser) == []
    whole(browser, "report-violation-dark", 1400)


def test_labels_of_one_row_never_meet_however_many_findings_there_are(browser, tmp_path, story, history):
    findings = tuple(Finding("overstayed", f"number {i}", "belief", ("c1#1",), 4 * story.S + i * 150 * story.MS, 6 * story.S + i * 150 * story.MS, (1,), True)
                     for i in range(80))
    path = tmp_path / "report.html"
    path.write_text(render(history, Verdict("violation", False, "many", 1, (Check("overlap", "violation", findings),)), "", ""), encoding="utf-8")
    visit(browser, path)
    for button in (None, "[data-do=in]", "[data-do=in]"):
        if button:
            click(browser, button)
        assert until(lambda: idle(browser))
        met, labels = browser.execute_script("""
            const doc = Bokeh.documents[0], plot = doc.get_model_by_name("timeline"), range = plot.x_range;
            const scale = plot.inner_width / (range.end - range.start), pen = document.createElement("canvas").getContext("2d");
            pen.font = "12px system-ui, sans-serif";
            const rows = {};
            for (const source of [...doc.all_models].filter((m) => m.name === "labels")) {
              source.data.text.forEach((text, i) => {
                if (text) (rows[source.data.y[i]] ??= []).push([source.data.x[i] * scale, source.data.x[i] * scale + pen.measureText(text).width]);
              });
            }
            let met = 0, labels = 0;
            for (const row of Object.values(rows)) {
              row.sort((a, b) => a[0] - b[0]);
              labels += row.length;
              for (let i = 1; i < row.length; i++) if (row[i][0] < row[i - 1][1]) met++;
            }
            return [met, labels];
        """)
        assert met == 0
        assert labels > 10


def test_it_prints(browser, red):
    import base64
    visit(browser, red, dark=True)
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True, "landscape": True})["data"])
    assert pdf.startswith(b"%PDF")
    ARTIFACTS.mkdir(exist_ok=True)
    (ARTIFACTS / "report.pdf").write_bytes(pdf)
    assert browser.execute_script("return document.documentElement.dataset.theme ?? 'none'") == "none"

"""Progress of a run: a panel on a terminal, lines in a log."""
import io

from rich.console import Console

from diarchy.reports.live import Live


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def told(story, **options):
    """The whole story shown to a Live on a console, with a clock that follows the ops."""
    out, clock = io.StringIO(), Clock()
    with Live(Console(file=out, width=80, **options), 15.0, clock) as live:
        live.phase("preparing")
        live.phase("running")
        for op in story.ops():
            clock.now = op.time / 1e9
            live.see(op)
        return live, out, clock


def test_a_log_has_a_line_for_each_phase_leader_and_fault(story):
    _, out, _ = told(story)
    lines = out.getvalue().splitlines()
    assert [line.split("s  ", 1)[1] for line in lines] == [
        "preparing", "running", "c1#1 elected, token 7", "fault: pause c1#1", "c2#1 elected, token 9",
        "fault: slow c3 ↔ n3 by 200.0 ms ± 50.0 ms", "fault: heal c3 ↔ n3 by 200.0 ms ± 50.0 ms", "fault: resume c1#1", "c1#1 stepped down",
        "fault: cut n2 ↔ c1, c2, c3 and 2 more", "fault: kill c2#1", "fault: heal n2 ↔ c1, c2, c3 and 2 more",
        "c3#1 elected, token 12", "fault: start c2#1", "fault: slow c1 → n1 by 300.0 ms: did not take hold", "fault: heal c1 → n1 by 300.0 ms",
        "c3#1 stepped down"]
    assert lines[2] == "    3.51 s  c1#1 elected, token 7"
    assert "\x1b" not in out.getvalue()


def test_it_counts_and_knows_who_is_in_office_and_which_faults_are_active(story):
    live, clock = Live(None, 15.0, Clock()), 0
    live.phase("running")
    for op in story.ops():
        if op.time > 9_500_000_000:
            break
        live.see(op)
        clock = op.time
    assert clock > 9_400_000_000
    out = io.StringIO()
    Console(file=out, width=100).print(live.draw())
    text = " ".join(out.getvalue().split())
    assert "in office c1#1, token 7; c2#1, token 9" in text
    assert "faults pause c1#1; slow c3 ↔ n3 by 200.0 ms ± 50.0 ms" in text
    assert f"2 acquired; writes: {live.accepted} accepted, 0 refused, 0 unknown" in text
    assert live.accepted > 700


def test_at_the_end_nobody_leads_and_no_fault_is_active(story):
    live, _, _ = told(story)
    out = io.StringIO()
    Console(file=out, width=80).print(live.draw())
    text = " ".join(out.getvalue().split())
    assert "in office nobody faults none" in text
    assert (live.acquires, live.accepted, live.refused, live.unknown) == (3, 2068, 3, 1)


def test_on_a_terminal_it_draws_and_leaves_nothing_behind(story):
    _, out, _ = told(story, force_terminal=True, color_system=None)
    assert "in office" in out.getvalue()
    assert out.getvalue().endswith("\x1b[2K")
    assert "c1#1 elected, token 7\n" not in out.getvalue()


def test_the_panel_fits_80_columns(story):
    live, _, _ = told(story)
    out = io.StringIO()
    Console(file=out, width=80).print(live.draw())
    assert max(map(len, out.getvalue().splitlines())) <= 80

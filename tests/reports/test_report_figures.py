"""Statistics as lines, groups and tables."""
from diarchy.reports.figures import Group, Line, Table, figures


def test_names_that_end_in_ns_are_times_also_for_what_lies_within():
    said = list(figures({"longest_ns": 1_500_000, "overlap_ns": {"frozen": 2_000_000_000, "granted": 0}, "share": 0.25, "sound": False, "gone": None}))
    assert said == [Line("longest", "1.5 ms"),
                    Group("overlap", (Line("frozen", "2.000 s"), Line("granted", "0", none=True))),
                    Line("share", "25.0%"), Line("sound", "no")]


def test_a_count_and_a_time_of_one_name_are_told_apart():
    assert [line.label for line in figures({"gaps": 2, "gaps_ns": 5})] == ["gaps", "gaps, time"]


def test_distributions_by_kind_are_a_table():
    spread = {"p50": 1_000_000, "p90": 2_000_000, "max": 3_000_000}
    [table] = figures({"failover": {"kill node": {"count": 2, "election_ns": spread, "detection_ns": None}}})
    assert table == Table("failover", ("", "p50", "p90", "max"), (
        ("kill node (2)", "", "", ""), ("election", "1.0 ms", "2.0 ms", "3.0 ms")))


def test_records_are_a_table_with_every_key():
    [table] = figures({"waits": [{"who": "c1", "wait_ns": 1_000_000_000}, {"who": "c2", "why": "late"}]})
    assert table == Table("waits", ("who", "wait", "why"), (("c1", "1.000 s", ""), ("c2", "", "late")))


def test_lists_and_empty_groups():
    assert list(figures({"nodes": ["n1", "n2"], "none": [], "kinds": {}})) == [
        Line("nodes", "n1, n2"), Line("none", "none", none=True), Group("kinds", ())]

"""Whatever is wrong with a scenario is told at once, with its place and what was meant, and never as a traceback."""
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refused import wrong

from diarchy.harness.scenario import BadScenario, load

GOOD = """\
name: small
cluster: {kind: etcd}
workload: {kind: lock, ttl: 2s, renew_every: 500ms}
duration: 10s
"""

BAD = """\
name: no
about: 012
cluster: {kind: etcd, nodes: 3, elecion: 2s}
workload: {kind: lock, recipe: carefull, ttl: 5, renew_every: 3s, candidates: 0, fence: off}
duration: 10:30
nemeses:
  - {kind: partiton, target: leader}
  - {kind: partition, shape: isolate, target: n7, at: 2s, after: 3s}
  - {target: leader}
  - {kind: pause, target: leadr, for: 5, every: 2s}
  - {kind: kill, target: c60, times: 3, times: 4}
  - pause
  - {kind: latency, target: "candidate:leader", peers: candidates, jitter: 10ms}
checks: [{kind: overlap, fail_on: [grantd]}]
expect: {fencing: {verdict: valid}, overlap: {verdict: fine}}
seed: -1
sede: 3
"""

SAID = """\
1:7: expected text, got no, which means false in YAML; in quotes it is text: 'no'
2:8: 012 means 10 in YAML (base 8); write 10, or '012' in quotes if text is meant
3:33: unknown key 'elecion'; did you mean 'election'?
4:32: 'carefull' is no value of recipe; did you mean 'careful'?
4:47: expected a duration (a number and a unit, such as 250ms, 3s or 2m), got the number 5; write 5s or 5ms
4:79: 0 is less than 1, the minimum of candidates
5:11: 10:30 means 630 in YAML (base 60); write 630, or '10:30' in quotes if text is meant; a duration has a unit, such as 90s or 10m
7:12: unknown kind: 'partiton'; did you mean 'partition'?
8:47: there is no n7; the nodes are n1 to n3
8:66: given together with `at`; give one of them: `at` counts from the start, `after` from the first leader
9:5: the key 'kind' is missing; known: partition, latency, stall, reset, pause, kill, skew
10:27: unknown target 'leadr'; did you mean 'leader'?
10:39: expected a duration (a number and a unit, such as 250ms, 3s or 2m), got the number 5; write 5s or 5ms
11:26: there is no c60; the candidates are c1 to c50
11:38: needs `every`: how long from one to the next
11:41: duplicate key 'times'; it was given in line 11 already
12:5: expected a mapping such as {kind: pause}, got the text 'pause'
13:56: candidates have no links to each other; they have links to the nodes and to the resource
13:76: 10ms is more than the latency (0s): a delay cannot be negative
14:36: 'grantd' is no value of fail_on; did you mean 'granted'?
15:56: 'fine' is no value of verdict; known: inconclusive, valid, violation
16:7: -1 is less than 0, the minimum of seed
17:1: unknown key 'sede'; did you mean 'seed'?
"""


def test_a_thoroughly_bad_scenario_is_told_all_at_once(tmp_path: Path) -> None:
    assert "\n".join(wrong(tmp_path, BAD)) + "\n" == SAID


@pytest.mark.parametrize(("line", "said"), [
    ("settle: [3s]", "5:9: expected a duration (a number and a unit, such as 250ms, 3s or 2m), got a list"),
    ("settle: 3", "5:9: expected a duration (a number and a unit, such as 250ms, 3s or 2m), got the number 3; write 3s or 3ms"),
    ("settle: 3 s", "5:9: '3 s' is no duration; write a number and a unit, such as 250ms, 3s or 2m"),
    ("settle: 3min", "5:9: '3min' is no duration; write a number and a unit, such as 250ms, 3s or 2m"),
    ("settle: -3s", "5:9: '-3s' is no duration; write a number and a unit, such as 250ms, 3s or 2m"),
    ("settle: on", "5:9: expected a duration (a number and a unit, such as 250ms, 3s or 2m), got on, which means true in YAML"),
    ("settle: 1000h", "5:9: 1000h is longer than 168h"),
    ("settle:", "5:8: expected a duration (a number and a unit, such as 250ms, 3s or 2m), got nothing"),
    ("seed: 0x10", "5:7: 0x10 means 16 in YAML (base 16); write 16, or '0x10' in quotes if text is meant"),
    ("seed: 1_000", "5:7: 1_000 means 1000 in YAML (with an underscore); write 1000, or '1_000' in quotes if text is meant"),
    ("seed: 1:30.5", "5:7: 1:30.5 is a number to the base 60 in YAML; a duration has a unit, such as 90s or 10m"),
    ("seed: 1.0", "5:7: expected a whole number, got the number 1.0"),
    ("seed: seven", "5:7: expected a whole number, got the text 'seven'"),
    ("about: 3", "5:8: expected text, got the number 3; in quotes it is text: '3'"),
    ("about:", "5:7: expected text, got nothing"),
    ("about: [a]", "5:8: expected text, got a list"),
    ("tags: known-unsafe", "5:7: expected a list, got the text 'known-unsafe'"),
    ("tags: [yes]", "5:8: expected text, got yes, which means true in YAML; in quotes it is text: 'yes'"),
    ("nemeses: {kind: pause, target: leader}", "5:10: expected a list, got a mapping"),
    ("nemeses: [{kind: [pause]}]", "5:18: unknown kind: a list; did you mean 'pause'?"),
    ("nemeses: [{kind: pause}]", "5:11: the key 'target' is missing: nodes or candidates; see the table of targets"),
    ("nemeses: [{kind: pause, target: leader, for: 0s}]", "5:46: must be more than nothing"),
    ("nemeses: [{kind: pause, target: leader, times: 0}]", "5:48: 0 is less than 1, the minimum of times"),
    ("nemeses: [{kind: partition, target: leader, peers: 5}]", "5:52: expected text, got the number 5; in quotes it is text: '5'"),
    ("nemeses: [{kind: partition, target: leader, peers: [5]}]", "5:53: expected text, got the number 5; in quotes it is text: '5'"),
    ("checks: [{kind: overlap}, {kind: overlap}]", "5:27: overlap is listed twice; its options go into one"),
    ("expect: {overlp: {verdict: valid}}", "5:10: overlp is not among the checks of this scenario; did you mean 'overlap'?"),
    ("expect: {overlap: {}}", "5:19: the key 'verdict' is missing: what the check must say"),
    ("expect: {overlap: {verdict: valid, kinds: [frozn]}}", "5:44: overlap has no kind 'frozn'; did you mean 'frozen'?"),
    ("expect: {overlap: {verdict: valid, levels: [belive]}}", "5:45: overlap has no level 'belive'; did you mean 'belief'?"),
    ("<<: {seed: 3}", "5:1: merge keys (<<) are not understood; write the options out"),
    ("? [a, b]\n: 3", "5:3: a key is one word, this is a list or a mapping"),
    ("about: !!python/object:os.system x", "5:8: the tag python/object:os.system is not understood; leave it out"),
    ("about: !secret x", "5:8: the tag !secret is not understood; leave it out"),
    ("duration: 11s", "5:1: duplicate key 'duration'; it was given in line 4 already"),
    ("on: 3", "5:1: unknown key 'on'; known: name"),
])
def test_one_line_too_many(tmp_path: Path, line: str, said: str) -> None:
    assert [text[:len(said)] for text in wrong(tmp_path, GOOD + line + "\n")] == [said]


@pytest.mark.parametrize(("old", "new", "said"), [
    ("name: small\n", "", ["1:1: the key 'name' is missing"]),
    ("name: small", "name: Small One", ["1:7: 'Small One' is no name; small letters"]),
    ("name: small", "name: 2024-01-01", []),
    ("{kind: etcd}", "etcd", ["2:10: expected a mapping such as {kind: etcd}, got the text 'etcd'"]),
    ("{kind: etcd}", "{kind: ectd, nodes: 99}", ["2:17: unknown kind: 'ectd'; did you mean 'etcd'?"]),
    ("{kind: etcd}", "{nodes: 3}", ["2:10: the key 'kind' is missing; known: etcd"]),
    ("{kind: etcd}", "{kind: etcd, nodes: 8}", ["2:30: 8 is more than 7, the maximum of nodes"]),
    ("{kind: etcd}", "{kind: etcd, election: 400ms}", ["2:33: 400ms is less than five heartbeats (100ms each); etcd refuses to start"]),
    ("{kind: etcd}", "{kind: etcd, election: 60s}", ["2:33: 1m is more than 50s", "3:29: 2s is shorter than the least lease that etcd grants"]),
    ("{kind: etcd}", "{kind: etcd, heartbeat: 100us}", ["2:34: 100us is no whole number of milliseconds"]),
    ("{kind: etcd}", "{kind: etcd, heartbeat: 0s}", ["2:34: must be more than nothing"]),
    ("ttl: 2s", "ttl: 1s", ["3:29: 1s is shorter than the least lease that etcd grants with this election timeout, 2s"]),
    ("ttl: 2s", "ttl: 2500ms", ["3:29: 2500ms is no whole number of seconds"]),
    ("500ms", "2s", ["3:46: 2s is not shorter than the TTL (2s)"]),
    ("500ms", "500ms, timeout: 2s", ["3:62: 2s is not shorter than the TTL (2s)"]),
    ("500ms", "500ms, fence: maybe", ["3:60: expected true or false, got the text 'maybe'"]),
    ("duration: 10s", "duration: 0s", ["4:11: must be more than nothing"]),
])
def test_one_line_changed(tmp_path: Path, old: str, new: str, said: list[str]) -> None:
    text = GOOD.replace(old, new)
    assert text != GOOD
    if said:
        found = wrong(tmp_path, text)
        assert [line[:len(start)] for line, start in zip(found, said, strict=True)] == said
    else:
        (tmp_path / "good.yaml").write_text(text)
        load(tmp_path / "good.yaml")


@pytest.mark.parametrize(("text", "said"), [
    ("", "the file is empty"),
    ("# only words\n", "the file is empty"),
    ("- a\n- b\n", "1:1: expected a mapping, got a list"),
    ("just words\n", "1:1: expected a mapping, got the text 'just words'"),
    ("null\n", "1:1: expected a mapping, got nothing"),
    ("name: [a\n", "2:1: this is no YAML: did not find expected ',' or ']' while parsing a flow sequence"),
    ("a: b\n\tc: d\n", "2:1: this is no YAML"),
    ("a: *b\n", "1:4: this is no YAML: found undefined alias"),
    ("a: 1\n---\nb: 2\n", "2:1: this is no YAML: but found another document"),
    ("a: \x07\n", "1:4: a character that no YAML may hold: #x0007"),
    (b"name: small\nabout: caf\xe9\n", "2:11: the byte 0xe9 is no UTF-8; save the file as UTF-8"),
    (b"\xff\xfen\x00", "1:1: the byte 0xff is no UTF-8"),
    ("a: &a [*a]\n", "1:4: nested deeper than 30 levels"),
    ("[" * 100_000, "1:31: nested deeper than 30 levels"),
    ("{a: " * 100_000, "nested deeper than 30 levels"),
    ("a: " + "x" * (2 << 20), "is larger than 1 MiB; is it a scenario?"),
])
def test_what_is_no_scenario_at_all(tmp_path: Path, text: str | bytes, said: str) -> None:
    (line,) = wrong(tmp_path, text)
    assert said in line


def test_aliases_cannot_grow_without_bound(tmp_path: Path) -> None:
    laughs = "a: &a [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n" + "".join(
        f"{new}: &{new} [{', '.join(['*' + old] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True))
    (line,) = wrong(tmp_path, laughs)
    assert "more than 20000 values, each alias counted as often as it is used" in line


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadScenario, match=r"gone\.yaml: there is no such file"):
        load(tmp_path / "gone.yaml")
    with pytest.raises(BadScenario, match="is a directory; name a scenario file in it"):
        load(tmp_path)
    with pytest.raises(BadScenario, match="cannot be read: Not a directory"):
        load(Path(__file__) / "below.yaml")


def test_a_fault_that_the_cluster_cannot_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from diarchy.clusters.etcd.options import Etcd
    from diarchy.history.faults import Cut, Pause

    monkeypatch.setattr(Etcd, "supports", frozenset({Cut, Pause}))
    text = GOOD + "nemeses: [{kind: kill, target: leader}, {kind: pause, target: leader}]\n"
    assert wrong(tmp_path, text) == ["5:18: this cluster cannot do kill; it can do cut, pause"]


def test_a_windows_file_is_read_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "dos.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load(path).name == "small"


def test_nothing_false_is_said_of_what_depends_on_a_mistake(tmp_path: Path) -> None:
    """A TTL that cannot be read is one mistake, not also a renewal that is too rare; and so on."""
    text = """\
name: small
cluster: {kind: etcd, nodes: five}
workload: {kind: lock, ttl: 9, renew_every: 8s, candidates: many}
duration: long
nemeses:
  - {kind: pause, target: n5, at: 2h, for: 3}
  - {kind: pause, target: c9, every: 5s, fr: 3s}
checks: [{kind: overlop}]
expect: {overlap: {verdict: valid}}
"""
    assert [line.split(": ")[0] for line in wrong(tmp_path, text)] == ["2:30", "3:29", "3:61", "4:11", "6:44", "7:42", "8:17"]


@settings(max_examples=60, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["etcd", "simulated", "lock", "raft", "pause", "3s", "leader"]),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
                        ["kind", "name", "cluster", "workload", "duration", "nemeses", "checks", "expect", "target", "for", "ttl", "service",
                         "network", "x"]),
                        inner, max_size=5), max_leaves=20))
def test_any_data_at_all_is_answered_in_words(tmp_path_factory: pytest.TempPathFactory, data: object) -> None:
    import yaml

    path = tmp_path_factory.mktemp("any") / "any.yaml"
    path.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    with pytest.raises(BadScenario) as error:
        load(path)
    assert all(line.startswith(str(path)) for line in str(error.value).splitlines())

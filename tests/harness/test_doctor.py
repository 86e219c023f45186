"""The doctor: what is there is ok, what is not there is named with its remedy, and only what is needed bars a run."""
import io
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from diarchy.clusters.docker import images, owner, sweep
from diarchy.harness import doctor, rehearsal
from diarchy.harness.doctor import Finding


def shown(findings: list[Finding]) -> str:
    out = io.StringIO()
    doctor.show(Console(file=out, width=200), findings)
    return out.getvalue()


def test_only_what_is_needed_and_missing_bars_a_run() -> None:
    fine = Finding("engine", "ok", "20.10", needed=True)
    assert doctor.ready([fine, Finding("Chromium", "missing", "no"), Finding("disk", "warning", "little", needed=True)])
    assert not doctor.ready([fine, Finding("setpriv", "missing", "no", "apt", needed=True)])


def test_the_table_says_what_mends_it_and_sums_up() -> None:
    said = shown([Finding("engine", "missing", "none [here]", "make docker", needed=True), Finding("go", "ok", "/bin/go", "install go")])
    assert re.search(r"missing +engine +none \[here\]\s+→ make docker", said)
    assert "install go" not in said
    assert "cannot run here yet: engine." in said


def test_without_an_engine_the_rest_is_still_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    findings = {finding.name: finding for finding in doctor.examine()}
    assert findings["Docker engine"].state == "missing"
    assert "make docker" in findings["Docker engine"].remedy
    assert not doctor.ready(list(findings.values()))
    assert {"Python", "libraries", "setpriv", "go", "Chromium", "disk"} <= set(findings)


def test_an_engine_that_accepts_and_says_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ENGINE_S", 1)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "docker.sock"))
        silent.listen()
        [finding] = doctor.engine()
    assert finding.state == "missing"
    assert "does not answer" in finding.seen


def test_programs_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.setpriv() == Finding(
        "setpriv", "missing", "candidates cannot be made to die with the harness", "sudo apt-get install util-linux", needed=True
    )
    assert {finding.state for finding in doctor.builders()} == {"warning"}
    assert doctor.browser().seen.startswith("not there")
    chromium = tmp_path / "chromium"
    chromium.touch(0o755)
    assert doctor.browser().seen == f"{chromium} has no chromedriver: tests that look at reports are left out"
    (tmp_path / "chromedriver").touch(0o755)
    assert doctor.browser() == Finding("Chromium", "ok", str(chromium))


def test_an_absent_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.metadata, "requires", lambda _: ["pytest>=8", "no-such-thing[x]>=1; python_version>'3'", 'ruff; extra == "dev"'])
    finding = doctor.libraries()
    assert (finding.state, finding.remedy) == ("missing", "pip install no-such-thing")


@pytest.mark.parametrize(("state", "verdict"), [("fresh", "ok"), ("pulled", "ok"), ("stale", "warning"), ("missing", "missing")])
def test_images(state: str, verdict: str) -> None:
    entry = images.Entry("etcd", "3.6.6", "diarchy/etcd:3.6.6", "built here", 1, state)  # type: ignore[arg-type]
    finding = doctor.image(entry)
    assert (finding.state, finding.needed) == (verdict, True)
    if verdict != "ok":
        assert finding.remedy == "diarchy images build etcd"


@pytest.mark.docker
def test_on_this_engine_all_is_well_and_nothing_stays_behind() -> None:
    findings = doctor.examine()
    assert [finding for finding in findings if finding.state == "missing"] == []
    assert {"bridge", "aliases", "gateway"} <= {finding.name for finding in findings if finding.state == "ok"}
    assert doctor.ready(findings)
    assert msgspec.json.decode(msgspec.json.encode(findings), type=list[Finding]) == findings
    client = images.connect()
    kept = [*client.api.containers(all=True), *client.api.networks()]
    client.close()
    assert not [entry for entry in kept if entry["Labels"].get(owner.RUN, "").startswith(f"doctor-{os.getpid()}-")]


@pytest.mark.docker
def test_a_route_that_is_blocked_is_reported_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second container asks for an alias that nobody has."""
    monkeypatch.setattr(rehearsal, "WITHIN_S", 1.0)
    client = images.connect()
    routes = {route.name: route for route in rehearsal.rehearse(client, "169.254.213.77")}
    client.close()
    assert "not so" in routes["aliases"].problem
    assert "firewall" in routes["aliases"].remedy
    assert routes["bridge"].problem == routes["gateway"].problem == ""


@pytest.mark.docker
def test_leftovers_of_dead_runs_are_counted_and_those_of_living_ones_are_not() -> None:
    script = (
        "from diarchy.clusters.docker import images, network, owner\n"
        "network.create(images.connect(), 'left', owner.current().labels('left-behind-by-a-test'))\n"
    )
    client = images.connect()
    try:
        subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
        finding = doctor.leftovers(client)
        assert (finding.state, finding.remedy) == ("warning", "diarchy clean")
    finally:
        sweep.sweep(client, only="left-behind-by-a-test")
        client.close()

"""The command line. Progress goes to stderr, answers to stdout."""
import gc
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diarchy.harness.store import ROOT

if TYPE_CHECKING:
    from diarchy.harness.seeds import Seeds

STATUSES = """Exit status: 0 as expected · 1 not as expected, or a violation that was not · 3 inconclusive · 64 wrong usage ·
65 bad scenario or history · 69 no Docker engine, image or cluster · 70 a file that cannot be written, a deadlock of
the simulated world, or an internal error ·
130 interrupted · 143 terminated."""

SPARED = 50_000
"""So many new objects until the next collection: with Python's own 700, imports, which leave hardly any garbage, take a tenth longer."""

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True, rich_markup_mode=None,
    help="Chaos for leader election: run a scenario on a real cluster, inject faults, and prove from the history whether two leaders overlapped.",
    epilog=STATUSES)
images = typer.Typer(no_args_is_help=True, help="The container images that real clusters need.")
app.add_typer(images, name="images")

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for scripts.")]
Sets = Annotated[list[str] | None, typer.Option(
    "--set", metavar="PATH=VALUE", help="Change the scenario, e.g. workload.fence=false or nemeses.0.for=5s. May be repeated.")]


class Until(StrEnum):
    """Where a series of seeds ends early."""

    VIOLATION = "violation"
    UNEXPECTED = "unexpected"


def version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version as of
        typer.echo(f"diarchy {of('diarchy')}")
        raise typer.Exit


@app.callback()
def root(version_: Annotated[bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version.")] = False) -> None:
    """Nothing of its own."""


@app.command(epilog=STATUSES)
def run(
    scenario: Annotated[Path, typer.Argument(help="The scenario, a YAML file (see scenarios/ and docs/scenarios.md).")],
    seed: Annotated[int | None, typer.Option(help="The dice; default: the scenario's, else a new one, which is printed.")] = None,
    out: Annotated[Path, typer.Option(help="Where runs are kept.")] = ROOT,
    json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    sets: Sets = None,
    report: Annotated[bool | None, typer.Option("--report/--no-report", help=(
        "Write the HTML report. Default: of a run on real servers; for a simulated one the command that writes it is printed."))] = None,
    seeds: Annotated[str | None, typer.Option(metavar="SEEDS", help=(
        "Run it once for each: 1..1000, 5, 1..10,20, or 7.. without end. Simulated scenarios only. Files are kept of at most "
        "20 runs that were not as expected."))] = None,
    until: Annotated[Until | None, typer.Option(help=(
        "Stop at the first seed whose verdict is a violation, or is not as expected. Without --seeds: from 1 on."))] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes for many seeds; default: one for each core.")] = None,
    check_determinism: Annotated[bool, typer.Option("--check-determinism", help=(
        "Run it twice, in two processes, and compare the histories byte by byte. Simulated scenarios only."))] = False,
) -> int:
    """Run a scenario, judge its history, write the report.

    With many seeds the exit status is 0 if every run was as expected, 1 if one was not, 3 if those were all inconclusive, 70 if one
    ended in an error. Where a scenario expects a violation, --until violation looks for it: 0 if it is found as expected, 1 if
    it is not found, or another one is.

    Examples: diarchy run scenarios/etcd/paused-leader.yaml --set workload.ttl=4s;
    diarchy run scenarios/simulated/raft.yaml --seeds 1..1000
    """
    from diarchy.harness.perform import Asked, perform
    asked = Asked(scenario, out, tuple(sets or ()))
    together(**{"--seed": seed is not None, "--seeds or --until": bool(seeds or until)})
    together(**{"--check-determinism": check_determinism, "--seeds or --until": bool(seeds or until)})
    if check_determinism:
        from diarchy.harness.determinism import compare
        return compare(asked, seed)
    if seeds or until:
        from diarchy.harness.trials import attempt
        return attempt(asked, parsed(seeds or "1.."), until, jobs or len(os.sched_getaffinity(0)), as_json=json, quiet=quiet)
    return perform(asked, seed, as_json=json, quiet=quiet, report=report)


def parsed(text: str) -> "Seeds":
    """The seeds meant."""
    from diarchy.harness.seeds import Seeds
    try:
        return Seeds(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--seeds") from None


def together(**options: bool) -> None:
    """Refuse options that contradict each other."""
    if all(options.values()):
        raise typer.BadParameter(f"{' and '.join(options)} cannot both be meant")


@app.command(epilog=STATUSES)
def check(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or a history.jsonl.")],
    json: Json = False,
) -> int:
    """Judge a stored run again, from its history alone: the same bytes of verdict.json."""
    from diarchy.harness.conclude import conclude, keep, say, status
    from diarchy.harness.statuses import complain
    from diarchy.harness.store import CannotWrite
    concluded = conclude(run)
    say(concluded.verdict, json)
    try:
        keep(concluded)
    except CannotWrite as error:
        complain(f"{error.what}; the verdict stands as printed")
    return status(concluded.verdict)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or a history.jsonl.")],
    out: Annotated[Path | None, typer.Option(help="The file to write; default: report.html in the run's folder.")] = None,
) -> int:
    """Write the HTML report of a stored run again."""
    from diarchy.harness.conclude import conclude
    from diarchy.harness.conclude import report as write
    typer.echo(write(conclude(run), out))
    return 0


@app.command()
def validate(
    scenarios: Annotated[list[Path], typer.Argument(help="Scenario files, or folders of them.")],
    sets: Sets = None,
) -> int:
    """Check scenario files and start nothing: every error of a file at once, each with its line and column."""
    from diarchy.harness.scenario import BadScenario, expand, load
    status = 0
    for path in expand(scenarios):
        try:
            load(path, tuple(sets or ()))
            typer.echo(f"{path}: ok")
        except BadScenario as error:
            typer.echo(str(error), err=True)
            status = 65
    return status


@app.command(name="list")
def list_(
    what: Annotated[str | None, typer.Argument(help="clusters, services, workloads, nemeses, checks or targets; default: all.")] = None,
    json: Json = False,
) -> int:
    """List what a scenario can name: kinds, their options, defaults and meaning."""
    from diarchy.harness.listing import show
    return show(what, json)


@app.command()
def schema() -> int:
    """Print the JSON Schema of scenarios, for editors."""
    import msgspec

    from diarchy.harness.scenario import schema as made
    typer.echo(msgspec.json.format(msgspec.json.encode(made()), indent=2).decode())
    return 0


@app.command()
def doctor(json: Json = False) -> int:
    """Say what this machine lacks for real clusters, and the command that mends it."""
    import msgspec
    from rich.console import Console

    from diarchy.harness.doctor import examine, ready, show
    findings = examine()
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(findings), indent=2).decode())
    else:
        show(Console(), findings)
    return 0 if ready(findings) else 69


@app.command()
def clean() -> int:
    """Remove the containers and networks of runs whose harness is dead. Those of living runs stay."""
    from diarchy.clusters.docker.engine import asking
    from diarchy.clusters.docker.images import connect
    from diarchy.clusters.docker.sweep import stuck, sweep
    client = connect()
    with asking("removing what dead runs left"):
        said = sweep(client)
    left = stuck(said)
    for line in said:
        typer.echo(line, err=line in left)
    removed = len(said) - len(left)
    typer.echo(f"{removed} removed" if removed else "nothing was removed" if left else "nothing was left behind")
    return 69 if left else 0


@images.command("build")
def images_build(
    names: Annotated[list[str] | None, typer.Argument(help="toxiproxy, etcd, helper; default: all.")] = None,
    force: Annotated[bool, typer.Option(help="Build again what is there and fresh.")] = False,
) -> int:
    """Make the images from package registries alone: no image registry, no base image, no root."""
    from diarchy.clusters.docker.images import build
    build(known_images(names), lambda line: typer.echo(line, err=True), force=force)
    return 0


@images.command("list")
def images_list(json: Json = False) -> int:
    """Which image each part would use, and where it comes from."""
    from diarchy.harness.listing import show_images
    return show_images(json)


@images.command("remove")
def images_remove(
    names: Annotated[list[str] | None, typer.Argument(help="toxiproxy, etcd, helper; default: all.")] = None,
) -> int:
    """Remove the images that were built here. Pulled ones stay."""
    from diarchy.clusters.docker.images import remove
    remove(known_images(names), lambda line: typer.echo(line, err=True))
    return 0


def known_images(names: list[str] | None) -> tuple[str, ...]:
    """The images meant; none given means all of them."""
    from diarchy.clusters.docker.images import IMAGES
    for name in names or ():
        if name not in IMAGES:
            raise typer.BadParameter(f"there is no image {name!r}; there are {', '.join(IMAGES)}")
    return tuple(names or ())


def main() -> None:
    """The console script."""
    gc.set_threshold(SPARED)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy starts them for matrices, which nobody multiplies here
    from diarchy.harness.statuses import status
    sys.exit(status(app))

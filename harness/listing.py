"""`diarchy list` and `diarchy images list`: what there is, for people and for scripts."""
import sys
from collections.abc import Iterable
from typing import Any

import msgspec
import typer
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from diarchy.harness.catalog import Kind, Option, kinds, options, targets
from diarchy.nemeses.schedule import Schedule


def show(what: str | None, as_json: bool) -> int:
    """Kinds of one group (or all), and the targets."""
    groups = {group: [kind for kind in kinds() if kind.group == group] for group in dict.fromkeys(kind.group for kind in kinds())}
    if what is not None and what not in (*groups, "targets"):
        raise typer.BadParameter(f"{what!r} is none of {', '.join((*groups, 'targets'))}")
    chosen = [group for group in groups if what in (None, group)]
    with_targets = what in (None, "targets")
    if as_json:
        data: dict[str, Any] = {group: groups[group] for group in chosen}
        if with_targets:
            data["targets"] = targets()
        put(data)
        return 0
    console = Console()
    for group in chosen:
        console.print(Text(group, style="bold"))
        for kind in groups[group]:
            _kind(console, kind, in_full=what is not None)
        if group == what == "nemeses":
            console.print(Text("\n  all of them: when, and how often", style="bold"))
            _options(console, options(Schedule))
    if with_targets:
        console.print(Text("targets", style="bold"))
        _rows(console, ((row.name, row.about) for row in targets()))
    if what is None:
        console.print(f"\nOptions, types and defaults: diarchy list {' | '.join(groups)}", highlight=False)
    return 0


def show_images(as_json: bool) -> int:
    """Which image each part would use."""
    from diarchy.clusters.docker.images import entries

    if as_json:
        put(entries())
        return 0
    table = Table("image", "version", "reference", "from", "MB", "state", box=box.SIMPLE_HEAD)
    for entry in entries():
        table.add_row(entry.name, entry.version, entry.reference, entry.source, f"{entry.size / 1e6:.1f}", entry.state)
    Console().print(table)
    return 0


def put(data: object) -> None:
    """JSON on stdout."""
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n")


def _kind(console: Console, kind: Kind, in_full: bool) -> None:
    if not in_full:
        _rows(console, [(kind.name, kind.about.partition("\n")[0])])
        return
    console.print(Text.assemble("\n  ", (kind.name, "bold")))
    console.print(Padding(Text(" ".join(kind.about.split())), (0, 0, 0, 4)))
    _options(console, kind.options)


def _options(console: Console, options: Iterable[Option]) -> None:
    _rows(console, ((option.name, f"{option.about} [{option.type.replace('`', '')}; "
                     f"{'required' if option.default is None else f'default {option.default}' if option.default else 'no default'}]")
                    for option in options), indent=4)


def _rows(console: Console, rows: Iterable[tuple[str, str]], indent: int = 2) -> None:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, min_width=20 - indent)
    for name, about in rows:
        table.add_row(Text(name, style="bold"), Text(about))
    console.print(Padding(table, (0, 0, 0, indent)))

"""The tree keeps its own rules: which way imports go, how long things are, what is called where, that links lead somewhere."""
import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("history", "checkers", "clusters", "nemeses", "workloads", "reports", "harness")
MAY_IMPORT = {
    "history": set(),
    "checkers": {"history"},
    "clusters": {"history"},
    "nemeses": {"history", "clusters"},
    "workloads": {"history", "clusters"},
    "reports": {"history", "checkers"},
    "harness": {"history", "checkers", "clusters", "nemeses", "workloads", "reports"},
}
LONGEST_FUNCTION = 60
LONGEST_FILE = 400
WALL_CLOCK = {"time", "time_ns", "ctime", "localtime", "gmtime", "strftime"}
SEEDED = {"Random", "SystemRandom"}


def tracked(*patterns: str) -> list[Path]:
    """The files of the tree that git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )
    return [path for line in sorted(set(listed.stdout.splitlines())) if (path := ROOT / line).is_file()]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


PYTHON = tracked("*.py")
OURS = [path for path in PYTHON if path.relative_to(ROOT).parts[0] in FOLDERS]
TEXTS = [path for path in tracked() if path.suffix not in {".png", ".jpg", ".gif", ".ico", ".gz", ".zip", ".sum", ".js", ".css"}]


def trees(paths: list[Path]) -> Iterator[tuple[str, ast.Module]]:
    for path in paths:
        yield name(path), ast.parse(path.read_text(), filename=str(path))


def imported(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str() as module, level=0, names=names):
            return [f"{module}.{alias.name}" for alias in names]
    return []


def calls(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Calls of the form `a.b(…)`, as (line, a, b)."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=attribute)):
                yield node.lineno, owner, attribute


def test_the_tree_was_found() -> None:
    """Else every test below would hold of nothing."""
    assert {path.relative_to(ROOT).parts[0] for path in OURS} == set(FOLDERS)


def test_imports_go_one_way() -> None:
    wrong = []
    for file, tree in trees(OURS):
        home = file.split("/")[0]
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                wrong.append(f"{file}:{node.lineno} imports relatively")
            for target in imported(node):
                folder = target.removeprefix("diarchy.").split(".")[0] if target.startswith("diarchy.") else home
                if folder != home and folder not in MAY_IMPORT[home]:
                    wrong.append(f"{file}:{node.lineno} imports {target}")
                if target.split(".")[0] in {*FOLDERS, "tests"}:
                    wrong.append(f"{file}:{node.lineno} imports {target} without `diarchy.`")
    assert not wrong


def test_functions_fit_a_screen_and_files_hold_one_idea() -> None:
    wrong = [f"{name(path)} has {count} lines" for path in OURS if (count := len(path.read_text().splitlines())) > LONGEST_FILE]
    for file, tree in trees(PYTHON):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                length = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
                if length > LONGEST_FUNCTION:
                    wrong.append(f"{file}:{node.lineno} {node.name} has {length} lines of statements")
    assert not wrong


def test_one_clock_and_seeded_dice() -> None:
    """Histories are stamped by one monotonic clock, and every die belongs to a named stream."""
    wrong = []
    for file, tree in trees(OURS):
        for line, owner, attribute in calls(tree):
            if owner == "time" and attribute in WALL_CLOCK and not file.startswith(("harness/store", "clusters/docker/", "reports/")):
                wrong.append(f"{file}:{line} reads the wall clock: time.{attribute}")
            if owner == "random" and attribute not in SEEDED:
                wrong.append(f"{file}:{line} throws unseeded dice: random.{attribute}")
    assert not wrong


def test_threads_stay_in_clusters() -> None:
    """And processes in one file beside."""
    wrong = [
        f"{file}:{node.lineno} imports {target}"
        for file, tree in trees(OURS)
        if not file.startswith(("clusters/", "harness/workers.py"))
        for node in ast.walk(tree)
        for target in imported(node)
        if target.split(".")[0] in {"threading", "multiprocessing"} or target.startswith("concurrent.futures")
    ]
    assert not wrong


def test_only_the_rim_prints() -> None:
    """The command line, the terminal report and a candidate's main print; nobody else has a terminal."""
    wrong = [
        f"{file}:{node.lineno} prints"
        for file, tree in trees(OURS)
        if not file.startswith(("harness/", "reports/", "workloads/candidate.py"))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not wrong


def test_every_plug_in_is_in_its_registry() -> None:
    """A struct with `tag_field="kind"` is a plug-in: the nearest `kinds.py`, in its folder or above, must name it."""
    missing = []
    for file, tree in trees([path for path in OURS if path.relative_to(ROOT).parts[0] in ("checkers", "clusters", "nemeses", "workloads")]):
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and declares_kind(node):
                registry = next(path for folder in (ROOT / file).parents if (path := folder / "kinds.py").exists())
                named = {word.id for word in ast.walk(ast.parse(registry.read_text())) if isinstance(word, ast.Name)}
                if node.name not in named:
                    missing.append(f"{file}:{node.lineno} {node.name} is not in {name(registry)}")
    assert not missing


def declares_kind(node: ast.ClassDef) -> bool:
    words = {word.arg: word.value for word in node.keywords}
    return "tag" in words and isinstance(field := words.get("tag_field"), ast.Constant) and field.value == "kind"


def test_the_rule_for_plug_ins_sees_the_ones_there_are() -> None:
    options = ast.parse((ROOT / "clusters/etcd/options.py").read_text())
    assert any(isinstance(node, ast.ClassDef) and declares_kind(node) for node in ast.walk(options))


SCENARIOS = tracked("scenarios/*.yaml", "scenarios/**/*.yaml")


@pytest.mark.parametrize("path", SCENARIOS, ids=name)
def test_every_scenario_loads_and_is_named_after_its_file(path: Path) -> None:
    from diarchy.harness.scenario import load

    assert load(path).name == path.stem


def test_there_are_scenarios() -> None:
    assert SCENARIOS


GENERATED = {
    "docs/catalog.md": ["-m", "diarchy.harness.catalog"],
    "scenarios/schema.json": ["-m", "diarchy.harness", "schema"],
}


@pytest.mark.parametrize("page", GENERATED)
def test_generated_pages_are_fresh(page: str) -> None:
    made = subprocess.run([sys.executable, *GENERATED[page]], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert made.returncode == 0, made.stderr
    assert (ROOT / page).read_text() == made.stdout, f"write it anew: python {' '.join(GENERATED[page])} > {page}"


LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.M)
FENCE = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)


def anchors(text: str) -> set[str]:
    """The anchors that a forge gives to a page's headings."""
    headings = HEADING.findall(FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", tracked("*.md"), ids=name)
def test_links_of_the_docs_lead_somewhere(page: Path) -> None:
    dead = []
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists() or (anchor and linked.suffix == ".md" and anchor not in anchors(linked.read_text())):
            dead.append(target)
    assert not dead


def test_anchors_are_those_of_a_forge() -> None:
    assert anchors("# What a `verdict` means, *now*\n```\n# no heading\n```\n## 2. Two") == {"what-a-verdict-means-now", "2-two"}


def test_nothing_tracked_names_a_machine() -> None:
    homes = re.compile("(?<![\\w.])/(?:ro" + "ot|wo" + "rk|ho" + "me/\\w+|Us" + "ers/\\w+)/\\w")
    wrong = [
        f"{name(path)}:{number} {line.strip()[:80]}"
        for path in TEXTS
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if homes.search(line)
    ]
    assert not wrong


def test_shell_scripts_parse() -> None:
    scripts = [path for path in tracked(".ci/*", "*.sh") if path.read_text(errors="replace").startswith("#!/usr/bin/env bash")]
    assert scripts
    for path in scripts:
        parsed = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True, check=False)
        assert parsed.returncode == 0, parsed.stderr

"""YAML with the place of every value, and without YAML 1.1's surprises: what it would change in silence is refused."""
from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

Trail = tuple[str | int, ...]

MAX_BYTES = 1 << 20
MAX_DEPTH = 30
MAX_VALUES = 20_000
SET = "--set "
CORE = "tag:yaml.org,2002:"
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class BadScenario(Exception):
    """A file that is no scenario; the text has all that is wrong with it, one per line: `file:line:column: what; what was meant`."""


class Mistake(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong, and where. Line 0: the file as a whole, or a `--set`, which has no lines."""

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        where = f":{self.line}:{self.column}" if self.line else ""
        return f"{self.file}{where}: {self.text}"


class Document:
    """A YAML file as plain `data`, with what is wrong about its form in `mistakes`. Raises BadScenario where nothing can be made of it."""

    def __init__(self, path: Path, sets: Sequence[str] = ()) -> None:
        self.path = str(path)
        self.mistakes: list[Mistake] = []
        self._root = self._compose(_read(path), self.path)
        if self._root is None:
            raise BadScenario(f"{self.path}: the file is empty; a scenario has at least name, cluster, workload and duration")
        for pair in sets:
            self._set(*_pair(pair))
        self._count = 0
        self.data = self._plain(self._root, 0)

    def mistake(self, trail: Trail, text: str, of_key: bool = False) -> Mistake:
        """A mistake at the value that the trail leads to (or the key itself). A default has no place: it is named, at the nearest
        value above it."""
        node, left = self._found(trail, of_key)
        return self._at(node, f"{left[-1]}: {text}" if left and str(left[-1]) not in text else text)

    def node(self, trail: Trail) -> yaml.Node:
        """The node of a value, or the nearest one above it."""
        return self._found(trail, False)[0]

    def _found(self, trail: Trail, of_key: bool) -> tuple[yaml.Node, Trail]:
        """The node of a value or its key, or the nearest one above, and what is left of the trail there."""
        assert self._root is not None
        node = self._root
        for i, step in enumerate(trail):
            if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
                node = node.value[step]
                continue
            found = _pick(node, str(step))
            if found is None:
                return node, trail[i:]
            node = found[0] if of_key and i == len(trail) - 1 else found[1]
        return node, ()

    def _compose(self, source: str, name: str) -> yaml.Node | None:
        try:
            _bounded(source, name)
            return yaml.compose(source, Loader=LOADER)
        except yaml.MarkedYAMLError as error:
            mark = None if name.startswith(SET) else error.problem_mark or error.context_mark
            text = f"this is no YAML: {error.problem}" + (f" {error.context}" if error.context else "")
            line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            raise BadScenario(str(Mistake(name, line, column, text))) from None
        except yaml.reader.ReaderError as error:
            line = source.count("\n", 0, error.position) + 1
            column = error.position - source.rfind("\n", 0, error.position)
            raise BadScenario(str(Mistake(name, line, column, f"a character that no YAML may hold: #x{ord(source[error.position]):04x}"))) from None

    def _plain(self, node: yaml.Node, depth: int) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            raise BadScenario(str(self._at(node, f"more than {MAX_VALUES} values, each alias counted as often as it is used")))
        if depth > MAX_DEPTH:
            raise BadScenario(str(self._at(node, f"nested deeper than {MAX_DEPTH} levels")))
        match node:
            case yaml.MappingNode():
                return self._mapping(node, depth)
            case yaml.SequenceNode():
                return [self._plain(item, depth + 1) for item in node.value]
            case yaml.ScalarNode():
                return self._scalar(node)
            case _:
                raise TypeError(node)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        first: dict[str, yaml.Node] = {}
        data = {}
        for key, value in node.value:
            plain = self._plain(value, depth + 1)
            if not isinstance(key, yaml.ScalarNode):
                self._wrong(key, "a key is one word, this is a list or a mapping")
            elif key.value in first:
                self._wrong(key, f"duplicate key {key.value!r}; it was given in line {first[key.value].start_mark.line + 1} already")
            elif key.tag == CORE + "merge":
                self._wrong(key, "merge keys (<<) are not understood; write the options out")
            else:
                first[key.value] = key
                data[key.value] = plain
        return data

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text = node.value
        match node.tag.removeprefix(CORE):
            case "null":
                return None
            case "bool":
                return text.lower() in ("true", "yes", "on")
            case "int":
                value = yaml.SafeLoader("").construct_yaml_int(node)
                if not re.fullmatch(r"[-+]?(0|[1-9]\d*)", text):
                    self._wrong(node, f"{text} means {value} in YAML ({_base(text)}); write {value}, or {text!r} in quotes if text is meant"
                                      + ("; a duration has a unit, such as 90s or 10m" if ":" in text else ""))
                return value
            case "float":
                if ":" in text:
                    self._wrong(node, f"{text} is a number to the base 60 in YAML; a duration has a unit, such as 90s or 10m")
                number = yaml.SafeLoader("").construct_yaml_float(node)
                if not math.isfinite(number):
                    self._wrong(node, f"{text} is no number that can be counted with")
                return number
            case "str" | "timestamp" | "value":
                return text
            case tag:
                self._wrong(node, f"the tag {tag} is not understood; leave it out")
                return text

    def _wrong(self, node: yaml.Node, text: str) -> None:
        self.mistakes.append(self._at(node, text))

    def _at(self, node: yaml.Node, text: str) -> Mistake:
        mark = node.start_mark
        if mark.name.startswith(SET):
            return Mistake(mark.name, 0, 0, text)
        return Mistake(self.path, mark.line + 1, mark.column + 1, text)

    def _set(self, path: str, text: str) -> None:
        name = f"{SET}{path}"
        value = self._compose(text, name) or yaml.ScalarNode(CORE + "null", "")
        for node in _walk(value):
            node.start_mark = node.end_mark = yaml.Mark(name, 0, 0, 0, None, 0)
        assert self._root is not None
        self._root = _replaced(self._root, path.split("."), value, name, "")


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise BadScenario(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise BadScenario(f"{path}: is a directory; name a scenario file in it") from None
    except OSError as error:
        raise BadScenario(f"{path}: cannot be read: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise BadScenario(f"{path}: is larger than {MAX_BYTES >> 20} MiB; is it a scenario?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        raise BadScenario(f"{path}:{line}:{column}: the byte 0x{raw[error.start]:02x} is no UTF-8; save the file as UTF-8") from None


def _bounded(source: str, name: str) -> None:
    """The composer recurses in C: depth is bounded before it runs."""
    depth = 0
    for event in yaml.parse(source, Loader=LOADER):
        match event:
            case yaml.CollectionStartEvent():
                depth += 1
            case yaml.CollectionEndEvent():
                depth -= 1
        if depth > MAX_DEPTH:
            line, column = (event.start_mark.line + 1, event.start_mark.column + 1) if event.start_mark else (0, 0)
            raise BadScenario(str(Mistake(name, line, column, f"nested deeper than {MAX_DEPTH} levels")))


def _pair(text: str) -> tuple[str, str]:
    path, equals, value = text.partition("=")
    if not equals or not path or not all(path.split(".")):
        raise BadScenario(f"{SET}{text}: write path=value, such as workload.fence=false or nemeses.0.for=5s")
    return path, value


def _pick(node: yaml.Node, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next(((k, v) for k, v in pairs if isinstance(k, yaml.ScalarNode) and k.value == key), None)


def _walk(node: yaml.Node) -> Iterator[yaml.Node]:
    """Every node once, however often aliases lead to it."""
    seen: set[int] = set()
    open_ = [node]
    while open_:
        node = open_.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        match node:
            case yaml.MappingNode():
                open_ += [end for pair in node.value for end in pair]
            case yaml.SequenceNode():
                open_ += node.value


def _replaced(node: yaml.Node, path: Sequence[str], value: yaml.Node, name: str, above: str) -> yaml.Node:
    """A copy of the tree with one value in another's place: nodes are shared between aliases, so none is changed."""
    if not path:
        return value
    step, *rest = path
    here = f"{above}.{step}" if above else step
    match node:
        case yaml.SequenceNode():
            known = [str(i) for i in range(len(node.value))]
            if step not in known:
                what = f"{above} has the entries " + ", ".join(f"{above}.{i}" for i in known) if known else f"{above} is empty"
                raise BadScenario(f"{name}: there is no {here}; {what}")
            items = list(node.value)
            items[int(step)] = _replaced(items[int(step)], rest, value, name, here)
            return yaml.SequenceNode(node.tag, items, node.start_mark, node.end_mark)
        case yaml.MappingNode():
            pairs = list(node.value)
            mark = yaml.Mark(name, 0, 0, 0, None, 0)
            key = yaml.ScalarNode(CORE + "str", step, mark, mark)
            below = yaml.MappingNode(CORE + "map", [], mark, mark)
            index = next((i for i, (k, _) in enumerate(pairs) if k.value == step), len(pairs))
            old_key, old = pairs[index] if index < len(pairs) else (key, below)
            pairs[index:index + 1] = [(old_key, _replaced(old, rest, value, name, here))]
            return yaml.MappingNode(node.tag, pairs, node.start_mark, node.end_mark)
        case _:
            raise BadScenario(f"{name}: there is nothing inside {above}, it is the plain value {node.value!r}")


def _base(text: str) -> str:
    if ":" in text:
        return "base 60"
    digits = text.lstrip("+-")
    for prefix, base in (("0x", "base 16"), ("0b", "base 2")):
        if digits.startswith(prefix):
            return base
    return "with an underscore" if "_" in digits and not digits.startswith("0") else "base 8"

"""What is wrong with data that fits no schema: every mistake at once, each with what was meant."""
from collections.abc import Iterator
from typing import Any

import yaml

from diarchy.harness.places import Document, Mistake, Trail
from diarchy.nemeses.targets import meant

WORDS = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a list",
         "object": "a mapping", "null": "nothing"}


def mistakes(document: Document, schema: dict[str, Any]) -> Iterator[tuple[Trail, Mistake]]:
    """Where the document does not fit the schema: the trail of each value (or unknown key) and what is wrong with it.

    Of a union the branch is chosen by its tag first, so that only the mistakes of the kind that was meant are told.
    """
    yield from _Walk(document, schema).errors({"$ref": schema["$ref"]}, document.data, ())


class _Walk:
    def __init__(self, document: Document, schema: dict[str, Any]) -> None:
        self._document, self._defs = document, schema["$defs"]

    def errors(self, schema: dict[str, Any], value: Any, trail: Trail) -> Iterator[tuple[Trail, Mistake]]:
        errors = list(_validator({**schema, "$defs": self._defs}).iter_errors(value))
        mistyped = {tuple(error.absolute_path) for error in errors if error.validator == "type"}
        for error in errors:
            if error.validator == "type" or tuple(error.absolute_path) not in mistyped:
                yield from self._explain(error, (*trail, *error.absolute_path))

    def _explain(self, error: Any, trail: Trail) -> Iterator[tuple[Trail, Mistake]]:
        schema, value = error.schema, error.instance
        match error.validator:
            case "anyOf" if "discriminator" in schema:
                yield from self._union(schema["discriminator"], value, trail)
            case "anyOf":
                yield from self.errors(_branch(schema["anyOf"], value), value, trail)
            case "additionalProperties":
                for key in value.keys() - schema["properties"].keys():
                    yield self._at((*trail, key), f"unknown key {key!r}" + meant(key, schema["properties"]), of_key=True)
            case "required":
                for key in (key for key in error.validator_value if key not in value):
                    about = schema["properties"][key].get("description")
                    text = f"the key {key!r} is missing" + (f": {about}" if about else "")
                    yield (*trail, key), self._document.mistake(trail, text)
            case _:
                yield self._at(trail, self._why(error, trail))

    def _why(self, error: Any, trail: Trail) -> str:
        schema, value, bound = error.schema, error.instance, error.validator_value
        name = next((step for step in reversed(trail) if isinstance(step, str)), "a scenario")
        match error.validator:
            case "enum":
                return f"{self._said(trail, value)} is no value of {name}" + meant(str(value), map(str, bound))
            case "minimum" | "maximum":
                return f"{value} is {'less' if error.validator == 'minimum' else 'more'} than {bound}, the {error.validator} of {name}"
            case "pattern" if schema.get("title") == "Duration":
                return f"{value!r} is no duration; write a number and a unit, such as 250ms, 3s or 2m"
            case "pattern":
                return f"{value!r} is no {name}; {schema.get('description') or error.message}"
            case "type":
                return self._mistyped(schema, value, trail)
            case _:
                return str(error.message)

    def _union(self, discriminator: dict[str, Any], value: Any, trail: Trail) -> Iterator[tuple[Trail, Mistake]]:
        tag, mapping = discriminator["propertyName"], discriminator["mapping"]
        match value:
            case {**options} if isinstance(options.get(tag), str) and options[tag] in mapping:
                yield from self.errors({"$ref": mapping[options[tag]]}, value, trail)
            case {**options} if tag in options:
                here = (*trail, tag)
                said = repr(options[tag]) if isinstance(options[tag], str) else self._got(here, options[tag])
                yield self._at(here, f"unknown {tag}: {said}" + meant(str(options[tag]), mapping))
            case {}:
                yield self._at(trail, f"the key {tag!r} is missing; known: {', '.join(mapping)}")
            case _:
                example = next((known for known in mapping if known == value), next(iter(mapping)))
                yield self._at(trail, f"expected a mapping such as {{{tag}: {example}}}, got {self._got(trail, value)}")

    def _mistyped(self, schema: dict[str, Any], value: Any, trail: Trail) -> str:
        got = self._got(trail, value)
        if schema.get("title") == "Duration":
            unit = f"; write {value}s or {value}ms" if isinstance(value, int | float) and not isinstance(value, bool) else ""
            return f"expected a duration (a number and a unit, such as 250ms, 3s or 2m), got {got}{unit}"
        text = f"expected {WORDS[schema['type']]}, got {got}"
        if schema["type"] == "string" and not isinstance(value, dict | list | None):
            text += f"; in quotes it is text: {self._source(trail)!r}"
        return text

    def _got(self, trail: Trail, value: Any) -> str:
        match value:
            case None:
                return "nothing"
            case bool():
                return f"{self._said(trail, value)}, which means {str(value).lower()} in YAML"
            case int() | float():
                return f"the number {self._source(trail)}"
            case str():
                return f"the text {value!r}"
            case list():
                return "a list"
            case _:
                return "a mapping"

    def _said(self, trail: Trail, value: Any) -> str:
        return repr(value) if isinstance(value, str) else self._source(trail) or "nothing"

    def _source(self, trail: Trail) -> str:
        node = self._document.node(trail)
        return str(node.value) if isinstance(node, yaml.ScalarNode) else ""

    def _at(self, trail: Trail, text: str, of_key: bool = False) -> tuple[Trail, Mistake]:
        return trail, self._document.mistake(trail, text, of_key)


def _validator(schema: dict[str, Any]) -> Any:
    """JSON Schema takes 1.0 for an integer; we do not."""
    from jsonschema import Draft202012Validator, validators  # 0.1 s: only where something is wrong

    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, v: isinstance(v, int) and not isinstance(v, bool))
    extend: Any = validators.extend
    return extend(Draft202012Validator, type_checker=types)(schema)


def _branch(branches: list[dict[str, Any]], value: Any) -> dict[str, Any]:
    """Of several types the one that was meant: a list for a list, else the first that is not null."""
    kinds = {"array": list, "object": dict}
    fits = (b for b in branches if isinstance(value, kinds.get(b.get("type", ""), ())))
    return next(fits, next(b for b in branches if b.get("type") != "null"))



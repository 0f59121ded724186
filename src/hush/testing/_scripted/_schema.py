"""A value that fits a JSON schema, made up from a seed: what a model with structured answers would send.

Of JSON Schema (https://json-schema.org/draft/2020-12) it knows what providers take: types, ``enum``, ``const``,
``properties``, ``required``, ``items``, ``prefixItems``, ``$ref``, ``anyOf``, ``oneOf``, ``allOf``, bounds of numbers,
lengths, and common formats. A ``pattern`` is not obeyed; an ``enum`` beside it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random
from typing import Any

_WORDS = ("amber", "birch", "cedar", "dune", "ember", "fern", "grove", "heath", "iris", "juniper", "lark", "moss")
_FORMATS = {
    "date": "2024-05-17",
    "date-time": "2024-05-17T09:30:00Z",
    "time": "09:30:00Z",
    "duration": "P3D",
    "email": "ada@example.org",
    "hostname": "example.org",
    "ipv4": "192.0.2.7",
    "ipv6": "2001:db8::7",
    "uri": "https://example.org/amber",
    "url": "https://example.org/amber",
    "uuid": "3f0c1b1e-9c58-4d61-8f5c-2b7d0a6c9e11",
}
_DEEP = 6  # from here on only what is required, and the way out of recursion
_TOO_DEEP = 40


def value_for(schema: Any, seed: object) -> Any:
    """A value that fits ``schema``; the same for the same seed."""
    return _Making(schema, Random(f"{seed}")).make(schema, 0)


class _Making:
    def __init__(self, root: Any, random: Random) -> None:
        self._root = root
        self._random = random

    def make(self, schema: Any, depth: int) -> Any:
        if not isinstance(schema, Mapping) or depth > _TOO_DEEP:
            return None
        schema = self._joined(schema, depth)
        if "const" in schema:
            return schema["const"]
        if isinstance(options := schema.get("enum"), list) and options:
            return self._random.choice(options)
        for word in ("anyOf", "oneOf"):
            if isinstance(options := schema.get(word), list) and options:
                rest = {key: value for key, value in schema.items() if key != word}
                return self.make(_merged(rest, self._chosen(options, depth)), depth + 1)
        return self._of_type(schema, depth)

    def _joined(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        """The schema with what ``$ref`` and ``allOf`` bring in."""
        made = dict(schema)
        for _ in range(_TOO_DEEP):
            if isinstance(reference := made.pop("$ref", None), str):
                made = _merged(self._found(reference), made)
            elif isinstance(parts := made.pop("allOf", None), list):
                for part in parts:
                    if isinstance(part, Mapping):
                        made = _merged(made, self._joined(part, depth + 1) if depth < _TOO_DEEP else part)
            else:
                break
        return made

    def _found(self, reference: str) -> Mapping[str, Any]:
        found = self._root
        for part in reference.removeprefix("#").strip("/").split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if name and isinstance(found, Mapping):
                found = found.get(name)
        return found if isinstance(found, Mapping) else {}

    def _chosen(self, options: list[Any], depth: int) -> Any:
        if depth >= _DEEP:  # the plainest ends a recursion
            return min(options, key=_weight)
        return self._random.choice(options)

    def _of_type(self, schema: dict[str, Any], depth: int) -> Any:
        kind = schema.get("type")
        if isinstance(kind, list):
            others = [each for each in kind if each != "null"]
            kind = "null" if not others or (depth >= _DEEP and "null" in kind) else others[0]
        if kind == "object" or (kind is None and "properties" in schema):
            return self._object(schema, depth)
        if kind == "array" or (kind is None and ("items" in schema or "prefixItems" in schema)):
            return self._array(schema, depth)
        if kind == "integer":
            return self._number(schema, whole=True)
        if kind == "number":
            return self._number(schema, whole=False)
        if kind == "boolean":
            return self._random.random() < 0.5
        if kind == "null":
            return None
        return self._string(schema)

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        found = schema.get("properties")
        properties = dict(found) if isinstance(found, Mapping) else {}
        required = schema.get("required") or ()
        made = {
            name: self.make(each, depth + 1) for name, each in properties.items() if name in required or depth < _DEEP
        }
        more = schema.get("additionalProperties")
        for name in required:
            if name not in made:
                made[name] = self.make(more if isinstance(more, Mapping) else {}, depth + 1)
        least = schema.get("minProperties")
        if isinstance(more, Mapping) and not properties and depth < _DEEP:
            least = max(least or 0, 1)
        while isinstance(least, int) and len(made) < least:
            made[f"{self._word()}_{len(made)}"] = self.make(more if isinstance(more, Mapping) else {}, depth + 1)
        return made

    def _array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        made = [self.make(each, depth + 1) for each in schema.get("prefixItems") or ()]
        least = schema.get("minItems") or 0
        most = schema.get("maxItems")
        items = schema.get("items", True)
        wanted = least if depth >= _DEEP or items is False else max(least, self._random.randint(1, 3))
        wanted = min(wanted, most) if isinstance(most, int) else wanted
        for _ in range(8 * wanted + 8):
            if len(made) >= wanted:
                break
            one = self.make(items, depth + 1)
            if not schema.get("uniqueItems") or one not in made:
                made.append(one)
        return made

    def _number(self, schema: dict[str, Any], *, whole: bool) -> int | float:
        step = schema.get("multipleOf") or (1 if whole else 0.01)
        low, high = schema.get("minimum"), schema.get("maximum")
        above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
        low = max((each for each in (low, above) if each is not None), default=None)
        high = min((each for each in (high, below) if each is not None), default=None)
        if low is None:
            low = 0 if high is None or high > 0 else high - 100 * step
        if high is None:
            high = low + 100 * step
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if above is not None and first * step <= above:
            first += 1
        if below is not None and last * step >= below:
            last -= 1
        if first > last:  # bounds closer than a step
            return (low + high) / 2
        value = self._random.randint(first, last) * step
        return round(value) if whole else round(value, 6)

    def _string(self, schema: dict[str, Any]) -> str:
        made = _FORMATS.get(str(schema.get("format"))) or " ".join(self._word() for _ in range(2))
        least, most = schema.get("minLength") or 0, schema.get("maxLength")
        while len(made) < least:
            made += f" {self._word()}"
        return made[:most] if isinstance(most, int) else made

    def _word(self) -> str:
        return self._random.choice(_WORDS)


def _merged(one: Mapping[str, Any], other: Any) -> dict[str, Any]:
    """Both schemas at once: properties and required names of both, else what ``other`` says."""
    if not isinstance(other, Mapping):
        return dict(one)
    made = {**one, **other}
    if isinstance(one.get("properties"), Mapping) and isinstance(other.get("properties"), Mapping):
        made["properties"] = {**one["properties"], **other["properties"]}
    if one.get("required") and other.get("required"):
        made["required"] = [*one["required"], *other["required"]]
    return made


def _weight(schema: Any) -> int:
    """How much a schema would bring with it."""
    if not isinstance(schema, Mapping):
        return 0
    if schema.get("type") == "null":
        return 0
    if "const" in schema or "enum" in schema:
        return 1
    return 3 if schema.keys() & {"$ref", "properties", "items", "anyOf", "oneOf", "allOf"} else 2

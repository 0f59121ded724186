"""Answers that are to be data: a JSON schema or a pydantic model, and whether what came fits it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hush.providers.errors import RequestError

_FENCED = re.compile(r"\A\s*```[\w-]*\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL)
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_MOST_TOLD = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shape:
    """What an answer is to be.

    Attributes:
        schema: As JSON schema; empty for any JSON object.
        name: How it is called.
        model: The pydantic model that ``parsed`` is made with; ``None`` for plain data.
    """

    schema: Mapping[str, Any]
    name: str
    model: Any = None

    def read(self, text: str) -> Any:
        """The answer as data that fits. Raises ``Misfit``, which says what does not."""
        try:
            value = json.loads(bare_json(text), strict=False)
        except (ValueError, RecursionError) as exc:
            raise Misfit(f"This is no JSON: {exc}.") from None
        if not self.schema:
            if not isinstance(value, dict):
                raise Misfit("This is no JSON object.")
            return value
        if self.model is not None:
            self.made(value)
            return value
        check_schema(value, self.schema)
        return value

    def made(self, value: Any) -> Any:
        """The value that users get: a model's instance, or ``value`` itself."""
        if self.model is None:
            return value
        from pydantic import ValidationError

        try:
            return self.model.model_validate(value)
        except ValidationError as exc:
            told = [f"{_at(one['loc'])}: {one['msg']}" for one in exc.errors(include_url=False)[:_MOST_TOLD]]
        raise Misfit(f"This does not fit the schema: {'; '.join(told)}.")


class Misfit(ValueError):
    """What does not fit, in words that a model can be told."""


def shape_of(given: Any) -> Shape | None:
    """What ``response_format=`` stands for: a pydantic model, a JSON schema, or what OpenAI's API takes."""
    if given is None or given in ("text", {"type": "text"}):
        return None
    if isinstance(given, type) and hasattr(given, "model_json_schema"):
        return _of_model(given)
    if given in ("json", "json_object", {"type": "json_object"}):
        return Shape(schema={}, name="answer")
    if isinstance(given, Mapping):
        inner = given.get("json_schema")
        if given.get("type") == "json_schema" and isinstance(inner, Mapping):
            schema = inner.get("schema", {})
            return Shape(schema=_checked(schema), name=str(inner.get("name", "answer")))
        return Shape(schema=_checked(given), name=_named(given.get("title")))
    raise RequestError(f'response_format={given!r} is neither a pydantic model, nor a JSON schema, nor "json_object".')


@lru_cache(maxsize=256)
def _of_model(model: Any) -> Shape:
    return Shape(schema=model.model_json_schema(), name=_named(model.__name__), model=model)


def _named(title: Any) -> str:
    """A name as the vendors take it."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", str(title or "answer"))[:64]


def _checked(schema: Any) -> Mapping[str, Any]:
    from jsonschema.exceptions import SchemaError

    try:
        if not isinstance(schema, Mapping):
            raise RequestError(f"the JSON schema of response_format= is {type(schema).__name__}, not a mapping.")
        _validator(json.dumps(schema, sort_keys=True, ensure_ascii=False))
    except SchemaError as exc:
        raise RequestError(
            f"response_format= is no JSON schema: {exc.message} (at {_at(exc.absolute_path)})."
        ) from None
    except TypeError as exc:
        raise RequestError(f"response_format= is no JSON schema: {exc}.") from None
    return schema


def check_schema(value: Any, schema: Mapping[str, Any]) -> None:
    """Raise ``Misfit`` unless ``value`` fits ``schema``. Nothing that the schema refers to is fetched."""
    validator = _validator(json.dumps(schema, sort_keys=True, ensure_ascii=False))
    from referencing.exceptions import Unresolvable

    try:
        found = list(validator.iter_errors(value))
    except Unresolvable as exc:
        raise RequestError(f"the JSON schema refers to {exc.ref!r}, which is not in it; nothing is fetched.") from None
    except RecursionError:
        raise Misfit("This is nested too deeply.") from None
    wrong = sorted(found, key=lambda one: (len(one.absolute_path), one.message))[:_MOST_TOLD]
    if wrong:
        raise Misfit(
            f"This does not fit the schema: {'; '.join(f'{_at(e.absolute_path)}: {e.message}' for e in wrong)}."
        )


@lru_cache(maxsize=256)
def _validator(schema: str) -> Any:
    from jsonschema import Draft202012Validator
    from referencing import Registry

    found = json.loads(schema)
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found, registry=Registry())  # an empty one: it knows no way to fetch anything


def bare_json(text: str) -> str:
    """The text without what was thought before it, between tags, and without a fence of Markdown around it."""
    text = _THOUGHT.sub("", text, count=1)
    found = _FENCED.match(text)
    return found[1] if found else text


def _at(path: Any) -> str:
    parts = [f"[{one}]" if isinstance(one, int) else f".{one}" for one in path]
    return "".join(parts).removeprefix(".") or "the whole"

"""Tools that a model may call: functions as definitions, and the calls that come back, checked."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hush.core.errors import nearest
from hush.providers._model import ToolCall
from hush.providers._structured import Misfit, check_schema
from hush.providers.errors import RequestError

_SECTION = re.compile(r"^\s*(Args|Arguments|Parameters|Returns|Raises|Yields|Examples?|Notes?)\s*:\s*$", re.MULTILINE)
_ARGUMENT = re.compile(r"^\s*\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.+?)\s*$")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tool:
    """A function that a model may call, as the model is told of it."""

    name: str
    definition: Mapping[str, Any]

    @property
    def schema(self) -> Mapping[str, Any]:
        """The JSON schema of its arguments."""
        found = self.definition["function"].get("parameters")
        return found if isinstance(found, Mapping) else {}


def tools_of(given: Any) -> dict[str, Tool]:
    """The tools that ``tools=`` stands for, by name: functions, and definitions in OpenAI's form or short."""
    if given is None:
        return {}
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Sequence):
        raise RequestError(f"tools={given!r} is no list of functions or definitions: tools=[look_up].")
    found: dict[str, Tool] = {}
    for one in given:
        tool = _of_function(one) if callable(one) else _of_definition(one)
        if tool.name in found:
            raise RequestError(f"two tools are called {tool.name!r}.")
        found[tool.name] = tool
    return found


def choice_of(given: Any, tools: Mapping[str, Tool]) -> str | Mapping[str, Any] | None:
    """``tool_choice=``: ``"auto"``, ``"none"``, ``"required"``, or the name of a tool, or the function itself."""
    if given is None or given in ("auto", "none", "required"):
        if given == "required" and not tools:
            raise RequestError('tool_choice="required", and there are no tools.')
        return given  # type: ignore[no-any-return]  # None, or one of these words
    name: Any = given
    if isinstance(given, Mapping):
        inner = given.get("function")
        name = inner.get("name") if isinstance(inner, Mapping) else given.get("name")
    elif callable(given):
        name = given.__name__
    if name not in tools:
        near = nearest(name, [*tools, "auto", "none", "required"])
        hint = f" Did you mean {near!r}?" if near else f" There are: {', '.join(tools) or 'no tools'}."
        raise RequestError(f"tool_choice={given!r} names no tool.{hint}")
    return {"type": "function", "function": {"name": name}}


def read_calls(calls: Sequence[ToolCall], tools: Mapping[str, Tool]) -> list[dict[str, Any]]:
    """The calls as a node gives them: in OpenAI's form, with ``name`` and the ``arguments`` read beside it.

    Raises ``Misfit`` for a tool that was not offered, and for arguments that do not fit its schema.
    """
    found = []
    for call in calls:
        tool = tools.get(call.name)
        if tool is None:
            raise Misfit(f"There is no tool {call.name!r}; there are: {', '.join(tools) or 'none'}.")
        try:
            arguments = _read(call.arguments)
        except (ValueError, RecursionError) as exc:
            raise Misfit(f"The arguments of {call.name} are no JSON: {exc}.") from None
        if not isinstance(arguments, dict):
            raise Misfit(f"The arguments of {call.name} are no JSON object.")
        try:
            check_schema(arguments, tool.schema)
        except Misfit as exc:
            raise Misfit(f"The arguments of {call.name}: {exc}") from None
        found.append({**as_openai(call), "name": call.name, "arguments": arguments})
    return found


def _read(text: str) -> Any:
    """The arguments of a call. Some models break lines within strings, and some servers write it as JSON twice."""
    if not text.strip():
        return {}
    value = json.loads(text, strict=False)
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = json.loads(value, strict=False)
    return {} if value is None else value


def as_openai(call: ToolCall) -> dict[str, Any]:
    """A call in OpenAI's form, as it can stand in a message, with what a vendor wants to see again."""
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    return {**call.extra, "id": call.id, "type": "function", "function": function}


def _of_definition(given: Any) -> Tool:
    inner: Any = given
    if isinstance(given, Mapping) and isinstance(given.get("function"), Mapping):
        inner = given["function"]
    name = inner.get("name") if isinstance(inner, Mapping) else None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise RequestError(
            f"{given!r} is no tool: give a function, or a definition with name, description and parameters."
        )
    parameters = inner.get("parameters", inner.get("input_schema", {"type": "object", "properties": {}}))
    function = {key: value for key, value in inner.items() if key not in ("type", "input_schema")}
    function["parameters"] = parameters
    tool = Tool(name=name, definition={"type": "function", "function": function})
    _check_definition(tool)
    return tool


def _check_definition(tool: Tool) -> None:
    from jsonschema.exceptions import SchemaError

    try:
        check_schema({}, tool.schema)
    except Misfit:
        pass  # no arguments at all need not fit
    except SchemaError as exc:
        raise RequestError(f"the parameters of the tool {tool.name!r} are no JSON schema: {exc.message}.") from None


def _of_function(fn: Callable[..., Any]) -> Tool:
    fn = getattr(fn, "fn", fn)  # what @code_node made of one
    try:
        return _made(fn)
    except TypeError:  # it cannot be hashed
        return _made.__wrapped__(fn)


@lru_cache(maxsize=256)
def _made(fn: Callable[..., Any]) -> Tool:
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    name = getattr(fn, "__name__", type(fn).__name__)
    if not _NAME.fullmatch(name) or name == "<lambda>":
        raise RequestError(f"the tool {name!r} cannot be called so: write it as a def with a name of ASCII letters.")
    for parameter in inspect.signature(fn).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise RequestError(f"the tool {name} has the parameter {parameter}: a model gives arguments by name only.")
    called: Any = fn  # pydantic makes a schema of the arguments of a function, which its own types do not say
    try:
        schema: dict[str, Any] = _without_titles(TypeAdapter(called).json_schema())
    except PydanticUserError as exc:
        raise RequestError(f"no schema can be made of the parameters of the tool {name}: {exc.message}") from None
    summary, told = _told(inspect.getdoc(fn) or "")
    for argument, said in told.items():
        if argument in schema.get("properties", {}):
            schema["properties"][argument].setdefault("description", said)
    schema.setdefault("properties", {})
    return Tool(
        name=name,
        definition={"type": "function", "function": {"name": name, "description": summary, "parameters": schema}},
    )


def _told(doc: str) -> tuple[str, dict[str, str]]:
    """What a docstring says of the function, and of each argument, in the style of Google."""
    found = _SECTION.search(doc)
    if found is None:
        return doc.strip(), {}
    arguments: dict[str, str] = {}
    for section in re.finditer(r"^(?:Args|Arguments|Parameters)\s*:\s*$((?:\n(?:[ \t]+.*)?)*)", doc, re.MULTILINE):
        last = ""
        for line in section[1].splitlines():
            argument = _ARGUMENT.match(line)
            if argument and (not last or len(line) - len(line.lstrip()) <= _INDENT):
                last = argument[1]
                arguments[last] = argument[2]
            elif last and line.strip():
                arguments[last] += f" {line.strip()}"
    return doc[: found.start()].strip(), arguments


_INDENT = 4


def _without_titles(schema: Any) -> Any:
    """Pydantic's titles repeat the names, and cost tokens."""
    if isinstance(schema, dict):
        return {
            key: {name: _without_titles(one) for name, one in value.items()}
            if key in ("properties", "$defs") and isinstance(value, dict)
            else _without_titles(value)
            for key, value in schema.items()
            if key != "title" or not isinstance(value, str)
        }
    return [_without_titles(one) for one in schema] if isinstance(schema, list) else schema

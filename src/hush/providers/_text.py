"""``as_text``: how a value becomes text in a prompt."""

from __future__ import annotations

import re
from typing import Any

from hush.providers._files import File
from hush.providers.errors import PromptError

_ADDRESS = re.compile(r"<.* at 0x[0-9a-fA-F]+>", re.DOTALL)


def as_text(value: Any, name: str, where: str = "") -> str:
    """The value of the input ``name`` as text; ``where`` says what else it is, if it is no input.

    Text is taken as it is; numbers, ``True``, dates and whatever else is no container, as ``str()`` writes them;
    lists, tuples and dicts as JSON on one line, with letters of any script as they are, and sets as sorted lists in it.
    Refused, with ``PromptError``: ``None``, since "None" in a prompt is a slip that nobody sees; bytes; a ``File``;
    what Python shows by its address.

    Nothing is read of ``value`` but its type: no attribute, and no item by name.
    """
    kind = type(value)  # isinstance() would read __class__ of the value
    if issubclass(kind, str):
        return str.__str__(value)  # the text of a member of an enum too
    if issubclass(kind, (list, tuple, dict)):
        return _as_json(value, name, where)
    if value is None or kind is File or issubclass(kind, (bytes, bytearray, memoryview)):
        raise PromptError(_refusal(kind, name, where))
    text = str(value)
    if _ADDRESS.fullmatch(text):
        raise PromptError(f"{_called(name, where, kind)} has no text of its own: Python shows it by its address")
    return text


def _called(name: str, where: str, kind: type[Any]) -> str:
    return f"{where or f'the value of {name!r}'}, of type {kind.__name__},"


def _refusal(kind: type[Any], name: str, where: str) -> str:
    what = where or f"the value of {name!r}"
    key = name or "text"
    if kind is type(None):
        instead = f'PARENT["{key}"].apply(lambda value: value or "")'
        if name:
            instead = f'inputs={{"{name}": {instead}}}'
        return f"{what} is None. Where it may be missing, say what is written then: {instead}"
    if kind is File:
        part = f'["What is this?", PARENT["{key}"]]'
        return f'{what} is a File, which is no text. It is a part of a message\'s content: "prompt": {{"user": {part}}}'
    return f'{what} is of type {kind.__name__}, which is no text. Decode it before: .apply(bytes.decode, "utf-8")'


def _as_json(value: Any, name: str, where: str) -> str:
    import json

    def other(inner: Any) -> Any:
        if issubclass(type(inner), (set, frozenset)):
            return sorted(inner, key=str)
        return as_text(inner, name, where)

    try:
        return json.dumps(value, ensure_ascii=False, default=other)
    except PromptError:
        raise
    except (TypeError, ValueError, RecursionError) as exc:
        raise PromptError(f"{_called(name, where, type(value))} cannot be written as JSON: {exc}") from exc

"""Secrets that stand apart from their names: after an option, in an element of XML, in an entry ``value``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hush.core._resources._fields import QUOTED, is_said
from hush.core._resources._secret_names import base_of

_OPTION = re.compile(r"""(?<![\w-])--(?P<name>[A-Za-z][\w.-]{0,127}+)(?:[ \t]{1,8}|(?P<quote>["']),[ \t]{0,8}\n?)""")
_ARGUMENT = re.compile(r"""(?![-$<\[({|=:\\])[^\s"';,|<>)\]}]+""")
_STANDS_FOR_ONE = re.compile(r"[A-Z]+(?:_[A-Z]+)*|\w+='?")
"""``--password PASSWORD``, as a usage has it."""
_SPOKEN = frozenset({"and", "argument", "arguments", "flag", "flags", "instead", "option", "options", "parameter"})
_ELEMENT = re.compile(r"<(?:\w{1,32}:)?(?P<name>[A-Za-z][\w.-]{0,127}+)(?:[ \t][^<>]{0,200})?>(?P<value>[^<>]+)(?=</)")
_ENTRY = re.compile(
    r"""(?<![\w.-])(?P<by>["']?)(?:[nN]ame|[kK]ey)(?P=by)[ \t]?[:=][ \t]?b?(?P<quote>["']?)(?P<name>[\w.-]{1,128}+)"""
    r"""(?P=quote)(?:,[ \t]?|[ \t]|,?\r?\n[ \t]{0,60}+)(?P=by)[vV]alue(?P=by)[ \t]?[:=][ \t]?"""
)
"""``{"name": "DB_PASSWORD", "value": ...}``, as lists of variables and headers have it; also as YAML and attributes."""
_VALUE = re.compile(r"""(?![$<\[({|>])[^\s"',;<>)\]}]+""")


def places_apart(text: str, *, code: bool = False) -> Iterator[tuple[int, int]]:
    """Where such secrets begin and end; in ``code`` those in quotes, since what stands there without names them."""
    if "--" in text:
        for found in _OPTION.finditer(text):
            yield from _given(text, found, found["quote"] is not None, code)
    if "</" in text:
        for found in _ELEMENT.finditer(text):
            if base_of(found["name"]) and _is_some(found["value"]):
                yield found.span("value")
    if "alue" in text:
        for found in _ENTRY.finditer(text):
            if base_of(found["name"]):
                value = QUOTED.match(text, found.end()) or (None if code else _VALUE.match(text, found.end()))
                if value is not None and _is_some(value[0]):
                    yield value.span()


def _given(text: str, found: re.Match[str], is_list: bool, code: bool) -> Iterator[tuple[int, int]]:
    """What an option is given, unless a sentence has the option: *--password is required*."""
    if not base_of(found["name"]):
        return
    value = QUOTED.match(text, found.end())
    if value is not None:
        if _is_some(value["inside"]) and not (is_list and value["inside"].startswith("-")):
            yield value.span()
        return
    if is_list or code:
        return
    value = _ARGUMENT.match(text, found.end())
    if value is None or not _is_some(value[0]):
        return
    word = value[0].rstrip(".:!?`")
    if not (is_said(word) or word.lower() in _SPOKEN or _STANDS_FOR_ONE.fullmatch(word)):
        yield value.span()


def _is_some(value: str) -> bool:
    """Whether it is a value, and no mark in place of one."""
    return (
        any(map(str.isalnum, value)) and "[secret]" not in value and not value.lstrip("bru\"'").startswith(("$", "{"))
    )

"""Texts without what stands in them under a secret name, in whatever form somebody wrote it there."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache

from hush.core import protocols
from hush.core._resources._apart import places_apart
from hush.core._resources._fields import QUOTED, end_of_bracket, end_of_field, end_of_list, is_compared, looks_made
from hush.core._resources._secret_names import KEYS, STEMS, is_secret_name
from hush.core._resources._secrets import HIDDEN, without_places, without_secrets

_NAME = re.compile(
    r"""(?<![\w.-])(?P<name>[\w.-]{1,512}+)"""  # possessive: no part of it will do
    r"""(?:(?P<mark>\\{0,3}["']\]?)?\s{0,2}+[ \t]{0,60}+(?P<by>=>|[=!]==?|[:+]?=(?!=)|:(?![:=]))"""
    r"""|(?P<pair>["']),)\s{0,2}[ \t]*"""
)
"""A name and what may come before its value: ``name=``, ``name: ``, ``"name": ``, ``["name"] = ``, ``"name", ``.

Blanks may stand before the mark, where people write one below the other."""
_IN_TUPLE = re.compile(r"""(?:\A|[^\w)\]])[(\[]b?["']\Z""")
_GIVEN = re.compile(r"""[^\s"',;&)}\]=][^\s"',;&)}\]]{3,}""")
_GIVEN_IN_CODE = re.compile(r"""[^\s"',;&)}\]=]{4,}""")
_GIVEN_AMONG_OTHERS = re.compile(r"""[^;"'\s=][^;"'\n]{0,200}(?=;)""")
"""In a string that says how to connect: ``Server=a;Password=b c;Database=d``."""
_CALLED = re.compile(r"""[A-Za-z_][\w.]*[(\[]|[(\[{]""")
"""In code: what gives a value when it runs."""
_LONGEST_CALL = 256  # characters: what is longer and ends with a bracket goes, or each name in it would read it again
_PLACEHOLDER = re.compile(
    r"""[bBrRuUfF]{0,2}(?P<quote>["'])?(?:\[secret\]|(?P<dollar>\$)?\{(?P<inside>[\w.!:]*)\}|%(?:\(\w+\))?[sr])"""
    r"""(?(quote)(?P=quote)|(?=["'`\s,;)}\]]|\Z))"""
)
"""What says where a value was, or will be; in quotes, it is all that stands in them."""
_HELD = re.compile(r"\{[^{}]*\}")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_INPUT = re.compile(
    r"^(?P<indent>[ |]{0,40}+)(?P<name>[\w.-]{1,512}+)\n(?P=indent)[ ]{2}[^\n]*?"
    r"\[type=(?!missing\b)\w{1,64}, input_value=(?P<value>[^\n]*?)(?=, input_type=|$)",
    re.MULTILINE,
)
"""What pydantic says of the value of a field, which is named on the line before. What is missing has no value."""
_NUMBER = re.compile(r"-?\d[\d_.eE+-]*")
_WORD = re.compile(r"""(?!-?[A-Za-z_][\w.]*[(\[{])[^\s"',;()\[\]{}<>]+""")
_TYPE = r"[\w.]{1,40}(?:\[[\w., |\[]{0,60}\]{1,4})?"
_DEFAULT = re.compile(rf"{_TYPE}(?: ?\| ?{_TYPE}){{0,3}} = ")
"""What stands between the name of an annotated variable and its value."""
_KEPT = frozenset({"None", "True", "False", "null", "true", "false", '""', "''", '""' * 3, "''" * 3})
_COMPARING = ("==", "!=", "===", "!==")
_IN_PATHS = (":", "/", "@")  # before a name: it is part of an address, a port or a path comes after it
_HEADERS = ("authorization", "cookie")  # of several words or pairs, whatever is before them
_LITERAL = re.compile(r""""(?P<double>(?:[^"\\]|\\.)*)(?:"|\\?\Z)|'(?P<single>(?:[^'\\]|\\.)*)(?:'|\\?\Z)""", re.DOTALL)
_BEFORE = re.compile(r"\b(?P<word>[A-Za-z]+)[ ]\Z")
_FRAME = re.compile(r'[ |+-]*(?=File "[^\n]*", line \d)')

_is_secret = lru_cache(maxsize=4_096)(is_secret_name)  # names are few, and to take one apart takes long


def without_named_secrets(text: str, *, code: bool = False) -> str:
    """``without_secrets``, and without what stands in ``text`` under a secret name: ``{'password': '1234'}``.

    For texts that somebody made of values, such as the message of an exception, and for lines of source: ``repr``,
    JSON, ``name=value``, and ``Name: value`` as headers and YAML have it, where that is no sentence and no annotation:
    ``end_of_field`` has the rule. It takes longer where there may be such a name. In ``code``, and in the lines of
    source of a traceback, what names or calls something is no value, and ``name: value`` is one in quotes only.
    """
    if not _may_name_some(text):
        return without_secrets(text)
    if code:
        places = list(_in_code(text, 0))
    elif '", line ' in text:
        places = [
            place for part, at, is_code in _parts(text) for place in (_in_code if is_code else _in_text)(part, at)
        ]
    else:
        places = list(_in_text(text, 0))
    return without_places(text, places) if places else without_secrets(text)


protocols.without_secrets.call = without_named_secrets


def _may_name_some(text: str) -> bool:
    """Whether a secret name and a value can be in it: the expression itself takes ten times as long on a long text."""
    if "=" not in text and ":" not in text and "(" not in text and "--" not in text and "</" not in text:
        return False
    low = text.lower()
    return any(stem in low for stem in STEMS) or ("key" in low and any(word in low for word in KEYS))


def _parts(text: str) -> Iterator[tuple[str, int, bool]]:
    """``text`` in parts, where they begin, and whether they are lines of source, as a traceback has them."""
    at = begin = 0
    indent = -1  # of the frame whose lines these may be
    for line in text.splitlines(keepends=True):
        frame = _FRAME.match(line)
        if frame is not None:
            indent = frame.end()
        elif indent >= 0 and line[: indent + 2].strip(" |") == "" and line[indent + 2 :].strip():
            if begin < at:
                yield text[begin:at], begin, False
            yield line, at, True
            begin = at + len(line)
        else:
            indent = -1
        at += len(line)
    if begin < at:
        yield text[begin:at], begin, False


def _in_text(text: str, shift: int, *, source: bool = False) -> Iterator[tuple[int, int]]:
    """The places of values; ``source`` says that it stands in quotes in a line of source, as f-strings do."""
    end = 0
    for found in _NAME.finditer(text):
        name = _secret_name(text, found)
        if name is None or found.start() < end:
            continue
        begin, stop = _value(text, found, name, source=source)
        if stop > begin:
            end = stop
            yield shift + begin, shift + stop
    for begin, stop in places_apart(text):
        yield shift + begin, shift + stop
    if "input_value=" in text:
        for found in _INPUT.finditer(text):
            if _is_secret(found["name"]) and found["value"] not in _KEPT:
                yield shift + found.start("value"), shift + found.end("value")


def _in_code(text: str, shift: int) -> Iterator[tuple[int, int]]:
    borders: list[int] = []  # where literals begin and end, in turn
    for literal in _LITERAL.finditer(text):
        kind = "double" if literal["single"] is None else "single"
        borders += literal.span(kind)
        yield from _in_text(literal[kind], shift + literal.start(kind), source=True)
    end = 0
    for found in _NAME.finditer(text):
        name = _secret_name(text, found)
        if name is None or found.start() < end:
            continue
        within = bisect_right(borders, found.start()) % 2 == 1
        if within and not (found["mark"] or found["pair"]):
            continue
        begin, stop = _value(text, found, name, code=True, source=True)
        if stop > begin:
            end = stop
            yield shift + begin, shift + stop
    for begin, stop in places_apart(text, code=True):
        yield shift + begin, shift + stop


def _secret_name(text: str, found: re.Match[str]) -> str | None:
    """The name that was found, if it is that of a secret; also ``API key``, with a blank in it."""
    name = found["name"]
    if _is_secret(name):
        return name
    if name.lower() in ("key", "keys"):
        before = _BEFORE.search(text, max(found.start() - 16, 0), found.start())
        if before is not None and _is_secret(spaced := f"{before['word']} {name}"):
            return spaced
    return None


def _value(text: str, found: re.Match[str], name: str, *, code: bool = False, source: bool = False) -> tuple[int, int]:
    """Where the value of a secret name begins and ends; the same twice if it has none that is to be hidden."""
    at, by, marked = found.end(), found["by"], found["mark"] is not None
    if text.startswith(HIDDEN, at):
        return at, at
    held = _PLACEHOLDER.match(text, at)
    if held is not None:
        return at, at if source or _names_some(held) else held.end()
    if by in _COMPARING:
        compared = QUOTED.match(text, at)
        return at, compared.end() if compared is not None and is_compared(name, compared["inside"]) else at
    if by == ":" and not marked:
        default = _DEFAULT.match(text, at)
        if default is not None and (quoted := QUOTED.match(text, default.end())) is not None:
            return quoted.span()
        if code or text[found.start() - 1 : found.start()] in _IN_PATHS or "\n" in text[found.end("by") : at]:
            return at, at
        return at, end_of_field(text, found.start(), name, at)
    if by is not None and not code and name.lower().endswith(_HEADERS):
        return at, end_of_field(text, found.start(), name, at)
    if by is None and code and name.isalpha() and not name.lower().endswith(_HEADERS):
        return at, at  # ``kind in ("token", "name")``
    if by is None and not _IN_TUPLE.search(text, max(found.start() - 4, 0), found.start()):
        return at, at
    if by is not None and text[at : at + 1] in ("(", "[", "{") and (stop := end_of_bracket(text, at, code=code)) > at:
        return at, stop
    if by is not None and not code and text[at : at + 1] == "[" and (stop := end_of_list(text, name, at)) > at:
        return at, stop
    value = QUOTED.match(text, at)
    if code and value is not None and _only_holds(text[at : value.start("quote")], value["inside"]):
        return at, at
    if by is None and (value is None or text[value.end() : value.end() + 1] not in (")", "]")):
        return at, at  # of more than two, they are no name and its value
    if value is None:
        value = (_NUMBER if code else _WORD).match(text, at) if by == ":" else _given(text, found, code=code)
    return at, at if value is None or value[0] in _KEPT else value.end()


def _given(text: str, found: re.Match[str], *, code: bool) -> re.Match[str] | None:
    """What is given without quotes, unless it gives a value when it runs."""
    begin, at = found.start(), found.end()
    if not code and text[max(begin - 2, 0) : begin].rstrip().endswith(";"):
        among = _GIVEN_AMONG_OTHERS.match(text, at)
        if among is not None:
            return among
    value = (_GIVEN_IN_CODE if code else _GIVEN).match(text, at)
    if value is None or (value[0][-1] in "([{" and len(value[0]) <= _LONGEST_CALL):
        return None
    return None if code and (_CALLED.match(text, at) or value[0].replace(".", "").isidentifier()) else value


def _names_some(held: re.Match[str]) -> bool:
    """Whether a placeholder may name a value. ODBC has the password itself in braces: ``PWD={x1y2z3}``."""
    inside = held["inside"]
    if inside is None or not looks_made(inside):
        return True
    return held["dollar"] is not None and _VARIABLE.fullmatch(inside) is not None


def _only_holds(prefix: str, inside: str) -> bool:
    """Whether it is an f-string that makes a value of others: ``f"{user}:{word}"``."""
    return "f" in prefix.lower() and "{" in inside and sum(map(str.isalnum, _HELD.sub("", inside))) < 4

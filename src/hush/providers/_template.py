"""``Template``: a text with names in braces, in whose place values are put. It has no expressions and runs nothing.

The rule, from left to right:

- ``{{`` is a brace that opens, ``}}`` one that closes.
- ``{text}`` is a name: braces around one identifier, of any script, and nothing else, not even a blank.
- What looks like a field of ``str.format`` is refused, and not guessed at: ``{x.y}``, ``{x[0]}``, ``{x!r}``,
  ``{x:>10}``, ``{x=}``, ``{0}``, and ``{}`` outside of other braces.
- Everything else is text as it stands: JSON, sets, code with blanks or quotes in it. A single brace that was opened so
  is closed by a single one, so the ``}}`` at the end of ``{"a": {"b": 1}}`` are two.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from hush.providers._text import as_text

_BRACE = re.compile(r"[{}]")
_GROUP = re.compile(r"\{([^{}]*)([{}]?)")
_FIELD = re.compile(r"""([^\s{}"'.\[!:=]*)([.\[!:=])([^\s{}"']*)""")
_QUOTED_KEY = re.compile(r"""([^\s{}"'.\[!:=]+)\[(["'])([^"'{}]*)\2\]""")
_DOTTED = re.compile(r"[^\W\d_]\w*(?:\.[^\W\d_]\w*)*")
_INDEX = re.compile(r"(\w+)\]")
_CONVERSIONS = {"r": "repr", "s": "str", "a": "ascii"}


class Slip(NamedTuple):
    """A group in braces that is neither a name nor plainly text, and what to write in its place.

    Attributes:
        line: Where it stands, from 1.
        meant: The name that it begins with, or nothing.
    """

    line: int
    group: str
    mend: str
    meant: str


class Template:
    """A text that was read once, to be filled in often.

    Attributes:
        text: As it was written.
        names: Those that it has, each once, in order.
        slips: What is wrong with it; such a template is not to be filled in.
    """

    __slots__ = ("_last", "_pairs", "names", "slips", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._pairs, self._last, slips = _read(text)
        self.slips = tuple(slips)
        self.names = tuple(dict.fromkeys([name for _, name in self._pairs]))

    def fill(self, values: Mapping[str, Any]) -> str:
        """The text with ``values`` in place of the names.

        A value is put in once and is never looked into: braces in it stay what they are. See ``as_text`` for how
        values become text; nothing of them is read but by ``str()``. Raises ``PromptError``, naming the value.
        """
        parts: list[str] = []
        for before, name in self._pairs:
            value = values[name]
            parts += (before, value if type(value) is str else as_text(value, name))
        parts.append(self._last)
        return "".join(parts)

    def __reduce__(self) -> tuple[Any, ...]:
        return template_of, (self.text,)

    def __repr__(self) -> str:
        return f"Template({self.text!r})"


@lru_cache(maxsize=512)
def template_of(text: str) -> Template:
    """The template that ``text`` is, read once: graphs are made anew for each request."""
    return Template(text)


def escape(text: str) -> str:
    """``text`` as a template that gives it back: its braces doubled."""
    return text.replace("{", "{{").replace("}", "}}")


def _read(text: str) -> tuple[tuple[tuple[str, str], ...], str, list[Slip]]:
    """The names of a template, each with the text before it; the text after the last; and what is refused."""
    pairs: list[tuple[str, str]] = []
    slips: list[Slip] = []
    plain: list[str] = []
    doubled: list[bool] = []  # the braces that are open: whether they were written as ``{{``
    at = 0
    while (found := _BRACE.search(text, at)) is not None:
        here = found.start()
        plain.append(text[at:here])
        twice = text.startswith(text[here] * 2, here)
        if text[here] == "}":
            plain.append("}")
            at = here + 1
            if not doubled or (doubled[-1] and twice):
                at += twice
            if doubled and (twice or not doubled[-1]):
                doubled.pop()
            continue
        if twice:
            doubled.append(True)
            plain.append("{")
            at = here + 2
            continue
        group = _GROUP.match(text, here)
        assert group is not None
        content, end = group[1], group[2]
        if end == "}" and content.isidentifier():
            pairs.append(("".join(plain), content))
            plain = []
            at = group.end()
        elif end == "}" and not content and doubled:
            plain.append("{}")  # an empty object of JSON
            at = group.end()
        elif (mend := _mend(content, end)) is not None:
            meant = _base(content)
            slips.append(
                Slip(
                    text.count("\n", 0, here) + 1,
                    f"{{{content}{end}",
                    mend,
                    meant if meant.isidentifier() else "",
                )
            )
            at = group.end() - (end == "{")
        else:
            doubled.append(False)
            plain.append("{")
            at = here + 1
    plain.append(text[at:])
    return tuple(pairs), "".join(plain), slips


def _base(content: str) -> str:
    found = _FIELD.match(content)
    return content if found is None else found[1]


def _mend(content: str, end: str) -> str | None:
    """What to write in place of a group that looks like a field of ``str.format``; ``None`` if it does not."""
    itself = f"For the text itself, double the braces: {{{{{content}{end * 2}."
    if not end:
        return None
    if end == "}" and (not content or content.isdecimal()):
        return f'Give it a name: {{text}}, with inputs={{"text": ...}}. {itself}'
    quoted = _QUOTED_KEY.fullmatch(content)
    if quoted is not None and quoted[1].isidentifier():
        return f"{_instead(quoted[1], '[', quoted[3] + ']')} {itself}"
    field = _FIELD.fullmatch(content)
    if field is None:
        return None
    base, sign, rest = field.groups()
    if end == "{" and sign not in "[:":
        return None
    if sign == "=" and rest and rest[0] not in "!:":
        return None
    if base.isidentifier():
        return f"{_instead(base, sign, rest)} {itself}"
    if base.isdecimal() or (not base and sign in "!:" and rest):
        return f'Give it a name: {{text}}, with inputs={{"text": ...}}. {itself}'
    return None


def _instead(base: str, sign: str, rest: str) -> str:
    """The line to write for a field of the input ``base``."""
    source = f'PARENT["{base}"]'
    if sign == "." and _DOTTED.fullmatch(rest):
        keys = rest.split(".")
        name, value = keys[-1], source + "".join(f'["{key}"]' for key in keys)
    elif sign == "[" and (index := _INDEX.fullmatch(rest)) is not None:
        key = index[1] if index[1].isdecimal() else f'"{index[1]}"'
        name, value = f"{base}_{index[1]}", f"{source}[{key}]"
    elif sign == "!" and rest in _CONVERSIONS:
        name, value = base, f"{source}.apply({_CONVERSIONS[rest]})"
    elif sign == ":" and rest:
        name, value = base, f'{source}.apply(format, "{rest}")'
    else:
        name, value = base, source
    return f'Write {{{name}}}, with inputs={{"{name}": {value}}}.'

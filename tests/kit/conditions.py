"""Conditions of branches and loops: how they are written, and what they say of values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kit.shapes import Atom, Branch, Cond, Form, Source

SAFE: tuple[Form, ...] = ("null", "true", "same", "among")  # never raise
FOR_INTS: tuple[Form, ...] = ("even", "least", "between", "same", "among")
FOR_LISTS: tuple[Form, ...] = ("longer", "first", "null", "true")

_TEXTS: dict[Form, str] = {
    "true": "{0}",
    "null": "{0} is None",
    "same": "{0} == {1}",
    "among": "{0} in [{1}, {2}, None]",
    "even": "{0} % 2 == 0",
    "least": "{0} >= {1}",
    "between": "{1} <= {0} < {3}",
    "longer": "len({0}) > {4}",
    "first": "{0}[0] == {1}",
}
# Where a recorded reference has to say it otherwise.
_RECORDED: dict[Form, str] = _TEXTS | {
    "null": "{0} == None",
    "among": "{0}.in_([{1}, {2}, None])",
    "between": "({0} >= {1}) & ({0} < {3})",
    "longer": "{0}.apply(len) > {4}",
}


def wording(cond: Cond, say: Callable[[Source], str]) -> str:
    """The condition as it is written in its style, `say` being how it names what it reads."""
    recorded = cond.style == "ref"
    parts = [_atom(each, say, _RECORDED if recorded else _TEXTS) for each in cond.atoms]
    if recorded:
        sign = " & " if cond.joined == "and" else " | "
        text = parts[0] if len(parts) == 1 else sign.join(f"({each})" for each in parts)
        return f"~({text})" if cond.negated else text
    text = f" {cond.joined} ".join(parts)
    return f"not ({text})" if cond.negated else text


def _atom(atom: Atom, say: Callable[[Source], str], spelling: dict[Form, str]) -> str:
    number = atom.number
    return spelling[atom.form].format(say(atom.source), number, number + 1, number + 4, number % 3)


def holds(cond: Cond, read: Callable[[Source], Any]) -> bool:
    """Whether it is true; raises what Python would. Text is lazy, a recorded `&` or `|` reads both sides."""
    values = (_says(each, read(each.source)) for each in cond.atoms)
    if cond.style == "ref":
        values = iter(list(values))
    result = all(values) if cond.joined == "and" else any(values)
    return result != cond.negated


def _says(atom: Atom, value: Any) -> bool:
    number = atom.number
    match atom.form:
        case "true":
            return bool(value)
        case "null":
            return value is None
        case "same":
            return bool(value == number)
        case "among":
            return value in [number, number + 1, None]
        case "even":
            return bool(value % 2 == 0)
        case "least":
            return bool(value >= number)
        case "between":
            return bool(number <= value < number + 4)
        case "longer":
            return len(value) > number % 3
        case "first":
            return bool(value[0] == number)


def names_of(branch: Branch) -> list[tuple[str, Source]]:
    """The inputs that the text conditions of a branch need: one for each source."""
    found: list[Source] = []
    for cond, _ in branch.cases:
        for atom in cond.atoms if cond.style == "text" else ():
            if atom.source not in found:
                found.append(atom.source)
    return list(zip("abcdef", found, strict=False))


def matched(branch: Branch, cond: Cond) -> str:
    """What `matched` says when the case was chosen; only text is said as it was written."""
    names = names_of(branch)
    return wording(cond, lambda source: next(name for name, one in names if one == source))

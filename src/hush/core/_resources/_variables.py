"""Variables in text: ``${NAME}``, ``${NAME:default}``, whose default may hold variables too; ``$${`` for ``${`` itself.

A text is taken apart once; what a variable gives is put in and never looked at again. Messages show nothing of a text
but the names of its variables: it may be a password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

MOST_LEVELS = 16
"""How deep variables may lie in the defaults of others."""

_TOKEN = re.compile(r"\$\$\{|\$\{|[{}]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHELL = re.compile(r"-(?![0-9.])|[=?+]")


class Variable(NamedTuple):
    """A variable of the environment, and what stands in for it where it is not set."""

    name: str
    default: Parts | None


Parts: TypeAlias = tuple["str | Variable", ...]


class VariableFault(Exception):
    """What is wrong with how a variable is written."""

    def __init__(self, message: str, mend: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend


def parts_of(text: str) -> Parts:
    """``text`` taken apart. Raises ``VariableFault``."""
    return _parts(text, 0, 0)[0]


def _parts(text: str, at: int, level: int) -> tuple[Parts, int]:
    """The parts of ``text`` from ``at``, and where they end: within a variable, behind the brace that closes it."""
    parts: list[str | Variable] = []
    plain: list[str] = []
    braces = 0  # those of the default's own text that are still open
    while token := _TOKEN.search(text, at):
        plain.append(text[at : token.start()])
        at = token.end()
        if token[0] == "${":
            variable, at = _variable(text, token.start(), level + 1)
            parts += [part for part in ("".join(plain),) if part]
            parts.append(variable)
            plain = []
        elif token[0] == "}" and level and not braces:
            break
        else:
            braces += -1 if token[0] == "}" else 1
            plain.append(token[0].removeprefix("$") if token[0] == "$${" else token[0])
    else:
        if level:
            raise VariableFault("has a ${ that is never closed", "Close it; for the signs themselves write $${.")
        plain.append(text[at:])
    parts += [part for part in ("".join(plain),) if part]
    return tuple(parts), at


def _variable(text: str, start: int, level: int) -> tuple[Variable, int]:
    if level > MOST_LEVELS:
        raise VariableFault(f"has variables that lie in each other deeper than {MOST_LEVELS} levels")
    name = _NAME.match(text, start + 2)
    if name is None:
        raise VariableFault(
            f"has a ${{ without a name behind it, at its character {start + 1}",
            "Write ${NAME} or ${NAME:default}; for the signs themselves write $${.",
        )
    at = name.end()
    if text[at : at + 1] == "}":
        return Variable(name[0], None), at + 1
    if text[at : at + 1] != ":":
        raise VariableFault(
            f"has a ${{ whose name goes on with neither : nor }}, at its character {start + 1}",
            "A name has letters, digits and _; write ${NAME} or ${NAME:default}.",
        )
    if _SHELL.match(text, at + 1):
        raise VariableFault(
            f"gives ${{{name[0]}}} its default as a shell does",
            f"The default stands right behind the colon: ${{{name[0]}:default}}",
        )
    default, at = _parts(text, at + 1, level)
    return Variable(name[0], default), at


def expanded(parts: Parts, environ: Mapping[str, str], unset: list[str]) -> str:
    """The text that ``parts`` give; names that are not set and have no default are added to ``unset``."""
    found: list[str] = []
    for part in parts:
        if isinstance(part, str):
            found.append(part)
        elif (value := environ.get(part.name)) is not None:
            found.append(value)
        elif part.default is not None:
            found.append(expanded(part.default, environ, unset))
        elif part.name not in unset:
            unset.append(part.name)
    return "".join(found)


def names_in(parts: Parts) -> list[str]:
    """The names of the variables that stand in ``parts``, defaults included, in order."""
    found: list[str] = []
    for part in parts:
        if isinstance(part, Variable):
            found += [part.name, *names_in(part.default or ())]
    return list(dict.fromkeys(found))

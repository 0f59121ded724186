"""The expression tree: a closed union of five small records, the same before and after names replace handles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from hush.core._expr._where import Where


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """The value under ``key`` of ``source``: a handle while authoring, a ``Source`` in a spec."""

    source: Any
    key: Any
    where: Where


@dataclass(frozen=True, slots=True, eq=False)
class Apply:
    """``fn`` called on the values of ``args``; ``form`` says how it was written, with a place for each argument."""

    form: str
    fn: Callable[..., Any]
    args: tuple[Expr, ...]
    kwargs: tuple[tuple[str, Expr], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Const:
    """A literal, given as it is."""

    value: Any


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """A literal list or tuple that holds references."""

    kind: type[Any]
    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A literal dict that holds references."""

    keys: tuple[Any, ...]
    parts: tuple[Expr, ...]


Expr: TypeAlias = Read | Apply | Const | Sequence | Table


def children(expr: Expr) -> tuple[Expr, ...]:
    """The expressions directly inside ``expr``."""
    if isinstance(expr, Apply):
        return expr.args + tuple(part for _, part in expr.kwargs)
    if isinstance(expr, Sequence | Table):
        return expr.parts
    return ()


def reads(expr: Expr) -> Iterator[Read]:
    """All reads in ``expr``, left to right."""
    if isinstance(expr, Read):
        yield expr
        return
    if isinstance(expr, Const):
        return
    todo: list[Expr] = [expr]
    while todo:
        part = todo.pop()
        if isinstance(part, Read):
            yield part
        else:
            todo.extend(reversed(children(part)))


def rebase(expr: Expr, resolve: Callable[[Read], Expr]) -> Expr:
    """``expr`` with every read replaced by what ``resolve`` gives for it."""
    if isinstance(expr, Read):
        return resolve(expr)
    if isinstance(expr, Const):
        return expr
    if isinstance(expr, Apply):
        return Apply(
            expr.form,
            expr.fn,
            tuple(rebase(part, resolve) for part in expr.args),
            tuple((name, rebase(part, resolve)) for name, part in expr.kwargs),
        )
    if isinstance(expr, Sequence):
        return Sequence(expr.kind, tuple(rebase(part, resolve) for part in expr.parts))
    return Table(expr.keys, tuple(rebase(part, resolve) for part in expr.parts))


def describe(expr: Expr) -> str:
    """``expr`` as it would be written."""
    if isinstance(expr, Read):
        return f"{getattr(expr.source, 'name', expr.source)}[{expr.key!r}]"
    if isinstance(expr, Const):
        text = repr(expr.value)
        return text if len(text) <= 40 else text[:37] + "..."
    if isinstance(expr, Apply):
        parts = [describe(part) for part in expr.args]
        if expr.form == "call":
            parts[1:] = [*parts[1:], *(f"{name}={describe(part)}" for name, part in expr.kwargs)]
            return f"{parts[0]}({', '.join(parts[1:])})"
        return expr.form.format(*(_bare(part, text) for part, text in zip(expr.args, parts, strict=True)))
    if isinstance(expr, Sequence):
        inside = ", ".join(describe(part) for part in expr.parts)
        return f"[{inside}]" if expr.kind is list else f"({inside},)"
    pairs = zip(expr.keys, expr.parts, strict=True)
    return "{" + ", ".join(f"{key!r}: {describe(part)}" for key, part in pairs) + "}"


def _bare(part: Expr, text: str) -> str:
    # An operator inside another needs its parentheses back; a name in ``.name`` must not be quoted.
    return f"({text})" if isinstance(part, Apply) and part.form.count(" ") >= 2 else text

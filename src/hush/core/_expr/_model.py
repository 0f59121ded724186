"""The expression tree: a closed union of five small records, the same before and after names replace handles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from hush.core._expr._record import record
from hush.core._expr._where import Where


@record
class Read:
    """The value under ``key`` of ``source``: a handle while authoring, a ``Source`` in a spec."""

    source: Any
    key: Any
    where: Where


@record
class Apply:
    """``fn`` called on the values of ``args``; ``form`` says how it was written, with a place for each argument."""

    form: str
    fn: Callable[..., Any]
    args: tuple[Expr, ...]
    kwargs: tuple[tuple[str, Expr], ...] = ()


@record
class Const:
    """A literal, given as it is."""

    value: Any


@record
class Sequence:
    """A literal list or tuple that holds references."""

    kind: type[Any]
    parts: tuple[Expr, ...]


@record
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


def in_postorder(expr: Expr) -> Iterator[Expr]:
    """All parts of ``expr``, each after those inside it. No recursion: a sum over thousands of nodes is one."""
    todo: list[tuple[Expr, bool]] = [(expr, False)]
    while todo:
        part, opened = todo.pop()
        inside = () if opened else children(part)
        if inside:
            todo.append((part, True))
            todo.extend((child, False) for child in reversed(inside))
        else:
            yield part


def rebase(expr: Expr, resolve: Callable[[Read], Expr]) -> Expr:
    """``expr`` with every read replaced by what ``resolve`` gives for it."""
    if isinstance(expr, Read):
        return resolve(expr)
    if isinstance(expr, Const):
        return expr
    done: list[Expr] = []
    for part in in_postorder(expr):
        count = len(children(part))
        inside = tuple(done[len(done) - count :])
        del done[len(done) - count :]
        if isinstance(part, Read):
            done.append(resolve(part))
        elif isinstance(part, Apply):
            args = len(part.args)
            names = [name for name, _ in part.kwargs]
            done.append(Apply(part.form, part.fn, inside[:args], tuple(zip(names, inside[args:], strict=True))))
        elif isinstance(part, Sequence):
            done.append(Sequence(part.kind, inside))
        elif isinstance(part, Table):
            done.append(Table(part.keys, inside))
        else:
            done.append(part)
    return done[0]


def describe(expr: Expr, depth: int = 0) -> str:
    """``expr`` as it would be written, as far as that can be read."""
    if depth > _DEEPEST:
        return "…"
    if isinstance(expr, Read):
        return f"{getattr(expr.source, 'name', expr.source)}[{expr.key!r}]"
    if isinstance(expr, Const):
        text = repr(expr.value)
        return text if len(text) <= 40 else text[:37] + "..."
    if isinstance(expr, Apply):
        parts = [describe(part, depth + 1) for part in expr.args]
        if expr.form == "call":
            parts += [f"{name}={describe(part, depth + 1)}" for name, part in expr.kwargs]
            return f"{parts[0]}({', '.join(parts[1:])})"
        return expr.form.format(*(_bare(part, text) for part, text in zip(expr.args, parts, strict=True)))
    if isinstance(expr, Sequence):
        inside = ", ".join(describe(part, depth + 1) for part in expr.parts)
        return f"[{inside}]" if expr.kind is list else f"({inside},)"
    pairs = zip(expr.keys, expr.parts, strict=True)
    return "{" + ", ".join(f"{key!r}: {describe(part, depth + 1)}" for key, part in pairs) + "}"


_DEEPEST = 20


def _bare(part: Expr, text: str) -> str:
    # An operator inside another needs its parentheses back.
    return f"({text})" if isinstance(part, Apply) and part.form.count(" ") >= 2 else text

"""Closures for inputs: expressions become functions of the slots, calls bind their arguments by position."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, NamedTuple

from hush.core._expr._model import Apply, Const, Expr, Read, Sequence, describe
from hush.core._plan._model import SKIPPED, Reader, Slots
from hush.core._spec._signature import Signature


class Place(NamedTuple):
    """Where a read finds its value: a slot, and whether it may be ``SKIPPED`` there; or a reader of its own."""

    slot: int
    maybe: bool
    reader: Reader | None = None


Resolve = Callable[[Read], Place]


def slot_reader(slot: int) -> Reader:
    """Reads one slot."""
    return lambda slots: slots[slot]


def expr_reader(expr: Expr, resolve: Resolve) -> Reader:
    """A function of the slots that gives the value of ``expr``; ``SKIPPED`` if what it reads is not there."""
    if isinstance(expr, Const):
        value = expr.value
        return lambda _: value
    if isinstance(expr, Read):
        place = resolve(expr)
        return place.reader or slot_reader(place.slot)
    if isinstance(expr, Apply):
        return _apply_reader(expr, resolve)
    parts = [present_reader(part, resolve) for part in expr.parts]
    if isinstance(expr, Sequence):
        kind = expr.kind
        return lambda slots: kind([part(slots) for part in parts])
    keys = expr.keys
    return lambda slots: {key: part(slots) for key, part in zip(keys, parts, strict=True)}


def present_reader(expr: Expr, resolve: Resolve) -> Reader:
    """Like ``expr_reader``, with ``None`` for what is not there."""
    reader = expr_reader(expr, resolve)

    def read(slots: Slots) -> Any:
        value = reader(slots)
        return None if value is SKIPPED else value

    return reader if isinstance(expr, Const) else read


def _apply_reader(expr: Apply, resolve: Resolve) -> Reader:
    fn = expr.fn
    args = [expr_reader(part, resolve) for part in expr.args]
    kwargs = [(name, expr_reader(part, resolve)) for name, part in expr.kwargs]

    def read(slots: Slots) -> Any:
        values = [part(slots) for part in args]
        named = {name: part(slots) for name, part in kwargs}
        for value in (*values, *named.values()):
            if value is SKIPPED:
                return SKIPPED
        try:
            return fn(*values, **named)
        except Exception as exc:
            if not getattr(exc, "__notes__", None):
                exc.add_note(f"Hush: while reading {describe(expr)}")
            raise

    return read


class Argument(NamedTuple):
    """One bound parameter: a slot that surely holds its value, or a reader."""

    name: str
    slot: int
    reader: Reader | None


def argument(name: str, expr: Expr, resolve: Resolve, default: Any) -> Argument:
    """How the parameter ``name`` gets its value; ``default`` stands in for what is not there."""
    if type(expr) is Read:
        place = resolve(expr)
        if place.reader is None and not place.maybe:
            return Argument(name, place.slot, None)
    if isinstance(expr, Const):
        return Argument(name, 0, expr_reader(expr, resolve))
    reader = expr_reader(expr, resolve)

    def read(slots: Slots) -> Any:
        value = reader(slots)
        return default if value is SKIPPED else value

    return Argument(name, 0, read)


def call_of(
    fn: Callable[..., Any], signature: Signature, arguments: list[Argument]
) -> tuple[Callable[[Slots], Any], Callable[[Slots], Callable[[], Any]]]:
    """Two closures over the slots: one calls ``fn``, the other gives the call to make.

    A ``def`` is called in a fresh copy of the context, so that what it sets no other node sees; the coroutine of an
    ``async def`` runs in the context of its task.
    """
    places, named = _arrange(signature, arguments)
    readers = [one.reader or slot_reader(one.slot) for one in places]
    pairs = [(one.name, one.reader or slot_reader(one.slot)) for one in named]

    def bind(slots: Slots) -> Callable[[], Any]:
        return partial(fn, *[read(slots) for read in readers], **{name: read(slots) for name, read in pairs})

    if named or any(one.reader for one in places) or len(places) > 3:
        return _general_call(fn, signature, readers, pairs), bind
    return _slot_call(fn, signature, [one.slot for one in places]), bind


def _arrange(signature: Signature, arguments: list[Argument]) -> tuple[list[Argument], list[Argument]]:
    """Positional arguments as far as they have no gap, the rest by keyword."""
    given = {one.name: one for one in arguments}
    places: list[Argument] = []
    for parameter in signature.parameters:
        if parameter.how == "keyword":
            break
        one = given.pop(parameter.name, None)
        if one is None:
            if parameter.how != "positional":
                break
            # A gap before positional-only parameters is filled with the default.
            default = parameter.default
            one = Argument(parameter.name, 0, lambda _, value=default: value)  # type: ignore[misc]
        places.append(one)
    return places, list(given.values())


def _general_call(
    fn: Callable[..., Any],
    signature: Signature,
    readers: list[Reader],
    pairs: list[tuple[str, Reader]],
) -> Callable[[Slots], Any]:
    if signature.awaited:

        def call(slots: Slots) -> Any:
            return fn(*[read(slots) for read in readers], **{name: read(slots) for name, read in pairs})

        return call

    def call_in_copy(slots: Slots) -> Any:
        args = [read(slots) for read in readers]
        return copy_context().run(fn, *args, **{name: read(slots) for name, read in pairs})

    return call_in_copy


def _slot_call(fn: Callable[..., Any], signature: Signature, slots: list[int]) -> Callable[[Slots], Any]:
    # The shapes that graphs are mostly made of, without a list for the arguments.
    if signature.awaited:
        match slots:
            case []:
                return lambda s: fn()
            case [a]:
                return lambda s: fn(s[a])
            case [a, b]:
                return lambda s: fn(s[a], s[b])
            case _:
                a, b, c = slots
                return lambda s: fn(s[a], s[b], s[c])
    match slots:
        case []:
            return lambda s: copy_context().run(fn)
        case [a]:
            return lambda s: copy_context().run(fn, s[a])
        case [a, b]:
            return lambda s: copy_context().run(fn, s[a], s[b])
        case _:
            a, b, c = slots
            return lambda s: copy_context().run(fn, s[a], s[b], s[c])

"""Closures for inputs: expressions become functions of the slots, calls bind their arguments by position."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, NamedTuple

from hush.core._expr._model import Apply, Const, Expr, Read, Sequence, Table, children, describe, in_postorder
from hush.core._plan._model import SKIPPED, Argument, Plan, Reader, Slots
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
    return _program(expr, resolve)


def _program(expr: Expr, resolve: Resolve) -> Reader:
    """A reader that works its way through ``expr`` with a stack: it may be nested thousands deep.

    Functions in it are called as a ``def`` is: what they set in a context variable nobody else sees.
    """
    calls = False
    steps: list[tuple[int | None, Callable[[Any], Any]]] = []  # None: reads the slots; else how many values it takes
    for part in in_postorder(expr):
        count = len(children(part))
        if isinstance(part, Apply):
            calls = calls or part.form == "call"
            steps.append((count, _doing(part) if count else _of_nothing(_doing(part))))
        elif isinstance(part, Sequence):
            steps.append((count, _building(part.kind)))
        elif isinstance(part, Table):
            steps.append((count, _building(partial(_table, part.keys))))
        else:
            steps.append((None, expr_reader(part, resolve)))

    def read(slots: Slots) -> Any:
        stack: list[Any] = []
        for count, make in steps:
            if count is None:
                stack.append(make(slots))
            else:
                first = len(stack) - count
                values = stack[first:]
                del stack[first:]
                stack.append(make(values))
        return stack[0]

    return (lambda slots: copy_context().run(read, slots)) if calls else read


def _doing(part: Apply) -> Callable[[list[Any]], Any]:
    """What is done to values: it is not done where one is not there."""
    fn, args, names = part.fn, len(part.args), [name for name, _ in part.kwargs]

    def do(values: list[Any]) -> Any:
        for value in values:
            if value is SKIPPED:
                return SKIPPED
        try:
            return fn(*values[:args], **dict(zip(names, values[args:], strict=True)))
        except Exception as exc:
            exc.add_note(f"Hush: while reading {describe(part)}")
            raise

    return do


def _of_nothing(do: Callable[[list[Any]], Any]) -> Reader:
    """A condition of literals only."""
    return lambda _: do([])


def _building(make: Callable[[list[Any]], Any]) -> Callable[[list[Any]], Any]:
    """What literal lists and dicts are made by: ``None`` stands where a value is not there."""
    return lambda values: make([None if value is SKIPPED else value for value in values])


def _table(keys: tuple[Any, ...], values: list[Any]) -> dict[Any, Any]:
    return dict(zip(keys, values, strict=True))


def none_for_skipped(resolve: Resolve) -> Resolve:
    """Reads as a condition written as text would: what was skipped is ``None`` before anything is done to it."""

    def place(read: Read) -> Place:
        found = resolve(read)
        if not found.maybe:
            return found
        reader = found.reader or slot_reader(found.slot)
        return Place(found.slot, maybe=False, reader=or_default(reader))

    return place


def or_default(reader: Reader, default: Any = None) -> Reader:
    """What ``reader`` gives, or ``default`` if that is not there."""

    def read(slots: Slots) -> Any:
        value = reader(slots)
        return default if value is SKIPPED else value

    return read


def slots_maker(plan: Plan, pairs: list[tuple[int, Reader]]) -> Callable[[Any], Slots]:
    """A function that gives the first slots of ``plan``, reading from whatever stands around it."""
    template = plan.template

    def first_slots(outside: Any) -> Slots:
        slots = template.copy()
        slots[0] = {}
        for slot, read in pairs:
            slots[slot] = read(outside)
        return slots

    return first_slots


def argument(name: str, expr: Expr, resolve: Resolve, constant: Callable[[Any], int], default: Any) -> Argument:
    """How the parameter ``name`` gets its value; ``default`` stands in for what is not there.

    A ``constant`` has a slot like any value, so that calls with literals need no reader either.
    """
    if type(expr) is Read:
        place = resolve(expr)
        if place.reader is None and not place.maybe:
            return Argument(name, place.slot, None)
    if isinstance(expr, Const):
        return Argument(name, constant(expr.value), None)
    return Argument(name, 0, or_default(expr_reader(expr, resolve), default))


def call_of(
    fn: Callable[..., Any], signature: Signature, arguments: list[Argument]
) -> tuple[Callable[[Slots], Any], Callable[[Slots], Callable[[], Any]]]:
    """Two closures over the slots: one calls ``fn``, the other gives the call to make.

    A ``def`` is called in a fresh copy of the context, so that what it sets no other node sees; the coroutine of an
    ``async def`` runs in the context of its task.
    """
    places, named = _arrange(signature, arguments)
    if not named and len(places) <= 3:
        numbers = [one.slot for one in places if one.reader is None]
        if len(numbers) == len(places):
            return _slot_call(fn, signature.awaited, numbers), lambda slots: partial(fn, *[slots[n] for n in numbers])
    readers = [one.reader or slot_reader(one.slot) for one in places]
    pairs = [(one.name, one.reader or slot_reader(one.slot)) for one in named]

    def bind(slots: Slots) -> Callable[[], Any]:
        args, kwargs = _values(slots, readers, pairs)
        return partial(fn, *args, **kwargs)

    return _general_call(fn, signature.awaited, readers, pairs), bind


def _arrange(signature: Signature, arguments: list[Argument]) -> tuple[list[Argument], list[Argument]]:
    """Positional arguments as far as they have no gap, the rest by keyword."""
    parameters = signature.parameters
    if len(arguments) == 1 and parameters and parameters[0].name == arguments[0].name:
        return (arguments, []) if parameters[0].how != "keyword" else ([], arguments)
    given = {one.name: one for one in arguments}
    places: list[Argument] = []
    for parameter in parameters:
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
    awaited: bool,
    readers: list[Reader],
    pairs: list[tuple[str, Reader]],
) -> Callable[[Slots], Any]:
    if awaited:

        def call(slots: Slots) -> Any:
            args, kwargs = _values(slots, readers, pairs)
            return fn(*args, **kwargs)

        return call

    def call_in_copy(slots: Slots) -> Any:
        args, kwargs = _values(slots, readers, pairs)
        return copy_context().run(fn, *args, **kwargs)

    return call_in_copy


def _values(slots: Slots, readers: list[Reader], pairs: list[tuple[str, Reader]]) -> tuple[list[Any], dict[str, Any]]:
    # No comprehensions: the frame of one, which an exception that is raised in it holds, would hold the slots for good.
    args: list[Any] = []
    for read in readers:
        args.append(read(slots))  # noqa: PERF401
    kwargs: dict[str, Any] = {}
    for name, read in pairs:
        kwargs[name] = read(slots)
    return args, kwargs


def _slot_call(fn: Callable[..., Any], awaited: bool, slots: list[int]) -> Callable[[Slots], Any]:
    # The shapes that graphs are mostly made of, without a list for the arguments.
    if awaited:
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

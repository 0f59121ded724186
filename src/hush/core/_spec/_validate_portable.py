"""``process_faults``: what of a step cannot go to a worker process, where it is to run in one."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from hush.core._expr._model import Const
from hush.core._spec._model import CallSpec, EachInput, Fault, GraphSpec, MapSpec, Step
from hush.core._spec._pickling import dumps
from hush.core._spec._portable import portable
from hush.core._spec._reads import body_of, leaves

_MEND = "Make it inside the function, or pass what it is made from"


def process_faults(step: Step) -> Iterator[Fault]:
    """What of ``step`` cannot go to a worker process, where it is to run in one."""
    if isinstance(step, CallSpec) and step.executor == "process" and step.fn is not None:
        yield from _unportable_call(step, f"{step.name} is to run in a process", 'or leave it here: executor="thread"')
    elif isinstance(step, MapSpec) and step.executor == "process":
        said = f"{step.name} is to run in processes"
        if _fails(portable(step, step.name, ())):
            found = list(_unportable_in(step.body, said))
            yield from found or [Fault(f"{said}, and its body cannot be sent there", f"{_MEND}.", step.where)]
        for leaf in leaves(step.body):
            if leaf.policies.uses is not None:
                yield Fault(
                    f"{leaf.name} is served by {leaf.policies.uses.category} resources, and runs in the worker "
                    f"processes of {step.name}, which cannot share their connections and limits",
                    f'Leave executor="process" of {step.name} out, or take {leaf.name} out of its body.',
                    leaf.where,
                )
            elif leaf.policies.limits:
                yield Fault(
                    f"{leaf.name} has a limit, and runs in the worker processes of {step.name}, which cannot share one",
                    f'Leave executor="process" of {step.name} out, or take {leaf.name} out of its body.',
                    leaf.where,
                )


def _unportable_in(graph: GraphSpec, said: str) -> Iterator[Fault]:
    for step in graph.steps:
        if isinstance(step, CallSpec) and step.fn is not None:
            yield from _unportable_call(step, f"{said} with {step.name} in it", f"or take {step.name} out of the map")
            continue
        for name, expr in (*step.inputs, *_sources(step)):
            yield from _unportable_literal(step, name, expr, said)
        body = body_of(step)
        if body is not None:
            yield from _unportable_in(body, said)


def _sources(step: Step) -> list[tuple[str, Any]]:
    each: tuple[EachInput, ...] = step.each if isinstance(step, MapSpec) else ()
    return [(one.name, one.source) for one in each]


def _unportable_call(step: CallSpec, said: str, or_else: str) -> Iterator[Fault]:
    assert step.fn is not None
    why = _fails(step.fn)
    if why:
        part = _part(step.fn)
        yield Fault(f"{said}, and {part or 'its function'} cannot be sent there: {why}", _mend(or_else), step.where)
    for name, expr in step.inputs:
        yield from _unportable_literal(step, name, expr, said)


def _unportable_literal(step: Step, name: str, expr: Any, said: str) -> Iterator[Fault]:
    if isinstance(expr, Const):
        why = _fails(expr.value)
        if why:
            message = f"{said}, and its input {name!r} (a {type(expr.value).__name__}) cannot be sent there: {why}"
            yield Fault(message, f"{_MEND}.", step.where)


def _mend(or_else: str) -> str:
    return f"{_MEND}; {or_else}."


def _fails(value: Any) -> str:
    """Why ``value`` cannot be pickled; nothing if it can."""
    try:
        dumps(value)
    except Exception as exc:  # whatever a __reduce__ raises
        return f"{type(exc).__name__}: {exc}"
    return ""


_DEEPEST = 4


def _part(fn: Any, depth: int = 0) -> str:
    """Which part of a callable cannot be pickled, where that can be told."""
    for what, value in _parts(fn):
        if _fails(value):
            inside = _part(value, depth + 1) if depth < _DEEPEST else ""
            return f"{what} (a {type(value).__name__})" + (f", in it {inside}" if inside else "")
    return ""


def _parts(fn: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(fn, partial):
        yield "the function of its partial", fn.func
        yield from ((f"the argument {number} of its partial", one) for number, one in enumerate(fn.args))
        yield from ((f"the argument {name!r} of its partial", one) for name, one in fn.keywords.items())
    elif isinstance(fn, types.MethodType):
        yield "the object whose method it is", fn.__self__
    elif isinstance(fn, types.FunctionType):
        yield from _parts_of_function(fn)
    elif isinstance(getattr(fn, "__dict__", None), dict):
        yield from ((f"the attribute {name!r}", one) for name, one in vars(fn).items())


def _parts_of_function(fn: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    assert isinstance(fn, types.FunctionType)
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        try:
            yield f"the variable {name!r} that it closes over", cell.cell_contents
        except ValueError:
            continue  # it has no value yet
    code = fn.__code__
    names = code.co_varnames[: code.co_argcount]
    defaults = fn.__defaults__ or ()
    yield from (
        (f"the default of {name!r}", one)
        for name, one in zip(names[len(names) - len(defaults) :], defaults, strict=True)
    )
    yield from ((f"the default of {name!r}", one) for name, one in (fn.__kwdefaults__ or {}).items())
    for name in code.co_names:
        if name in fn.__globals__:
            yield f"the global {name!r} that it uses", fn.__globals__[name]

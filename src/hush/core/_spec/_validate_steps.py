"""``step_faults``: what is wrong with one step: its function, its conditions, the keys that it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

from hush.core._expr._model import Apply, Const, Read, reads
from hush.core._spec._items import refusal
from hush.core._spec._keys import known_keys, lacks_key, written_keys
from hush.core._spec._model import (
    ERROR,
    METRICS,
    BranchSpec,
    CallSpec,
    Case,
    Fault,
    LoopSpec,
    MapSpec,
    Step,
    is_reserved,
)
from hush.core._spec._races import writers_by_key
from hush.core._spec._reads import StepReads, body_of, is_optional, tried
from hush.core._spec._signature import name_of, signature_of
from hush.core.errors import nearest

Levels = tuple[dict[str, Step], ...]
"""The steps by name of the graph at hand and of those around it, outermost first."""


def added_input(name: str, key: str, near: str | None, value: str | None = None) -> str:
    """The mend of an input ``key`` that the step ``name`` is not given."""
    value = value or f'PARENT["{key}"]'
    added = f'to {name}: inputs={{"{key}": {value}}}.'
    return f"Did you mean {near}? If not, add {added}" if near else f"Add {added}"


def step_faults(step: Step, step_reads: StepReads, levels: Levels) -> Iterator[Fault]:
    """What is wrong with one step, whatever else is in its graph but for what it reads."""
    if isinstance(step, CallSpec):
        yield from _call_faults(step)
    elif isinstance(step, MapSpec):
        for each in step.each:
            reason = refusal(each.source.value) if isinstance(each.source, Const) else None
            if reason is not None:
                yield Fault(*reason, each.where)
    elif isinstance(step, BranchSpec):
        yield from _branch_faults(step)
    elif isinstance(step, LoopSpec):
        yield from _loop_faults(step, levels)
    if isinstance(step, CallSpec | MapSpec) and step.executor == "process":
        from hush.core._spec._validate_portable import process_faults

        yield from process_faults(step)
    for name, read in step_reads:
        if name is not None and read.source.step is not None:
            yield from _key_faults(step, name, read, levels)
    for write in step.writes:
        if write.expr is not None:
            for read in reads(write.expr):
                yield from _key_faults(step, None, read, levels)


def _branch_faults(step: BranchSpec) -> Iterator[Fault]:
    if not step.cases:
        mend = 'Say what to choose, and when: .if_(node["k"] == 1, "target"), or cases={"x > 1": "target"}.'
        yield Fault(f"{step.name} has no cases", mend, step.where)
        return
    given = {name for name, _ in step.inputs}
    known = ", ".join(sorted(given)) or "none"
    named: set[str] = set()
    for case in step.cases:
        named |= case.names or set()
    unreadable = [case.text for case in step.cases if isinstance(case.condition, Const)]  # told of already
    unread = {name for name in given - named if not any(name in text for text in unreadable)}
    told = set(given)
    for case in step.cases:
        for name in sorted((case.names or frozenset()) - told):
            told.add(name)
            near = nearest(name, unread) or nearest(name, given)
            unread.discard(near or "")  # that nobody reads it follows from the name that was meant for it
            yield Fault(
                f"the condition {case.text!r} speaks of {name!r}, no input of {step.name} (its inputs: {known})",
                _meant(step.name, case, name, near),
                case.where,
            )
    for name in sorted(unread):
        yield Fault(f"no condition of {step.name} reads its input {name!r}", "Leave it out, or use it.", step.where)


_CONSTANTS = {"true": "True", "false": "False", "null": "None", "none": "None", "nil": "None", "undefined": "None"}


def _meant(branch: str, case: Case, name: str, near: str | None) -> str:
    """The mend of a name in a condition that is no input."""
    if name in _CONSTANTS:
        return f"Write {_CONSTANTS[name]}."
    if case.text.strip() == name in ("default", "otherwise", "_"):
        return f"Write default={case.target!r} in place of this case."
    return f"{added_input(branch, name, repr(near) if near else None)} If it is text, put it in quotes: {name!r}."


def _loop_faults(step: LoopSpec, levels: Levels) -> Iterator[Fault]:
    given = {name for name, _ in step.inputs}
    for name, read in tried(step).items():
        if name not in given:
            near = nearest(name, given)
            first = "None" if name in writers_by_key(step.body) else None
            yield Fault(
                f"the stop_condition of {step.name} reads {name!r}, which has no value before the first round "
                f"(its inputs: {', '.join(sorted(given)) or 'none'})",
                added_input(step.name, name, repr(near) if near else None, first),
                read.where,
            )
    if not step.faults and _never_stops(step):
        names = " and ".join(tried(step))
        near = nearest(names, writers_by_key(step.body))
        hint = f'Did you mean PARENT["{names}"] where PARENT["{near}"] is written? ' if near else ""
        yield Fault(
            f"{step.name} would never stop: its body does not write {names}, and {step.stop_text!r} does not hold",
            f'{hint}Write it for the next round: node["new"] >> PARENT["{next(iter(tried(step)))}"].',
            step.where,
        )
    if step.stop is not None:
        for read in reads(step.stop):
            if read.source.up and read.source.step is not None:
                outer = Read(read.source._replace(up=read.source.up - 1), read.key, read.where)
                yield from _key_faults(step, None, outer, levels, verb="is read by the stop_condition from")


def _never_stops(step: LoopSpec) -> bool:
    """Whether the condition is one of text over plain literals that no round can change, and does not hold."""
    stop, literals = step.stop, dict(step.inputs)
    if step.on_limit != "raise" or not isinstance(stop, Apply) or stop.form == "call" or not stop.args:
        return False
    written = written_keys(step.body)
    values: list[object] = []
    for read in stop.args:
        if not isinstance(read, Read) or read.source != (0, None) or written is None or read.key in written:
            return False
        literal = literals.get(read.key)
        if not isinstance(literal, Const) or not isinstance(literal.value, _PLAIN):
            return False
        values.append(literal.value)
    try:
        return not stop.fn(*values)
    except Exception:
        return False  # it is for the run to say what the condition raises


_PLAIN = (bool, int, float, str, type(None))


def _key_faults(
    step: Step, name: str | None, read: Read, levels: Levels, *, verb: str = "is written from"
) -> Iterator[Fault]:
    up, source_name = read.source
    assert source_name is not None
    if up >= len(levels) or source_name not in levels[-1 - up]:
        yield Fault(
            f"{step.name} reads {source_name}, a node of the graph around this one",
            "This graph runs inside that one only; to run it alone, pass the value through its inputs.",
            read.where,
        )
        return
    source = levels[-1 - up][source_name]
    keys = lacks_key(source, read.key)
    body = body_of(source)
    if body is not None and not body.steps:
        return  # it is empty, which is said by itself
    if keys is None or (name is not None and name in step.starred and is_optional(step, name)):
        return
    near = nearest(read.key, [*keys, ERROR, *((METRICS,) if isinstance(source, MapSpec | LoopSpec) else ())])
    have = ", ".join(sorted(keys)) or "none"
    act = "Write"
    if name is not None:
        verb, act = f"is read by {step.name} from", "Read"
    if near:
        mend = f'Did you mean {source_name}["{near}"]?'
    elif not keys and isinstance(source, CallSpec):
        mend = f'Return it: return {{"{read.key}": value}}.'
    elif not keys:
        mend = f'Write it inside {source_name}: node["k"] >> PARENT["{read.key}"], or outputs=PARENT.'
    elif isinstance(source, CallSpec):
        mend = f"{act} one of those, or return {read.key!r} too."
    elif isinstance(source, BranchSpec):
        mend = f"{act} one of those."
    else:
        mend = f'{act} one of those, or write it inside {source_name}: node["k"] >> PARENT["{read.key}"].'
    yield Fault(f"the key {read.key!r} {verb} {source_name}, whose keys are: {have}", mend, read.where)


def _call_faults(step: CallSpec) -> Iterator[Fault]:
    if step.fn is None:
        return
    signature = step.signature
    if signature.generates:
        yield Fault(
            f"{step.name} calls a generator function, whose values nobody would see one by one",
            'Return the generator under a key: return {"rows": generator}; then Each(node["rows"]).',
            step.where,
        )
    yield from _reserved_keys(step)
    if callable(step.policies.tokens):
        yield from _tokens_faults(step, step.policies.tokens)
    if not signature.known:
        return
    given = dict(step.inputs)
    names = signature.names()
    written = step.kind == "code"  # a function of the user's, who can change it
    for name in given if not signature.open else ():
        if name not in names:
            near = nearest(name, names)
            takes = f"It takes: {', '.join(names)}." if names else "It takes nothing."
            hint = f"Did you mean {near!r}? " if near else ""
            who = f"the function of {step.name}" if written else step.name
            yield Fault(f"{who} takes no input {name!r}", hint + takes, step.where)
    for parameter in signature.parameters:
        if not parameter.has_default and parameter.name not in given:
            yield Fault(
                f"nothing feeds the {'parameter' if written else 'input'} {parameter.name!r} of {step.name}",
                f'Add inputs={{"{parameter.name}": PARENT["{parameter.name}"]}}'
                + (", or give it a default." if written else "."),
                step.where,
            )


def _tokens_faults(step: CallSpec, fn: Callable[..., Any]) -> Iterator[Fault]:
    """What keeps ``tokens=`` from being called with the node's inputs by name, or from giving a number."""
    signature = signature_of(fn)
    called = f"tokens={name_of(fn)} of {step.name}"
    if signature.awaited or signature.generates:
        kind = "an async function" if signature.awaited else "a generator function"
        yield Fault(f"{called} is {kind}, and a number is wanted at once", "Give a def that returns it.", step.where)
        return
    given = dict(step.inputs)
    unread = [name for name in given if signature.parameter(name) is None]
    for parameter in signature.parameters:
        name = parameter.name
        if parameter.has_default and name not in given:
            continue
        if name not in given:
            near = nearest(name, unread)
            known = ", ".join(given) or "none"
            mend = added_input(step.name, name, repr(near) if near else None)
            if name not in step.signature.names() and not step.signature.open:
                hint = f"Did you mean {near!r}? " if near else ""
                mend = f"{hint}It is given the inputs of {step.name} by name: take those it needs, or a default."
            yield Fault(f"{called} takes {name!r}, no input of {step.name} (its inputs: {known})", mend, step.where)
        elif parameter.how == "positional":
            yield Fault(
                f"{called} takes {name!r} by position only, and is given the inputs by name",
                "Leave the / out of its parameters.",
                step.where,
            )


def _may_return_reserved(code: CodeType) -> bool:
    """Whether a reserved key is among the constants: the cheap question first."""
    for const in code.co_consts:
        if type(const) is str:
            if is_reserved(const):
                return True
        elif type(const) is tuple and any(map(is_reserved, const)):
            return True
    return False


def _reserved_keys(step: CallSpec) -> Iterator[Fault]:
    code = getattr(step.fn, "__code__", None)
    if type(code) is not CodeType or not _may_return_reserved(code):
        return
    assert step.fn is not None
    for key in sorted(known_keys(step) or ()):
        if is_reserved(key):
            yield Fault(f"{step.name} returns the reserved key {key!r}", "Choose another name.", step.where)

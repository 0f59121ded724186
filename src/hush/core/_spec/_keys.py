"""The keys that a step is known to give: from annotations, or from code whose every ``return`` is a dict literal.

Only the code object is read, never source text. Whatever is not certain counts as not known.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any
from weakref import WeakKeyDictionary

from hush.core._spec._model import ERROR, METRICS, STAR, BranchSpec, CallSpec, GraphSpec, LoopSpec, MapSpec, Step
from hush.core._spec._signature import code_of

Keys = frozenset[str]
_by_function: WeakKeyDictionary[types.FunctionType, tuple[Keys | None]] = WeakKeyDictionary()
_BRANCH_KEYS = frozenset({"target", "matched"})
_DICT_LITERAL_BYTECODE = (3, 11) <= sys.version_info[:2] <= (3, 14)


def known_keys(step: Step) -> Keys | None:
    """The keys that ``step`` can have, ``None`` if they are not known. ``error`` is always there besides."""
    if isinstance(step, CallSpec):
        uses = step.policies.uses
        if uses is not None:
            return uses.outputs  # what its function gives is a request
        return None if step.fn is None else return_keys(step.fn)
    if isinstance(step, BranchSpec):
        return _BRANCH_KEYS
    if isinstance(step, MapSpec):
        return written_keys(step.body)
    if isinstance(step, LoopSpec):
        written = written_keys(step.body)
        return None if written is None else written | {name for name, _ in step.inputs}
    return written_keys(step)


def written_keys(graph: GraphSpec) -> Keys | None:
    """The keys that the steps of ``graph`` write to it, ``None`` if a ``"*"`` hides them."""
    found: set[str] = set()
    for step in graph.steps:
        for write in step.writes:
            if write.key != STAR:
                found.add(write.key)
                continue
            keys = known_keys(step)
            if keys is None:
                return None
            found |= keys
    return frozenset(found)


def lacks_key(step: Step, key: str) -> Keys | None:
    """The keys of ``step`` if ``key`` is certainly not one of them."""
    if key == ERROR or (key == METRICS and isinstance(step, MapSpec | LoopSpec)):
        return None
    if isinstance(step, CallSpec) and step.fn is not None and _mentions(step.fn, key):
        return None  # the cheap answer first: disassembling is most of what a check could cost
    keys = known_keys(step)
    return None if keys is None or key in keys else keys


def return_keys(fn: Callable[..., Any]) -> Keys | None:
    """The keys of what ``fn`` returns."""
    if type(fn) is not types.FunctionType:
        return _keys_of(fn)
    found = _by_function.get(fn)
    if found is None:
        found = _by_function[fn] = (_keys_of(fn),)
    return found[0]


def _keys_of(fn: Callable[..., Any]) -> Keys | None:
    declared = _declared_keys(fn)
    if declared is not None:
        return declared
    code = code_of(fn)
    return None if code is None or not _DICT_LITERAL_BYTECODE else _keys_of_code(code)


def _mentions(fn: Callable[..., Any], key: str) -> bool:
    code = getattr(fn, "__code__", None)
    if type(code) is not types.CodeType or _may_declare(fn):
        return False
    return any(const == key or (type(const) is tuple and key in const) for const in code.co_consts)


def _may_declare(fn: Callable[..., Any]) -> bool:
    """Whether the annotation of what ``fn`` returns may name keys: not if it is a plain dict, or nothing."""
    annotations = getattr(fn, "__annotations__", None)
    declared = annotations.get("return") if type(annotations) is dict else None
    if isinstance(declared, str):
        return not declared.startswith(("dict", "Dict", "Mapping", "None", "Any", "typing."))
    return isinstance(declared, type) and declared is not dict


def _declared_keys(fn: Callable[..., Any]) -> Keys | None:
    if not _may_declare(fn) or hasattr(fn, "__wrapped__"):
        return None
    declared = fn.__annotations__["return"]
    if isinstance(declared, str):
        from typing import get_type_hints

        try:
            declared = get_type_hints(fn).get("return")
        except Exception:  # a name that exists for type checkers only: the keys are not known
            return None
    if not isinstance(declared, type):
        return None
    if is_dataclass(declared):
        return frozenset(field.name for field in fields(declared))
    if hasattr(declared, "__total__"):
        return frozenset((*declared.__required_keys__, *declared.__optional_keys__))  # type: ignore[attr-defined]
    model_fields = getattr(declared, "model_fields", None)
    if not isinstance(model_fields, dict) or getattr(declared, "model_config", {}).get("extra") == "allow":
        return None
    return frozenset(model_fields)


def _keys_of_code(code: types.CodeType) -> Keys | None:
    if code.co_flags & 0x220:  # generators return nothing of this kind
        return None
    import dis

    instructions = [one for one in dis.get_instructions(code) if one.opname not in ("NOP", "CACHE")]
    found: set[str] = set()
    returns = False
    for at, one in enumerate(instructions):
        returns = returns or one.opname in ("RETURN_VALUE", "RETURN_CONST")
        if one.opname == "RETURN_CONST":
            if one.argval is not None:
                return None
        elif one.opname == "RETURN_VALUE":
            keys = None if one.is_jump_target else _literal_before(dis.stack_effect, instructions, at - 1)
            if keys is None:
                return None
            found |= keys
    return frozenset(found) if returns else None  # what never returns has no keys to know


def _literal_before(stack_effect: Callable[..., int], instructions: list[Any], at: int) -> set[str] | None:
    """The keys of the dict literal that ends at ``at``, if one does."""
    last = instructions[at]
    if last.is_jump_target and last.opname != "BUILD_MAP":
        return None
    if last.opname == "LOAD_CONST":
        return set() if last.argval is None else None
    if last.opname == "BUILD_CONST_KEY_MAP":
        names = instructions[at - 1].argval
        return set(names) if all(isinstance(name, str) for name in names) else None
    if last.opname != "BUILD_MAP" or last.is_jump_target:
        return None
    keys: set[str] = set()
    for _ in range(last.arg):
        at = _start_of_value(stack_effect, instructions, at - 1) - 1
        if at < 0 or instructions[at].opname != "LOAD_CONST" or not isinstance(instructions[at].argval, str):
            return None
        keys.add(instructions[at].argval)
    return keys


def _start_of_value(stack_effect: Callable[..., int], instructions: list[Any], at: int) -> int:
    """Walk back over the instructions that leave one value; 0 if they are not a straight line."""
    depth = 0
    while at > 0:
        one = instructions[at]
        if one.is_jump_target or "JUMP" in one.opname or one.opname in ("FOR_ITER", "SEND", "YIELD_VALUE"):
            return 0
        depth += stack_effect(one.opcode, one.arg, jump=False)
        if depth == 1:
            return at
        if depth > 1:
            return 0
        at -= 1
    return 0

"""``choice_of``: how a branch chooses, as a function of the slots."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

from hush.core._expr._model import Read
from hush.core._plan._bind import Place, Resolve, expr_reader, none_for_skipped
from hush.core._plan._model import SKIPPED, Reader, Slots
from hush.core._spec._model import BranchSpec
from hush.core.errors import NoCaseMatched, UsageError


def choice_of(step: BranchSpec, resolve: Resolve) -> Callable[[Slots], dict[str, Any]]:
    """A function that gives the outputs of a branch: the ``target`` of the first case that holds, and what ``matched``.

    Conditions are tried in order, and only until one holds. What is not there reads as ``None``.
    """
    inputs = [(name, expr_reader(expr, resolve)) for name, expr in step.inputs]
    cases: list[tuple[Reader, bool, str, dict[str, Any]]] = []
    for case in step.cases:
        by_name = case.names is not None
        reader = expr_reader(case.condition, _of_inputs if by_name else none_for_skipped(resolve))
        cases.append((reader, by_name, case.text, {"target": case.target, "matched": case.text}))
    matched = "default" if step.default is not None else None
    default = {"target": step.default, "matched": matched} if step.has_default else None

    def choose(slots: Slots) -> dict[str, Any]:
        values = {name: read(slots) for name, read in inputs}
        for name, value in values.items():
            if value is SKIPPED:
                values[name] = None
        for read, by_name, text, out in cases:
            value = read(values if by_name else slots)
            if holds(value, text):
                return out.copy()
        if default is None:
            raise NoCaseMatched(
                f"no case of the branch {step.name!r} holds ({', '.join(repr(case.text) for case in step.cases)}"
                f"{_told(values)}), and it has no default. Add default=, or default=END for nothing. ({step.where})"
            )
        return default.copy()

    return choose


def holds(value: Any, text: str) -> bool:
    """Whether the condition ``text``, which gave ``value``, holds."""
    if type(value) is not bool and hasattr(value, "__await__"):
        if hasattr(value, "close"):
            value.close()  # a coroutine: or it would be said that nobody awaited it
        raise UsageError(
            f"the condition {text!r} gave something to await, which would always hold. Await it in an async def of a "
            "node, and let the condition test what that returned."
        )
    try:
        return bool(value)
    except Exception as exc:
        exc.add_note(f"Hush: while asking whether the condition {text!r} holds")
        raise


def _of_inputs(read: Read) -> Place:
    return Place(0, maybe=False, reader=itemgetter(read.key))


def _told(values: dict[str, Any]) -> str:
    """The kinds of the values that were looked at: the values themselves may be secret."""
    return "".join(f"; {name} is of type {type(value).__name__}" for name, value in values.items())

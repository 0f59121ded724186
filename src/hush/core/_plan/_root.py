"""``compile_root``: the plan of a whole graph, and what a run of it must bring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hush.core._expr._model import Const, reads
from hush.core._plan._bind import Place, expr_reader, slots_maker
from hush.core._plan._compile import Compiler, Policies
from hush.core._plan._model import SKIPPED, Reader, RootInput, RootPlan, Slots
from hush.core._plan._scope import Scope
from hush.core._spec._model import GraphSpec
from hush.core._spec._reads import is_optional, parent_reads
from hush.core.errors import InputError, UsageError, nearest


def compile_root(root: GraphSpec, policies: Policies) -> RootPlan:
    """The plan of a whole graph, with what a run must bring. ``root`` has been checked."""
    scope = Scope(root)
    plan = Compiler(scope, root.name, policies).plan()
    own = dict(root.inputs)
    wanted: dict[str, RootInput] = {}
    pairs: list[tuple[int, Reader]] = []
    for key, slot in plan.inputs.items():
        required, reader = _wanted(scope, key)
        wanted_by = root.name if root.wraps else f"{root.name}/{reader}"
        expr = own.get(key, Const(SKIPPED))
        if any(read.source.step is not None for read in reads(expr)):
            expr = Const(SKIPPED)  # it reads a node of a graph around, which is not there when this one is the root
        if isinstance(expr, Const):
            wanted[key] = RootInput(key, required and expr.value is SKIPPED, wanted_by)
            pairs.append((slot, _of_run(key, expr.value)))
        else:
            for read in reads(expr):
                wanted.setdefault(read.key, RootInput(read.key, required, wanted_by))
            pairs.append(
                (slot, expr_reader(expr, lambda read: Place(0, maybe=True, reader=_of_run(read.key, SKIPPED))))
            )
    must = frozenset([one.key for one in wanted.values() if one.required])
    return RootPlan(plan, root.where, root.timeout_s, wanted, must, slots_maker(plan, pairs))


def _wanted(scope: Scope, key: str) -> tuple[bool, str]:
    """Whether a run must bring ``key``, and the first step that wants it."""
    first = ""
    for step, name, read in parent_reads(scope.graph):
        if read.key != key:
            continue
        first = first or step.name
        number = scope.order.index[step.name]
        earlier = scope.writers is not None and scope.writers.may_precede(number, key)
        if not earlier and not is_optional(step, name):
            return True, step.name
    return False, first


def _of_run(key: str, default: Any) -> Reader:
    return lambda given: given.get(key, default)


def bind_inputs(root: RootPlan, inputs: Mapping[str, Any] | None) -> Slots:
    """The first slots of a run that is given these inputs. Raises ``InputError`` for what is missing or not read."""
    given = {} if inputs is None else inputs
    if type(given) is not dict and not isinstance(given, Mapping):
        raise UsageError(f"inputs={inputs!r}: the inputs of a run are a dict.")
    if not root.required <= given.keys() <= root.inputs.keys():
        raise InputError(_wrong_inputs(root, given))
    return root.bind(given)


def _wrong_inputs(root: RootPlan, given: Mapping[str, Any]) -> str:
    missing = [one for one in root.inputs.values() if one.required and one.key not in given]
    unknown = [key for key in given if key not in root.inputs]
    said = [f"the input {one.key!r} is missing: {one.wanted_by} reads it" for one in missing]
    for key in unknown:
        near = nearest(key, root.inputs)
        hint = f" (did you mean {near!r}?)" if near else ""
        listed = f" (it reads: {', '.join(sorted(root.inputs))})" if root.inputs else " (it reads none)"
        said.append(f"no node of the graph reads the input {key!r}{hint or listed}")
    return f"the run of {root.plan.name!r} cannot start: {'; '.join(said)}."

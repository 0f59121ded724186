"""``check``: everything that can be known to be wrong with a graph before it runs, all of it at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import CodeType

from hush.core._expr._model import Const, Read, reads
from hush.core._spec._arms import arms_of
from hush.core._spec._items import refusal
from hush.core._spec._keys import lacks_key, return_keys
from hush.core._spec._model import (
    ERROR,
    METRICS,
    STAR,
    BranchSpec,
    CallSpec,
    Fault,
    GraphSpec,
    LoopSpec,
    MapSpec,
    Step,
    is_reserved,
)
from hush.core._spec._order import Order, order_of
from hush.core._spec._races import Writers, races
from hush.core._spec._reads import StepReads, body_of, graph_reads, is_optional, own_inputs, parent_reads, tried
from hush.core.errors import GraphError, Problem, nearest

Levels = tuple[dict[str, Step], ...]
"""The steps by name of the graph at hand and of those around it, outermost first."""


def check(root: GraphSpec, *, alone: bool = True) -> list[Problem]:
    """All problems of ``root``, in the order of its nodes; ``alone`` if there is no graph around it."""
    problems: list[Problem] = []
    todo: list[tuple[str, GraphSpec, Levels, Step | None]] = [(root.name, root, (), None)]
    for path, graph, around, container in todo:  # grows while it is walked
        levels = (*around, {step.name: step for step in graph.steps})
        if graph is root:
            problems += _told(path, root.faults)
            problems += _told(path, _root_faults(root)) if alone else ()
        for name, fault in _graph_faults(graph, container):
            problems += _told(f"{path}/{name}" if name and not graph.wraps else path, (fault,))
        for step, step_reads in zip(graph.steps, graph_reads(graph), strict=True):
            inner = path if graph.wraps else f"{path}/{step.name}"
            if step.faults:
                problems += _told(inner, step.faults)
            problems += _told(inner, _step_faults(step, step_reads, levels))
            body = body_of(step)
            if body is not None:
                if isinstance(step, MapSpec | LoopSpec):
                    problems += _told(inner, body.faults)
                todo.append((inner, body, levels, step))
    return problems


def require_sound(root: GraphSpec) -> None:
    """Raise one ``GraphError`` with all problems of ``root``, if it has any."""
    problems = check(root)
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        listed = "\n".join(f"  {number}. {problem}" for number, problem in enumerate(problems, 1))
        raise GraphError(f"the graph {root.name!r} has {count}:\n{listed}", problems)


def _root_faults(root: GraphSpec) -> Iterator[Fault]:
    """What is wrong with a graph only where there is none around it."""
    if root.on_error == "collect":
        yield Fault(
            f'{root.name} is the root, and on_error="collect" leaves its error to nobody',
            "Leave it out, and catch what run raises.",
            root.where,
        )


def _told(path: str, faults: tuple[Fault, ...] | Iterator[Fault]) -> list[Problem]:
    return [Problem(path, fault.where.file, fault.where.line, fault.message, fault.mend) for fault in faults]


# --- a graph as a whole ---------------------------------------------------------------------------------------
def _graph_faults(graph: GraphSpec, container: Step | None) -> Iterator[tuple[str, Fault]]:
    if not graph.steps:
        yield "", Fault(f"{graph.name} has no nodes", "Make its nodes inside its with block.", graph.where)
        return
    order = order_of(graph)
    for cycle in order.cycles():
        names = [graph.steps[number].name for number in (*cycle, cycle[0])]
        yield (
            "",
            Fault(
                f"the nodes wait for each other in a circle: {' >> '.join(names)}",
                "Take one of these edges or references away.",
                graph.steps[cycle[0]].where,
            ),
        )
    if graph.starts is not None:
        yield from _unreachable(graph, order)
    yield from _never_run(graph, order)
    for step in graph.steps:
        if isinstance(step, BranchSpec) and not graph.wraps:
            yield from ((step.name, fault) for fault in _unknown_targets(step, order.index))
    yield from ((graph.steps[number].name, fault) for number, fault in races(graph, order))
    yield from _double_writes(graph)
    if container is not None:
        yield from _not_given(graph, container, order)


def _unreachable(graph: GraphSpec, order: Order) -> Iterator[tuple[str, Fault]]:
    reached = order.reached_from([order.index[name] for name in graph.starts or ()])
    for number, step in enumerate(graph.steps):
        if number not in reached and all(before in reached for before in order.before[number]):
            message = f"{step.name} cannot be reached from START"
            yield step.name, Fault(message, f"Add: START >> {step.name}", step.where)


def _never_run(graph: GraphSpec, order: Order) -> Iterator[tuple[str, Fault]]:
    arms = arms_of(graph)
    for number in arms.never:
        step = graph.steps[number]
        sources = [graph.steps[before].name for before in order.before[number]]
        yield (
            step.name,
            Fault(
                f"{step.name} could never run: it has no edges and needs values of {', '.join(sources)}, "
                "which lie on different arms of a branch",
                f"Join the arms by edges: [{', '.join(sources)}] >> {step.name}; what was skipped is read as the "
                "parameter's default, or None.",
                step.where,
            ),
        )


def _unknown_targets(branch: BranchSpec, names: Mapping[str, int]) -> Iterator[Fault]:
    written = [(case.target, case.where) for case in branch.cases] + [(branch.default, branch.where)]
    for target, where in written:
        if target is None or target in names:
            continue
        others = [name for name in names if name != branch.name]
        near = nearest(target, others)
        mend = f"Did you mean {near!r}?" if near else f"There are: {', '.join(others) or 'none'}."
        yield Fault(f"the target {target!r} of {branch.name} is no node of this graph", mend, where)


def _double_writes(graph: GraphSpec) -> Iterator[tuple[str, Fault]]:
    for step in graph.steps:
        seen: set[str] = set()
        for write in step.writes:
            if write.key != STAR and write.key in seen:
                message = f'{step.name} writes PARENT["{write.key}"] twice'
                yield step.name, Fault(message, "Write it once, or use two keys.", write.where)
            seen.add(write.key)


def _not_given(graph: GraphSpec, container: Step, order: Order) -> Iterator[tuple[str, Fault]]:
    given = {name for name, _ in own_inputs(container)}
    missing = [(step, name, read) for step, name, read in parent_reads(graph) if read.key not in given]
    if not missing:
        return
    writers = Writers(graph, order)
    for step, name, read in missing:
        if writers.may_precede(order.index[step.name], read.key) or (name in step.starred and is_optional(step, name)):
            continue
        near = nearest(read.key, given)
        hint = f"Did you mean PARENT[{near!r}]? " if near else ""
        have = ", ".join(sorted(given)) or "nothing"
        yield (
            step.name,
            Fault(
                f'{step.name} reads PARENT["{read.key}"], which {container.name} is not given (it is given: {have})',
                f'{hint}Add to {container.name}: inputs={{"{read.key}": …}}.',
                read.where,
            ),
        )


# --- one step -------------------------------------------------------------------------------------------------
def _step_faults(step: Step, step_reads: StepReads, levels: Levels) -> Iterator[Fault]:
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
    for name, read in step_reads:
        if name is not None and read.source.step is not None:
            yield from _key_faults(step, name, read, levels)
    for write in step.writes:
        if write.expr is not None:
            for read in reads(write.expr):
                yield from _key_faults(step, None, read, levels)


def _branch_faults(step: BranchSpec) -> Iterator[Fault]:
    if not step.cases:
        mend = f'{step.name}.if_(node["k"] == 1, "target")' if not step.inputs else 'cases={"x > 1": "target"}'
        yield Fault(f"{step.name} has no cases", f"Say what to choose, and when: {mend}.", step.where)
        return
    given = {name for name, _ in step.inputs}
    known = ", ".join(sorted(given)) or "none"
    named: set[str] = set()
    for case in step.cases:
        named |= case.names or set()
        for name in sorted((case.names or frozenset()) - given):
            near = nearest(name, given)
            hint = f"Did you mean {near!r}? " if near else ""
            yield Fault(
                f"the condition {case.text!r} speaks of {name!r}, no input of {step.name} (its inputs: {known})",
                f'{hint}Add to {step.name}: inputs={{"{name}": …}}.',
                case.where,
            )
    unreadable = [case.text for case in step.cases if isinstance(case.condition, Const)]  # told of already
    for name in sorted(given - named):
        if any(name in text for text in unreadable):
            continue
        near = nearest(name, named)
        hint = f"Did you mean {near!r}? " if near else ""
        yield Fault(
            f"no condition of {step.name} reads its input {name!r}", f"{hint}Leave it out, or use it.", step.where
        )


def _loop_faults(step: LoopSpec, levels: Levels) -> Iterator[Fault]:
    given = {name for name, _ in step.inputs}
    for name, read in tried(step).items():
        if name not in given:
            near = nearest(name, given)
            hint = f"Did you mean {near!r}? " if near else ""
            yield Fault(
                f"the stop_condition of {step.name} reads {name!r}, which has no value before the first round "
                f"(its inputs: {', '.join(sorted(given)) or 'none'})",
                f'{hint}Add to {step.name}: inputs={{"{name}": …}}.',
                read.where,
            )
    if step.stop is not None:
        for read in reads(step.stop):
            if read.source.up and read.source.step is not None:
                outer = Read(read.source._replace(up=read.source.up - 1), read.key, read.where)
                yield from _key_faults(step, None, outer, levels, verb="is read by the stop_condition from")


def _key_faults(
    step: Step, name: str | None, read: Read, levels: Levels, *, verb: str = "is written from"
) -> Iterator[Fault]:
    up, source_name = read.source
    assert source_name is not None
    if up >= len(levels):
        yield Fault(
            f"{step.name} reads {source_name}, a node of the graph around this one",
            "This graph runs inside that one only; to run it alone, pass the value through its inputs.",
            read.where,
        )
        return
    source = levels[-1 - up][source_name]
    keys = lacks_key(source, read.key)
    if keys is None or (name is not None and name in step.starred and is_optional(step, name)):
        return
    always = (ERROR, METRICS) if isinstance(source, MapSpec | LoopSpec) else (ERROR,)
    near = nearest(read.key, [*keys, *always])
    have = ", ".join(sorted(keys)) or "none"
    if name is not None:
        verb = f"is read by {step.name} from"
    mend = f'Did you mean {source_name}["{near}"]?' if near else f"Read one of those, or return {read.key!r} too."
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
    if not signature.known:
        return
    given = dict(step.inputs)
    names = signature.names()
    for name in given if not signature.open else ():
        if name not in names:
            near = nearest(name, names)
            takes = f"It takes: {', '.join(names)}." if names else "It takes nothing."
            hint = f"Did you mean {near!r}? " if near else ""
            yield Fault(f"the function of {step.name} takes no input {name!r}", hint + takes, step.where)
    for parameter in signature.parameters:
        if not parameter.has_default and parameter.name not in given:
            yield Fault(
                f"nothing feeds the parameter {parameter.name!r} of {step.name}",
                f'Add inputs={{"{parameter.name}": …}}, or give it a default.',
                step.where,
            )


def _reserved_keys(step: CallSpec) -> Iterator[Fault]:
    code = getattr(step.fn, "__code__", None)
    consts = code.co_consts if type(code) is CodeType else ()
    for const in consts:
        if is_reserved(const) or (type(const) is tuple and any(map(is_reserved, const))):
            break
    else:
        return
    assert step.fn is not None
    for key in sorted(return_keys(step.fn) or ()):
        if is_reserved(key):
            yield Fault(f"{step.name} returns the reserved key {key!r}", "Choose another name.", step.where)

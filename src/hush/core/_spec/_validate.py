"""``check``: everything that can be known to be wrong with a graph before it runs, all of it at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import CodeType

from hush.core._expr._model import Apply, Const, Read, reads
from hush.core._expr._where import Where
from hush.core._spec._arms import arms_of
from hush.core._spec._items import refusal
from hush.core._spec._keys import lacks_key, return_keys, written_keys
from hush.core._spec._model import (
    ERROR,
    METRICS,
    STAR,
    BranchSpec,
    CallSpec,
    Case,
    Edge,
    Fault,
    GraphSpec,
    LoopSpec,
    MapSpec,
    Step,
    is_reserved,
)
from hush.core._spec._order import Order, order_of
from hush.core._spec._races import Writers, races, writers_by_key
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
    faults: list[tuple[str, Fault]] = []
    graph = _with_targets(graph, faults)
    order = order_of(graph)
    for cycle in order.cycles():
        yield "", _circle(graph, order, cycle)
    if graph.starts is not None:
        yield from _unreachable(graph, order)
    yield from _never_run(graph, order)
    if not graph.wraps:  # a branch that runs alone needs no targets
        yield from faults
    yield from ((graph.steps[number].name, fault) for number, fault in races(graph, order))
    yield from _double_writes(graph)
    if container is not None:
        yield from _not_given(graph, container, order)


def _circle(graph: GraphSpec, order: Order, cycle: list[int]) -> Fault:
    text = graph.steps[cycle[0]].name
    for before, after in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
        sign = "" if before in order.before[after] else "~"
        text += f" >> {sign}{graph.steps[after].name}"
    mend = "Take one of these edges or references away; what is to be repeated goes into a WhileLoopNode."
    if any(isinstance(graph.steps[number], BranchSpec) for number in cycle):
        mend = "A graph has no way back: take one of these away, and put what is to be repeated into a WhileLoopNode."
    return Fault(f"the nodes wait for each other in a circle: {text}", mend, graph.steps[cycle[0]].where)


def _unreachable(graph: GraphSpec, order: Order) -> Iterator[tuple[str, Fault]]:
    reached = order.reached_from([order.index[name] for name in graph.starts or ()])
    for number, step in enumerate(graph.steps):
        if number not in reached and reached.issuperset((*order.before[number], *order.soft[number])):
            message = f"{step.name} cannot be reached from START"
            yield step.name, Fault(message, f"Add: START >> {step.name}", step.where)


def _never_run(graph: GraphSpec, order: Order) -> Iterator[tuple[str, Fault]]:
    arms = arms_of(graph)
    for number in arms.never:
        step = graph.steps[number]
        branch, parted = arms.parting(order.before[number])
        sources = [graph.steps[before].name for before in parted]
        yield (
            step.name,
            Fault(
                f"{step.name} could never run: it has no edges and needs values of {', '.join(sources)}, "
                f"which lie on different arms of the branch {graph.steps[branch].name}",
                f"Join the arms by edges: [{', '.join(sources)}] >> {step.name}; what was skipped is read as the "
                "parameter's default, or None.",
                step.where,
            ),
        )


def _with_targets(graph: GraphSpec, faults: list[tuple[str, Fault]]) -> GraphSpec:
    """``graph`` with the targets that were meant in place of those that it lacks, which become ``faults``.

    What would follow from a misspelt target, nodes that are never reached or lie on no arm, is not told besides.
    """
    if not any(isinstance(step, BranchSpec) for step in graph.steps):
        return graph
    names = {step.name for step in graph.steps}
    steps: list[Step] = []
    edges = list(graph.edges)
    for step in graph.steps:
        if isinstance(step, BranchSpec) and not names.issuperset(step.targets()):
            meant: dict[str | None, str | None] = {}
            written = [(case.target, case.where) for case in step.cases] + [(step.default, step.where)]
            for target, where in written:
                if target is not None and target not in names:
                    near = meant[target] = nearest(target, names - {step.name})
                    faults.append((step.name, _unknown_target(step, target, near, graph, where)))
                    edges += [Edge(step.name, near, where)] if near else []
            cases = tuple([case._replace(target=meant.get(case.target, case.target)) for case in step.cases])
            step = replace(step, cases=cases, default=meant.get(step.default, step.default))
        steps.append(step)
    return replace(graph, steps=tuple(steps), edges=tuple(edges), memo={}) if faults else graph


def _unknown_target(branch: BranchSpec, target: str, near: str | None, graph: GraphSpec, where: Where) -> Fault:
    others = [step.name for step in graph.steps if step is not branch]
    mend = f"Did you mean {near!r}?" if near else f"There are: {', '.join(others) or 'none'}."
    if target == "END":
        mend = "Write END without quotes: it is imported from hush.core."
    return Fault(f"the target {target!r} of {branch.name} is no node of this graph", mend, where)


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
    told: set[str] = set()
    in_order = set(order.topological)
    for step, name, read in missing:
        number, key = order.index[step.name], read.key
        if writers.may_precede(number, key) or (name in step.starred and is_optional(step, name)):
            continue
        if key in told or (number not in in_order and (writers.hidden or key in writers.by_key)):
            continue  # told before, or it follows from the circle in which the step lies
        if isinstance(container, MapSpec) and not container.each and len({one.key for _, _, one in missing}) == 1:
            continue  # what it is to go through, which is said where it has no Each
        near = nearest(read.key, given)
        if near is None:
            told.add(key)
        have = ", ".join(sorted(given)) or "nothing"
        mend = _added(container.name, read.key, f'PARENT["{near}"]' if near else None)
        if isinstance(container, MapSpec) and read.key in writers.by_key:
            mend = "Items do not see each other: what is carried from one to the next belongs in a WhileLoopNode."
        yield (
            step.name,
            Fault(
                f'{step.name} reads PARENT["{read.key}"], which {container.name} is not given (it is given: {have})',
                mend,
                read.where,
            ),
        )


def _added(name: str, key: str, near: str | None, value: str | None = None) -> str:
    """The mend of an input ``key`` that the step ``name`` is not given."""
    value = value or f'PARENT["{key}"]'
    added = f'to {name}: inputs={{"{key}": {value}}}.'
    return f"Did you mean {near}? If not, add {added}" if near else f"Add {added}"


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
    return f"{_added(branch, name, repr(near) if near else None)} If it is text, put it in quotes: {name!r}."


def _loop_faults(step: LoopSpec, levels: Levels) -> Iterator[Fault]:
    given = {name for name, _ in step.inputs}
    for name, read in tried(step).items():
        if name not in given:
            near = nearest(name, given)
            first = "None" if name in writers_by_key(step.body) else None
            yield Fault(
                f"the stop_condition of {step.name} reads {name!r}, which has no value before the first round "
                f"(its inputs: {', '.join(sorted(given)) or 'none'})",
                _added(step.name, name, repr(near) if near else None, first),
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
                f'Add inputs={{"{parameter.name}": PARENT["{parameter.name}"]}}, or give it a default.',
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
    for key in sorted(return_keys(step.fn) or ()):
        if is_reserved(key):
            yield Fault(f"{step.name} returns the reserved key {key!r}", "Choose another name.", step.where)

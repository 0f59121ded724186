"""``check``: everything that can be known to be wrong with a graph before it runs, all of it at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hush.core._expr._record import replace
from hush.core._expr._where import Where
from hush.core._spec._arms import arms_of
from hush.core._spec._model import (
    STAR,
    BranchSpec,
    Edge,
    Fault,
    GraphSpec,
    LoopSpec,
    MapSpec,
    Step,
)
from hush.core._spec._order import Order, order_of
from hush.core._spec._races import Writers, races
from hush.core._spec._reads import body_of, graph_reads, is_optional, own_inputs, parent_reads
from hush.core._spec._validate_steps import Levels, added_input, step_faults
from hush.core.errors import GraphError, Problem, nearest


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
            problems += _told(inner, step_faults(step, step_reads, levels))
            body = body_of(step)
            if body is not None:
                if isinstance(step, MapSpec | LoopSpec):
                    problems += _told(inner, body.faults)
                todo.append((inner, body, levels, step))
    return problems


def require_sound(root: GraphSpec, more: Sequence[Problem] = ()) -> None:
    """Raise one ``GraphError`` with all problems of ``root``, and ``more`` of what it names, if there are any."""
    problems = [*check(root), *more]
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
        mend = added_input(container.name, read.key, f'PARENT["{near}"]' if near else None)
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

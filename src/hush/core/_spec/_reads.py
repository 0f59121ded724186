"""What a step reads: its own references, and those that the steps inside it make to the graphs around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from hush.core._expr._model import Const, Expr, Read, reads
from hush.core._spec._model import BranchSpec, CallSpec, GraphSpec, LoopSpec, MapSpec, Source, Step

StepReads: TypeAlias = "tuple[tuple[str | None, Read], ...]"
"""The reads of one step, each with the input it stands in; ``None`` for those passed down to steps inside it."""


def body_of(step: Step) -> GraphSpec | None:
    """The graph inside a container, ``None`` for a leaf."""
    if isinstance(step, GraphSpec):
        return step
    return step.body if isinstance(step, MapSpec | LoopSpec) else None


def leaves(graph: GraphSpec) -> Iterator[CallSpec]:
    """Every leaf in ``graph``, at any depth."""
    todo = [*graph.steps]
    for step in todo:  # grows while it is walked
        if isinstance(step, CallSpec):
            yield step
        elif (body := body_of(step)) is not None:
            todo += body.steps


def own_inputs(step: Step) -> Iterator[tuple[str, Expr]]:
    """The step's inputs, ``Each`` included, with their expressions."""
    yield from step.inputs
    if isinstance(step, MapSpec):
        for each in step.each:
            yield each.name, each.source


def _expressions(step: Step) -> Iterator[tuple[str, Expr]]:
    """The step's inputs, and the conditions of a branch that speak of references."""
    yield from own_inputs(step)
    if isinstance(step, BranchSpec):
        for case in step.cases:
            if case.names is None:
                yield f"condition {case.text}", case.condition


def graph_reads(graph: GraphSpec) -> tuple[StepReads, ...]:
    """What each step of ``graph`` reads; what is passed down counts as if it were listed in the step's inputs."""
    found: tuple[StepReads, ...] | None = graph.memo.get("reads")
    if found is None:
        found = graph.memo["reads"] = tuple([_step_reads(step) for step in graph.steps])
    return found


def _step_reads(step: Step) -> StepReads:
    found: list[tuple[str | None, Read]] = []
    for name, expr in step.inputs if type(step) is CallSpec else _expressions(step):
        if type(expr) is Read:
            found.append((name, expr))
        elif type(expr) is not Const:
            found += [(name, read) for read in reads(expr)]
    body = body_of(step)
    if body is not None:
        for inside in graph_reads(body):
            for _, read in inside:
                up, source = read.source
                if up:
                    found.append((None, Read(Source(up - 1, source), read.key, read.where)))
    if isinstance(step, LoopSpec) and step.stop is not None:
        for read in reads(step.stop):
            up, source = read.source
            if up:
                found.append((None, Read(Source(up - 1, source), read.key, read.where)))
    return tuple(found)


def parent_reads(graph: GraphSpec) -> list[tuple[Step, str, Read]]:
    """Each read of ``PARENT`` by the steps of ``graph``: the step, its input, the read."""
    found: list[tuple[Step, str, Read]] | None = graph.memo.get("parent")
    if found is None:
        found = graph.memo["parent"] = [
            (step, name, read)
            for step, step_reads in zip(graph.steps, graph_reads(graph), strict=True)
            for name, read in step_reads
            if name is not None and read.source.step is None
        ]
    return found


def tried(loop: LoopSpec) -> dict[str, Read]:
    """The variables that the condition of ``loop`` reads."""
    if loop.stop is None:
        return {}
    return {read.key: read for read in reads(loop.stop) if read.source == (0, None)}


def strict_sources(step: Step, step_reads: StepReads) -> set[str]:
    """The steps of its graph that ``step`` refers to and cannot do without, should it have no edges."""
    return {
        read.source.step
        for name, read in step_reads
        if read.source.step is not None and not read.source.up and (name is None or not is_optional(step, name))
    }


def is_optional(step: Step, name: str) -> bool:
    """Whether the step can do without its input ``name``: a parameter with a default."""
    if isinstance(step, CallSpec):
        parameter = step.signature.parameter(name)
        return parameter is not None and parameter.has_default
    if isinstance(step, MapSpec) and any(each.name == name for each in step.each):
        return False
    body = body_of(step)
    if body is None or (isinstance(step, LoopSpec) and name in tried(step)):
        return False
    readers = [(inner, key) for inner, key, read in parent_reads(body) if read.key == name]
    return bool(readers) and all(is_optional(inner, key) for inner, key in readers)

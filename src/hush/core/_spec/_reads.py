"""What a step reads: its own references, and those that the steps inside it make to the graphs around it."""

from __future__ import annotations

from collections.abc import Iterator

from hush.core._expr._model import Const, Expr, Read, reads
from hush.core._spec._model import CallSpec, GraphSpec, MapSpec, Source, Step


def body_of(step: Step) -> GraphSpec | None:
    """The graph inside a container, ``None`` for a leaf."""
    if isinstance(step, GraphSpec):
        return step
    return step.body if isinstance(step, MapSpec) else None


def own_inputs(step: Step) -> Iterator[tuple[str, Expr]]:
    """The step's inputs, ``Each`` included, with their expressions."""
    yield from step.inputs
    if isinstance(step, MapSpec):
        for each in step.each:
            yield each.name, each.source


def own_reads(step: Step) -> Iterator[Read]:
    """The reads in the step's own inputs."""
    for _, expr in step.inputs:
        if type(expr) is Read:
            yield expr
        elif type(expr) is not Const:
            yield from reads(expr)
    if isinstance(step, MapSpec):
        for each in step.each:
            yield from reads(each.source)


def outer_reads(graph: GraphSpec) -> Iterator[Read]:
    """The reads that steps anywhere inside ``graph`` make of the graphs around it, seen from where it stands."""
    for step in graph.steps:
        for read in all_reads(step):
            source = read.source
            if source.up:
                yield Read(Source(source.up - 1, source.step), read.key, read.where)


def all_reads(step: Step) -> Iterator[Read]:
    """The step's own reads, and those passed down into it: as if they were listed in its inputs."""
    yield from own_reads(step)
    body = body_of(step)
    if body is not None:
        yield from outer_reads(body)


def named_reads(step: Step) -> Iterator[tuple[str | None, Read]]:
    """``all_reads`` with the input each stands in, ``None`` for those passed down and those of ``Each``."""
    for name, expr in step.inputs:
        for read in reads(expr):
            yield name, read
    if isinstance(step, MapSpec):
        for each in step.each:
            for read in reads(each.source):
                yield None, read
    body = body_of(step)
    if body is not None:
        for read in outer_reads(body):
            yield None, read


def parent_reads(graph: GraphSpec) -> Iterator[tuple[Step, str, Read]]:
    """Each read of ``PARENT`` by the steps of ``graph``: the step, its input, the read."""
    for step in graph.steps:
        for name, expr in own_inputs(step):
            for read in (expr,) if type(expr) is Read else reads(expr):
                if read.source == (0, None):
                    yield step, name, read


def parent_keys(graph: GraphSpec) -> list[str]:
    """The keys of ``PARENT`` that the steps of ``graph`` read, in order of appearance."""
    return list(dict.fromkeys(read.key for _, _, read in parent_reads(graph)))


def is_optional(step: Step, name: str) -> bool:
    """Whether the step can do without its input ``name``: a parameter with a default."""
    if isinstance(step, CallSpec):
        parameter = step.signature.parameter(name)
        return parameter is not None and parameter.has_default
    body = body_of(step)
    assert body is not None
    readers = [(inner, key) for inner, key, read in parent_reads(body) if read.key == name]
    return bool(readers) and all(is_optional(inner, key) for inner, key in readers)

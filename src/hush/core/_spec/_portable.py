"""The body of a map as it is sent to worker processes."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from hush.core._expr._record import replace
from hush.core._spec._model import GraphSpec, LoopSpec, MapSpec, Step


class PortableBody(NamedTuple):
    """The body of a map with what is needed to compile it elsewhere.

    Attributes:
        each: The names of the map's ``Each`` inputs.
        around: The graphs around it, of which only the names of their maps are left.
    """

    path: str
    each: tuple[str, ...]
    body: GraphSpec
    around: tuple[GraphSpec, ...]


def portable(step: MapSpec, path: str, around: tuple[GraphSpec, ...]) -> PortableBody:
    """The body of ``step``, which stands in the last of the graphs ``around``."""
    names = tuple([each.name for each in step.each])
    return PortableBody(path, names, _bare(step.body), tuple([_outline(graph) for graph in around]))


def _bare(graph: GraphSpec) -> GraphSpec:
    """``graph`` without what was worked out of it, and without the iterators that runs here have used up."""
    return replace(graph, steps=tuple([_bare_step(step) for step in graph.steps]), memo={})


def _bare_step(step: Step) -> Step:
    if isinstance(step, GraphSpec):
        return _bare(step)
    if isinstance(step, MapSpec):
        each = tuple([one._replace(spent=[]) for one in step.each])
        return replace(step, each=each, body=_bare(step.body))
    return replace(step, body=_bare(step.body)) if isinstance(step, LoopSpec) else step


def _outline(graph: GraphSpec) -> GraphSpec:
    maps = [
        replace(step, inputs=(), writes=(), each=(), key=None, body=replace(step.body, steps=(), edges=(), memo={}))
        for step in graph.steps
        if isinstance(step, MapSpec)
    ]
    return replace(graph, inputs=(), writes=(), steps=tuple(maps), edges=(), memo={})


def cpu_count() -> int:
    """How many processors this process may use: affinity and the quotas of containers are heeded."""
    return int(import_module("loky").cpu_count())

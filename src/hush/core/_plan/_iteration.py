"""The plans of maps and loops: what they go through, and how what they are given is read."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import TYPE_CHECKING

from hush.core._expr._model import Const, Read, reads
from hush.core._plan._bind import expr_reader, none_for_skipped, or_default
from hush.core._plan._model import EachPlan, LoopPlan, MapPlan, Reader, StreamPlan
from hush.core._plan._scope import Scope
from hush.core._spec._model import ERROR, STAR, EachInput, GraphSpec, LoopSpec, MapSpec, Source
from hush.core._spec._reads import is_optional
from hush.core._spec._streams import columns_taken

if TYPE_CHECKING:
    from hush.core._spec._portable import PortableBody


def map_plan(scope: Scope, number: int, step: MapSpec, inner: Scope, path: str) -> MapPlan:
    """The plan of the map that is step ``number`` of ``scope``; ``inner`` is the scope of its body."""
    graphs = (*scope.around, scope.graph)
    resolve = scope.resolver(number)
    streamed = {Source(0, scope.graph.steps[before].name): before for before in scope.streams.get(number, ())}
    each = [_each_plan(scope, number, one, inner, streamed) for one in step.each]
    columns = [(one.source.source, one.source.key) for one in step.each if isinstance(one.source, Read)]
    watched = {source for source, key in columns if key == ERROR}
    upstream = [
        _channel_reader(scope, number, streamed[source])
        if source in streamed
        else expr_reader(Read(source, ERROR, step.where), resolve)
        for source in dict.fromkeys(source for source, _ in columns)
        if source not in watched and _is_map(source, graphs)
    ]
    return MapPlan(
        each=tuple(each),
        upstream=tuple(upstream),
        named=not any(write.key == STAR for one in step.body.steps for write in one.writes),
        max_concurrency=step.max_concurrency,
        fail_fast=step.on_error == "raise",
        tolerate=step.tolerate,
        batch=step.batch,
        first=step.first,
        key=step.key,
        item_timeout_s=step.item_timeout_s,
        batch_wait_s=step.batch_wait_s,
        window=step.window,
        stream=_stream(scope, number),
        streams_from=tuple([scope.channel(before) for before in streamed.values()]),
        apart=_apart(step, path, graphs) if step.executor is not None else None,
    )


def _each_plan(scope: Scope, number: int, one: EachInput, inner: Scope, streamed: Mapping[Source, int]) -> EachPlan:
    column: str | None = None
    if isinstance(one.source, Read) and one.source.source in streamed:
        column = one.source.key
        reader = _channel_reader(scope, number, streamed[one.source.source])
    else:
        reader = expr_reader(one.source, scope.resolver(number))
    spent = one.spent if isinstance(one.source, Const) else None
    slot = inner.inputs.get(one.name)
    return EachPlan(one.name, or_default(reader), slot, one.pull, one.where, spent, column)


def _channel_reader(scope: Scope, number: int, before: int) -> Reader:
    return itemgetter(scope.channel(before, reader=number))


def _stream(scope: Scope, number: int) -> StreamPlan | None:
    """How the items of this map go to the one that streams from it, if one does."""
    if number not in scope.streamed_by:
        return None
    reader = scope.graph.steps[scope.streamed_by[number]]
    assert isinstance(reader, MapSpec)
    keys = columns_taken(reader, scope.graph.steps[number].name)
    return StreamPlan(scope.channel(number), keys, reader.ordered)


def _is_map(source: Source, graphs: tuple[GraphSpec, ...]) -> bool:
    if source.step is None:
        return False
    steps = graphs[-1 - source.up].steps
    return any(isinstance(step, MapSpec) and step.name == source.step for step in steps)


def _apart(step: MapSpec, path: str, graphs: tuple[GraphSpec, ...]) -> PortableBody:
    from hush.core._spec._portable import portable  # few maps run in processes

    return portable(step, path, graphs)


def stop_reader(step: LoopSpec, inner: Scope) -> Reader | None:
    """How the condition of a loop is read from the slots of its body, before a round."""
    if step.stop is None:
        return None
    return expr_reader(step.stop, none_for_skipped(inner.before_all))


def loop_plan(scope: Scope, number: int, step: LoopSpec, stop: Reader | None) -> LoopPlan:
    """The plan of the loop that is step ``number`` of ``scope``."""
    variables: list[tuple[str, Reader]] = []
    for name, expr in step.inputs:
        optional = name in step.starred and is_optional(step, name)
        reader = expr_reader(expr, scope.resolver(number, optional=optional))
        variables.append((name, reader if optional else or_default(reader)))
    tried = [] if step.stop is None else [read.key for read in reads(step.stop) if read.source == Source(0, None)]
    at_limit = step.on_limit == "stop"
    return LoopPlan(tuple(variables), stop, step.stop_text, frozenset(tried), step.max_iterations, at_limit)

"""The part of the reference that runs a body many times: maps and loops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kit import reference
from kit.conditions import holds
from kit.faults import Failure
from kit.shapes import Cond, Graph, Loop, Map, Parent, Ref, Source, Tolerate, keys_written
from kit.tally import Begun, Failed, Ran, State, Stuck, Tally, labels_of_item
from kit.values import Counts


def call_map(
    node: Map, parent: Mapping[str, Any], states: Mapping[str, State], tally: Tally, graph: Graph
) -> dict[str, Any]:
    """Every output is a list with one place for each item, or each batch of items."""
    shared = {key: reference.read(each, parent, states) for key, each in node.inputs}
    columns = {key: reference.read(each, parent, states) for key, each in node.each}
    if not all(isinstance(each, list) for each in columns.values()):
        raise Failed("SourceError")
    if node.first is not None:
        columns = {key: each[: node.first] for key, each in columns.items()}
    outputs: dict[str, list[Any]] = {key: [] for key in (*keys_written(node.body), "error")}
    for error, items in _items(node, columns, states, graph):
        values: dict[str, Any] = {}
        if error is None:
            try:
                values = reference.run_graph(node.body, {**shared, **items}, states, tally)
            except Failed as failed:
                error = failed.failure
            except Stuck:
                if not node.times_out:
                    raise
                error = Failure(frozenset({"NodeTimeout"}))
        if error is not None:
            values = {"error": error}
        for key, column in outputs.items():
            column.append(values.get(key))
    failures = _of_the_map(node, outputs["error"], tally)
    if len(_lengths(node, columns, states)) > 1:
        failures.add("SourceError")
    if failures:
        if _collects(node):  # before it failed of something else
            for each in outputs["error"]:
                tally.handled |= frozenset() if each is None else labels_of_item(each)
                tally.maybe_partial |= each is not None
        length = len(outputs["error"])
        handed = _handed_on(node, outputs["error"])
        begun = Begun({key: column[:handed] for key, column in outputs.items()}, length=length)
        raise Failed(*failures, begun=begun)
    failed = sum(each is not None for each in outputs["error"])
    total = len(outputs["error"])
    counts = Counts(total_iterations=total, success_count=total - failed, error_count=failed)
    return {**outputs, "iteration_metrics": counts}


def _lengths(node: Map, columns: Mapping[str, list[Any]], states: Mapping[str, State]) -> set[int]:
    """How long its columns are, or would be if what it streams from went on to its end."""
    found = set()
    for key, source in node.each:
        state = states[source.node] if isinstance(source, Ref) else None
        length = state.length if isinstance(state, Begun) else len(columns[key])
        found.add(length if node.first is None else min(length, node.first))
    return found


def _collects(node: Map) -> bool:
    """Whether no failure of items makes it fail."""
    return node.on_error == "collect" or (node.on_error is None and not node.is_for)


def _handed_on(node: Map, errors: list[Any]) -> int:
    """How many items a map that failed may have handed on.

    Several at a time, any: one that ended before an earlier one failed. One at a time, none after the last straw.
    """
    bound = node.on_error.count if isinstance(node.on_error, Tolerate) else 0
    failed = [place for place, error in enumerate(errors) if error is not None]
    if node.max_concurrency > 1 or _collects(node) or bound is None or len(failed) <= bound:
        return len(errors)
    return failed[bound] + 1


def _items(
    node: Map, columns: Mapping[str, list[Any]], states: Mapping[str, State], graph: Graph
) -> list[tuple[Any, dict[str, Any]]]:
    """For each activation of the body the error it inherits and what it is given."""
    found = []
    for place, items in enumerate(zip(*columns.values(), strict=False)):
        found.append((_failed_upstream(node, place, states, graph), dict(zip(columns, items, strict=True))))
    if node.batch is None:
        return found
    good = [items for error, items in found if error is None]
    batches = [good[start : start + node.batch] for start in range(0, len(good), node.batch)]
    return [(None, {key: [items[key] for items in batch] for key in columns}) for batch in batches]


def _of_the_map(node: Map, errors: list[Any], tally: Tally) -> set[str]:
    """What the map itself raises because of items that failed."""
    failed = [each for each in errors if each is not None]
    labels = frozenset(one for each in failed for one in labels_of_item(each))
    match node.on_error:
        case "raise":
            return set(labels)
        case None if node.is_for:
            return set(labels)
        case Tolerate(count, fraction):
            too_many = count is not None and len(failed) > count
            if too_many or (fraction is not None and len(failed) > fraction * len(errors)):
                tally.excess[node.name] = labels
                tally.handled |= labels  # those before the last straw were collected
                tally.maybe_partial = True
                return {f"TooManyFailures {node.name}"}
    return set()


def _failed_upstream(node: Map, place: int, states: Mapping[str, State], graph: Graph) -> Any:
    """The error of an item of another map, if an `Each` goes over that map's column and none over its errors."""
    maps = {each.name for each in graph.nodes if isinstance(each, Map)}
    refs = [each for _, each in node.each if isinstance(each, Ref) and each.node in maps]
    aware = {ref.node for ref in refs if ref.key == "error"}
    for ref in refs:
        state = states[ref.node]
        if ref.node not in aware and isinstance(state, Ran) and state.values["error"][place] is not None:
            return state.values["error"][place]
    return None


def call_loop(node: Loop, parent: Mapping[str, Any], states: Mapping[str, State], tally: Tally) -> dict[str, Any]:
    """Every output is a variable's last value; one whose writers were all skipped keeps what it had."""
    variables = {key: reference.read(each, parent, states) for key, each in node.inputs}
    count, stopped = 0, False
    while True:
        if node.stop is not None and _holds(node.stop, variables, states, node.name):
            stopped = True
            break
        if count == node.limit:
            break
        variables |= reference.run_graph(node.body, variables, states, tally)
        count += 1
    if node.stop is not None and not stopped and node.on_limit != "stop":
        raise Failed(f"TooManyIterations {node.name}")
    counts = Counts(total_iterations=count, success_count=count, error_count=0, stopped_by_condition=stopped)
    if stopped and count < node.limit:
        counts["max_iterations_reached"] = False
    if not stopped and node.stop is not None:
        counts["max_iterations_reached"] = True
    return {**dict.fromkeys(keys_written(node.body)), **variables, "iteration_metrics": counts}


def _holds(cond: Cond, variables: Mapping[str, Any], states: Mapping[str, State], name: str) -> bool:
    def value_of(source: Source) -> Any:
        return variables[source.key] if isinstance(source, Parent) else reference.read(source, {}, states)

    try:
        return holds(cond, value_of)
    except Exception as error:
        raise Failed(f"{type(error).__name__} {name}") from None

"""A second, small engine that is right because it is dull: it runs the nodes one after the other, in the order given.

What depends on timing it gives as a set: of several failing siblings, which ones got to fail. So an error is the set of
the labels that may be raised, a label being what `kit.faults.label` says of an exception. All else is one value.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kit.faults import Failure
from kit.shapes import (
    Box,
    Case,
    Graph,
    Leaf,
    Lit,
    Map,
    Node,
    Pack,
    Parent,
    Ref,
    Source,
    flag,
    is_fussy_about,
    mix,
    refs_in,
    refs_of,
    spread,
)


class _Failed(Exception):
    """Carries a `Failure` up to the domain's border."""

    def __init__(self, *labels: str) -> None:
        self.failure = Failure(frozenset(labels))
        super().__init__(*labels)


@dataclass
class Tally:
    """What happened in one activation, beside its values."""

    most: Counter[str] = field(default_factory=Counter)  # calls of a leaf, if everything that can be called is
    least: Counter[str] = field(default_factory=Counter)  # calls that no failure can prevent
    handled: set[str] = field(default_factory=set)  # labels that may stand in `result.errors`
    surely_partial: bool = False
    maybe_partial: bool = False
    surely_handled: bool = False

    def add(self, inner: Tally, *, failed: bool = False) -> None:
        """Take in an inner activation; one that failed may have been cancelled anywhere."""
        self.most += inner.most
        self.handled |= inner.handled
        self.maybe_partial |= inner.maybe_partial
        if not failed:
            self.least += inner.least
            self.surely_partial |= inner.surely_partial
            self.surely_handled |= inner.surely_handled

    def handle(self, failure: Failure, *, named: bool) -> None:
        """A node's failure was handled; it makes the result partial if nobody named it."""
        self.handled |= failure.labels
        self.surely_handled = True
        self.maybe_partial |= not named
        self.surely_partial |= not named

    def collect(self, error: Any, *, named: bool) -> None:
        """An item failed. Whether the result is partial if somebody named the column, the design leaves open."""
        self.handled |= _labels_of_item(error)
        self.surely_handled = True
        self.maybe_partial = True
        self.surely_partial |= not named


def _labels_of_item(error: Any) -> frozenset[str]:
    return error.labels if isinstance(error, Failure) else frozenset({"ReportedError"})


@dataclass(frozen=True)
class Expected:
    """Either outputs or a failure, and what may be counted."""

    outputs: dict[str, Any] | None
    failure: Failure | None
    tally: Tally


@dataclass(frozen=True)
class _Ran:
    values: Mapping[str, Any]
    failure: Failure | None = None  # handled


_SKIPPED, _NEVER = "skipped", "never"  # what becomes of a node that has no values
_State = Any  # _Ran, _SKIPPED or _NEVER


def interpret(case: Case) -> Expected:
    """What a run of the case must give."""
    tally = Tally()
    try:
        outputs = _run_graph(case.graph, dict(case.given), {}, tally)
    except _Failed as failed:
        return Expected(None, failed.failure, tally)
    return Expected(outputs, None, tally)


def _run_graph(graph: Graph, given: Mapping[str, Any], outside: Mapping[str, _State], tally: Tally) -> dict[str, Any]:
    """One activation: the values written to PARENT, or `_Failed` with all that may be raised."""
    states: dict[str, _State] = dict(outside)
    written: dict[str, Any] = {}
    failures: set[str] = set()
    named = _named_errors(graph)
    mine = Tally()
    for node in graph.nodes:
        try:
            state = _run_node(node, graph, {**given, **written}, states, named, mine)
            if isinstance(state, _Ran):
                written |= {target: _take(state, key) for key, target in node.writes}
        except _Failed as failed:
            failures |= failed.failure.labels
            state = _NEVER
        states[node.name] = state
    tally.add(mine, failed=bool(failures))
    if failures:
        raise _Failed(*failures)
    return {target: written.get(target) for node in graph.nodes for _, target in node.writes}


def _named_errors(graph: Graph) -> set[str]:
    named = {ref.node for node in graph.nodes for ref in refs_of(node) if ref.key == "error"}
    return named | {node.name for node in graph.nodes if any(key == "error" for key, _ in node.writes)}


def _run_node(
    node: Node, graph: Graph, parent: Mapping[str, Any], states: dict[str, _State], named: set[str], tally: Tally
) -> _State:
    refs = refs_of(node)
    before = [states[name] for name in (*node.after, *(ref.node for ref in refs))]
    if _NEVER in before:
        return _NEVER
    if not _is_to_run(node, refs, states):
        return _SKIPPED
    inner = Tally()
    try:
        values = _call(node, parent, states, inner, {each.name: each for each in graph.nodes})
    except _Failed as failed:
        tally.add(inner, failed=True)
        handles = not isinstance(node, Map) and node.on_error != "raise"
        if not handles or (node.on_error is None and node.name not in named):
            raise
        tally.handle(failed.failure, named=node.name in named)
        return _Ran(defaultdict(lambda: None, error=failed.failure), failed.failure)
    tally.add(inner)
    if isinstance(node, Map):
        for each in values["error"]:
            if each is not None:
                tally.collect(each, named=node.name in named)
    return _Ran(values)


def _is_to_run(node: Node, refs: list[Ref], states: Mapping[str, _State]) -> bool:
    """Law 1, and its one exception: who reads only the other keys of what failed is skipped."""
    naming = {ref.node for ref in refs if ref.key == "error"}
    for ref in refs:
        state = states[ref.node]
        if isinstance(state, _Ran) and state.failure is not None and ref.node not in naming:
            return False
    if node.start or node.after:
        return node.start or any(states[name] != _SKIPPED for name in node.after)
    forgiving = {id(ref) for ref in _forgiven(node)}
    return all(states[ref.node] != _SKIPPED or id(ref) in forgiving for ref in refs)


def _forgiven(node: Node) -> list[Ref]:
    if not isinstance(node, Leaf):
        return []
    return [ref for each in node.params if each.default is not None for ref in refs_in(each.source)]


def _take(state: _Ran, key: str) -> Any:
    if key in state.values or isinstance(state.values, defaultdict):
        return state.values[key]
    if key == "error":
        return None
    raise _Failed("MissingKeyError")


def _read(source: Source, parent: Mapping[str, Any], states: Mapping[str, _State], default: int | None = None) -> Any:
    match source:
        case Lit(value):
            return value
        case Parent(key):
            return parent[key]
        case Pack(parts):
            return [_read(part, parent, states) for part in parts]
        case Ref(node, key, then):
            state = states[node]
            value = default if state == _SKIPPED else _take(state, key)
            return mix("apply", value) if then == "apply" else value + 1 if then == "plus" else value


def _call(
    node: Node, parent: Mapping[str, Any], states: Mapping[str, _State], tally: Tally, siblings: Mapping[str, Node]
) -> dict[str, Any]:
    match node:
        case Leaf(name=name, params=params):
            args = [_read(each.source, parent, states, each.default) for each in params]
            tally.most[name] += 1
            tally.least[name] += 1
            return _call_leaf(node, args)
        case Box(inputs=inputs, body=body):
            given = {key: _read(each, parent, states) for key, each in inputs}
            return _run_graph(body, given, states, tally)
        case Map():
            return _call_map(node, parent, states, tally, siblings)


def _call_leaf(node: Leaf, args: list[Any]) -> dict[str, Any]:
    name = node.name
    match node.does:
        case "mix":
            return {"v": mix(name, *args)}
        case "nothing":
            return {"v": None}
        case "fussy" if not is_fussy_about(name, *args):
            return {"v": mix(name, *args)}
        case "fussy" | "fail":
            raise _Failed(name)
        case "cancelled":
            raise _Failed(f"cancelled {name}")
        case "late":
            raise _Failed("NodeTimeout")
        case "bad":
            raise _Failed("OutputError")
        case "flagged":
            return {"v": mix(name, *args), "error": flag(name, *args)}
        case "many":
            return {"xs": spread(node.count, name, *args)}
        case "empty":
            return {}


def _call_map(
    node: Map, parent: Mapping[str, Any], states: Mapping[str, _State], tally: Tally, siblings: Mapping[str, Node]
) -> dict[str, Any]:
    broadcast = {key: _read(each, parent, states) for key, each in node.inputs}
    columns = {key: _read(each, parent, states) for key, each in node.each}
    if not all(isinstance(each, list) for each in columns.values()):
        raise _Failed("SourceError")
    keys = [target for each in node.body.nodes for _, target in each.writes]
    outputs: dict[str, list[Any]] = {key: [] for key in (*keys, "error")}
    failures: set[str] = set()
    for place, items in enumerate(zip(*columns.values(), strict=False)):
        error = _failed_upstream(node, place, states, siblings)
        values: dict[str, Any] = {}
        if error is None:
            try:
                values = _run_graph(node.body, {**broadcast, **dict(zip(columns, items, strict=True))}, states, tally)
            except _Failed as failed:
                error = failed.failure
        if error is not None:
            failures |= _labels_of_item(error)
            values = {"error": error}
        for key, column in outputs.items():
            column.append(values.get(key))
    if node.on_error != "raise":
        failures.clear()
    if len({len(each) for each in columns.values()}) > 1:
        failures.add("SourceError")
    if failures:
        raise _Failed(*failures)
    return outputs


def _failed_upstream(node: Map, place: int, states: Mapping[str, _State], siblings: Mapping[str, Node]) -> Any:
    """The error of an item of another map, if an `Each` goes over that map's column and none over its errors."""
    refs = [each for _, each in node.each if isinstance(each, Ref) and isinstance(siblings.get(each.node), Map)]
    aware = {ref.node for ref in refs if ref.key == "error"}
    for ref in refs:
        if (
            ref.node not in aware
            and isinstance(state := states[ref.node], _Ran)
            and state.values["error"][place] is not None
        ):
            return state.values["error"][place]
    return None

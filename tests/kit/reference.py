"""A second, small engine that is right because it is dull: it runs the nodes one after the other, in the order given.

What depends on timing it gives as a set: of several failing siblings, which ones got to fail. So an error is the set of
the labels that may be raised, a label being what `kit.faults.label` says of an exception. All else is one value.

A map that fails may have handed items on to the map that streams from it. Then the run fails, and what the reader may
do meanwhile only widens what may be counted and raised.

Soft edges it understands where at most one of those into a node can deliver; `kit.orders` knows all others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from kit import rounds
from kit.conditions import holds, matched
from kit.shapes import (
    Box,
    Branch,
    Case,
    Graph,
    Leaf,
    Lit,
    Loop,
    Map,
    Node,
    Pack,
    Parent,
    Ref,
    Source,
    choosers_in,
    keys_written,
    refs_in,
)
from kit.streaming import streams
from kit.tally import NEVER, SKIPPED, Begun, Expected, Failed, Ran, State, Stuck, Tally
from kit.values import flag, is_fussy_about, mix, spread


def interpret(case: Case) -> Expected:
    """What a run of the case must give."""
    tally = Tally()
    try:
        written = run_graph(case.graph, dict(case.given), {}, tally)
    except Failed as failed:
        return Expected(None, failed.failure, tally)
    return Expected({key: written.get(key) for key in keys_written(case.graph)}, None, tally)


def run_graph(graph: Graph, given: Mapping[str, Any], outside: Mapping[str, State], tally: Tally) -> dict[str, Any]:
    """One activation: what the nodes that ran wrote to PARENT.

    Raises:
        Failed: With all that may be raised.
        Stuck: Nothing fails, but it never ends.
    """
    states: dict[str, State] = dict(outside)
    written: dict[str, Any] = {}
    failures: set[str] = set()
    stuck = False
    mine = Tally()
    pairs = streams(graph)
    for node in graph.nodes:
        seen, flows = _seen_by(node, states, pairs)
        try:
            state = run_node(node, graph, {**given, **written}, seen, mine)
            if flows and isinstance(state, Ran):  # it ends only when those it streams from have ended
                state = Begun(state.values, length=len(state.values["error"]))
            elif isinstance(state, Ran):
                written |= {target: take(state, key) for key, target in node.writes}
        except Failed as failed:
            failures |= failed.failure.labels
            state = failed.begun or NEVER
        except Stuck:
            stuck = True
            state = NEVER
        states[node.name] = state
    tally.add(mine, failed=bool(failures or stuck))
    if failures:
        raise Failed(*failures)
    if stuck:
        raise Stuck
    return written


def _seen_by(node: Node, states: Mapping[str, State], pairs: set[tuple[str, str]]) -> tuple[dict[str, State], bool]:
    """The states as the node sees them, and whether it streams from a map that has only begun."""
    begun = {name for name, state in states.items() if isinstance(state, Begun)}
    flowing = {name for name in begun if (name, node.name) in pairs}
    return {**states, **dict.fromkeys(begun - flowing, NEVER)}, bool(flowing)


def names_error(graph: Graph, name: str) -> bool:
    """Whether an input or a write of the graph names the node's `error`."""
    refs = any(ref.node == name and ref.key == "error" for node in graph.nodes for ref in node.refs)
    return refs or any(node.name == name and key == "error" for node in graph.nodes for key, _ in node.writes)


def run_node(node: Node, graph: Graph, parent: Mapping[str, Any], states: Mapping[str, State], tally: Tally) -> State:
    choosers = choosers_in(graph).get(node.name, [])
    state = is_to_run(node, choosers, states)
    if state is not True:
        return state
    named = names_error(graph, node.name)
    inner = Tally()
    try:
        values = _call(node, parent, states, inner, graph)
    except Failed as failed:
        tally.add(inner, failed=True)
        handles = not isinstance(node, Map) and node.on_error != "raise"
        if not handles or (node.on_error is None and not named):
            raise
        tally.handle(failed.failure, named=named)
        return Ran(defaultdict(lambda: None, error=failed.failure), failed.failure)
    except Stuck:
        tally.add(inner, failed=True)
        raise
    tally.add(inner)
    if isinstance(node, Map):
        for each in values["error"]:
            if each is not None:
                tally.collect(each, named=named)
    return Ran(values)


def is_to_run(node: Node, choosers: list[str], states: Mapping[str, State]) -> Any:
    """True, or what becomes of it: law 1, the law of soft edges, and the exception for what reads handled failures."""
    refs = node.refs
    hard = [states[name] for name in (*node.after, *choosers)]
    soft = _soft_edge([states[name] for name in node.soft])
    waited_for = [states[ref.node] for ref in refs if ref.node not in node.soft]
    if NEVER in (*hard, *waited_for, soft):
        return NEVER
    naming = {ref.node for ref in refs if ref.key == "error"}
    for ref in refs:
        state = states[ref.node]
        if isinstance(state, Ran) and state.failure is not None and ref.node not in naming:
            return SKIPPED  # who reads only the other keys of what failed
    if choosers:
        chosen = any(_chose(states[name], node.name) for name in choosers)
        return True if chosen else SKIPPED
    if node.start or node.after or node.soft:
        live = node.start or any(state != SKIPPED for state in hard) or isinstance(soft, Ran)
        return True if live else SKIPPED
    forgiving = {id(ref) for ref in _forgiven(node)}
    return True if all(states[ref.node] != SKIPPED or id(ref) in forgiving for ref in refs) else SKIPPED


def _soft_edge(states: list[State]) -> State:
    """All soft edges into a node are one: live with the first that delivers, dead when all are dead."""
    live = [each for each in states if isinstance(each, Ran)]
    return live[0] if live else NEVER if NEVER in states else SKIPPED


def _chose(branch: State, target: str) -> bool:
    """Whether it ran and chose the target; a handled failure chooses nothing."""
    return isinstance(branch, Ran) and branch.failure is None and branch.values["target"] == target


def _forgiven(node: Node) -> list[Ref]:
    if not isinstance(node, Leaf):
        return []
    return [ref for each in node.params if each.default is not None for ref in refs_in(each.source)]


def take(state: Ran, key: str) -> Any:
    """The value of one key."""
    if key in state.values or isinstance(state.values, defaultdict):
        return state.values[key]
    if key == "error":
        return None
    raise Failed("MissingKeyError")


def read(source: Source, parent: Mapping[str, Any], states: Mapping[str, State], default: int | None = None) -> Any:
    """What a source gives; a PARENT key that the container was not given and nobody wrote is `None`."""
    match source:
        case Lit(value):
            return value
        case Parent(key):
            return parent.get(key)
        case Pack(parts):
            return [read(part, parent, states) for part in parts]
        case Ref(node, key, then):
            state = states[node]
            value = take(state, key) if isinstance(state, Ran) else default
            match then:
                case "":
                    return value
                case "apply":
                    return mix("apply", value)
                case "plus":
                    return value + 1
            return value[then]


def _call(
    node: Node, parent: Mapping[str, Any], states: Mapping[str, State], tally: Tally, graph: Graph
) -> dict[str, Any]:
    match node:
        case Leaf(name=name, params=params):
            args = [read(each.source, parent, states, each.default) for each in params]
            tally.most[name] += 1
            tally.least[name] += 1
            return _call_leaf(node, args)
        case Branch():
            return _choose(node, parent, states)
        case Box(inputs=inputs, body=body):
            given = {key: read(each, parent, states) for key, each in inputs}
            written = run_graph(body, given, states, tally)
            return {key: written.get(key) for key in keys_written(body)}
        case Map():
            return rounds.call_map(node, parent, states, tally, graph)
        case Loop():
            return rounds.call_loop(node, parent, states, tally)


def _choose(node: Branch, parent: Mapping[str, Any], states: Mapping[str, State]) -> dict[str, Any]:
    for cond, target in node.cases:
        try:
            if holds(cond, lambda source: read(source, parent, states)):
                return {"target": target, "matched": matched(node, cond) if cond.style == "text" else "unknown"}
        except Exception as error:
            raise Failed(f"{type(error).__name__} {node.name}") from None
    if not node.has_default:
        raise Failed(f"NoCaseMatched {node.name}")
    return {"target": node.default, "matched": None if node.default is None else "default"}


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
            raise Failed(name)
        case "cancelled":
            raise Failed(f"cancelled {name}")
        case "late":
            raise Failed("NodeTimeout")
        case "stuck":
            raise Stuck
        case "bad":
            raise Failed("OutputError")
        case "flagged":
            return {"v": mix(name, *args), "error": flag(name, *args)}
        case "many":
            return {"xs": spread(node.count, name, *args)}
        case "empty":
            return {}

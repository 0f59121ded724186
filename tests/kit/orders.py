"""What a small graph may give in all the orders in which its nodes can end: the reference for soft edges of any kind.

A node is decided (it runs, with the values that it reads, or is skipped) at any moment after all that it waits for has
arrived, and ends at any moment after that. Every order of these moments is tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kit.faults import differences
from kit.reference import run_node, take
from kit.shapes import Case, Graph, Node, choosers_in, keys_written
from kit.tally import NEVER, SKIPPED, Failed, Ran, State, Tally


@dataclass
class Possible:
    """All outputs that a run may give, and all labels that it may raise."""

    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)
    states: int = 0

    def allows(self, outputs: dict[str, Any]) -> bool:
        return any(not list(differences(outputs, one)) for one in self.outputs.values())


@dataclass(frozen=True)
class _Moment:
    """What has ended, and what is running with the state in which it will end; a set of labels: it will fail."""

    ended: tuple[tuple[str, State], ...] = ()
    running: tuple[tuple[str, State], ...] = ()

    @property
    def key(self) -> str:
        return repr([sorted((name, _say(state)) for name, state in group) for group in (self.ended, self.running)])

    def decide(self, name: str, state: State) -> _Moment:
        if state == SKIPPED:
            return _Moment((*self.ended, (name, state)), self.running)
        return _Moment(self.ended, (*self.running, (name, state)))

    def end(self, name: str) -> _Moment:
        state = dict(self.running)[name]
        rest = tuple(each for each in self.running if each[0] != name)
        return _Moment((*self.ended, (name, state)), rest)


def _say(state: State) -> str:
    if isinstance(state, Ran):
        return repr(sorted((key, repr(value)) for key, value in state.values.items()))
    return repr(sorted(state))


def outcomes(case: Case) -> Possible:
    """Everything that a run of the case may give or raise. Only for a few leaves and branches in one graph."""
    found = Possible()
    seen: set[str] = set()
    left = [_Moment()]
    while left:
        moment = left.pop()
        if moment.key in seen:
            continue
        seen.add(moment.key)
        after = list(_next(case.graph, dict(case.given), moment))
        left += after
        if not after:
            _note_end(case.graph, moment, found)
    found.states = len(seen)
    return found


def _next(graph: Graph, given: dict[str, Any], moment: _Moment) -> Iterator[_Moment]:
    """The moments that may follow. What no soft edge leads to reads the same at any moment: it is decided first."""
    ended, running = dict(moment.ended), dict(moment.running)
    states = {name: NEVER if isinstance(each, frozenset) else each for name, each in ended.items()}
    ready = [
        node
        for node in graph.nodes
        if node.name not in ended and node.name not in running and _is_ready(node, graph, states)
    ]
    for node in ready:
        if not node.soft:
            yield moment.decide(node.name, _decide(node, graph, given, states))
            return
    for node in ready:
        yield moment.decide(node.name, _decide(node, graph, given, states))
    for name in running:
        yield moment.end(name)


def _is_ready(node: Node, graph: Graph, states: dict[str, State]) -> bool:
    hard = {*node.after, *choosers_in(graph).get(node.name, ()), *(ref.node for ref in node.refs)} - {*node.soft}
    if not all(states.get(name, NEVER) != NEVER for name in hard):
        return False
    if not node.soft or any(isinstance(states.get(name), Ran) for name in node.soft):
        return True
    return all(states.get(name) == SKIPPED for name in node.soft)


def _decide(node: Node, graph: Graph, given: dict[str, Any], states: dict[str, State]) -> State:
    """In what state it will end, if it is decided now: what has not arrived softly reads like what was skipped."""
    view = {name: states.get(name, SKIPPED) for name in (each.name for each in graph.nodes)}
    view = {name: SKIPPED if state == NEVER else state for name, state in view.items()}
    try:
        return run_node(node, graph, given, view, Tally())
    except Failed as failed:
        return failed.failure.labels


def _note_end(graph: Graph, moment: _Moment, found: Possible) -> None:
    ended = dict(moment.ended)
    failed = {label for state in ended.values() if isinstance(state, frozenset) for label in state}
    found.labels |= failed
    if failed:
        return
    outputs: dict[str, Any] = dict.fromkeys(keys_written(graph))
    for node in graph.nodes:
        state = ended[node.name]
        if isinstance(state, Ran):
            outputs |= {target: take(state, key) for key, target in node.writes}
    found.outputs.setdefault(repr(outputs), outputs)

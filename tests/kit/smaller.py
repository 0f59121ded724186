"""Makes a failing case as small as it gets: takes away one thing after the other, as long as it goes on failing.

Hypothesis could do it too, but when it takes a node away it renames the others, and what leaves compute hangs on their
names. Here names stay, so a case of fifty nodes becomes one of three in seconds.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from kit.shapes import (
    Atom,
    Box,
    Branch,
    Case,
    Cond,
    Container,
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
    keys_written,
    nodes_in,
    parents_in,
    refs_in,
    sources_of,
)

# The plainest value of each field that some kinds of nodes have.
_PLAIN: dict[str, Any] = {
    "on_error": None,
    "start": False,
    "after": (),
    "soft": (),
    "writes": (),
    "params": (),
    "stains": False,
    "how": "def",
    "inputs": (),
    "is_for": False,
    "batch": None,
    "first": None,
    "times_out": False,
    "stop": None,
    "limit": 1,
    "on_limit": None,
    "default": None,
}
_LISTS = ("after", "soft", "writes", "params", "inputs", "each", "cases")


def smaller(case: Case, is_wrong: Callable[[Case], bool], patience_s: float = 60.0) -> Case:
    """The smallest case that can be reached and is wrong as well. Tries that raise anything count as right."""
    ends_at = time.monotonic() + patience_s
    progress = True
    while progress:
        progress = False
        for less in _less_of_case(case):
            if time.monotonic() > ends_at:
                return case
            if _fails(less, is_wrong):
                case, progress = less, True
                break
    return case


def smaller_alike(case: Case, trouble: Callable[[Case], str]) -> Case:
    """The smallest case that can be reached and in which `trouble` finds nothing but what it finds in this one.

    One that is wrong in another way may be so only because it was made smaller, and would tell nothing of this one.
    """
    first = sorts(trouble(case))
    return smaller(case, lambda less: set() < sorts(trouble(less)) <= first)


def sorts(words: str) -> set[str]:
    """Of what sorts the complaints are, a line each: their words without values, names and numbers.

    What a loop raises that finds something hanging or left behind tells all that is there: only its type counts.
    """
    if raised := re.match(r"([A-Z]\w+): ", words):
        return {raised[1]}
    return {" ".join(_PLAIN_WORD.findall(_QUOTED.sub("", line))) for line in words.splitlines() if line}


_QUOTED = re.compile(r"""\[.*\]|\{.*\}|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""")
_PLAIN_WORD = re.compile(r"(?<!\w)(?!None|True|False)[A-Za-z_]+(?!\w)")


def _fails(case: Case, is_wrong: Callable[[Case], bool]) -> bool:
    try:
        return is_wrong(case)
    except Exception:
        return False


def _less_of_case(case: Case) -> Iterator[Case]:
    given = dict(case.given)
    old = _read_by(case.graph).keys()
    for graph in _less_of_graph(case.graph):
        # What a container was given, or a node wrote that is gone, is given to the run: else it could not start.
        written = old & {*keys_written(graph)}
        read = [key for key in _read_by(graph) if key in given or key not in written]
        yield Case(graph, tuple((key, given.get(key, 0)) for key in read))
    for place, (key, value) in enumerate(case.given):
        for less in _less_of_value(value):
            yield replace(case, given=(*case.given[:place], (key, less), *case.given[place + 1 :]))


def _read_by(graph: Graph) -> dict[str, None]:
    """The PARENT keys that its nodes read."""
    return {key: None for node in graph.nodes for one in sources_of(node) for key in parents_in(one)}


def _less_of_graph(graph: Graph) -> Iterator[Graph]:
    nodes = graph.nodes
    if len(nodes) > 3:  # halves first
        middle = len(nodes) // 2
        yield _without(graph, {node.name for node in nodes[middle:]})
        yield _without(graph, {node.name for node in nodes[:middle]})
    for node in reversed(nodes):
        if len(nodes) > 1:
            yield _without(graph, {node.name})
    for place, node in enumerate(nodes):
        if isinstance(node, Box | Map | Loop):  # what it holds, without it
            rest = _without(graph, {node.name}).nodes
            yield Graph((*rest[:place], *node.body.nodes, *rest[place:]))
        for less in _less_of_node(node):
            yield Graph((*nodes[:place], less, *nodes[place + 1 :]))
    if any(node.start for node in nodes):
        yield Graph(tuple(replace(node, start=False) for node in nodes))


def _less_of_node(node: Node) -> Iterator[Node]:
    for name, plain in _PLAIN.items():
        if getattr(node, name, plain) != plain:
            yield replace(node, **{name: plain})
    for name in _LISTS:
        items = getattr(node, name, ())
        for place in range(len(items)) if len(items) > 1 else ():
            yield replace(node, **{name: (*items[:place], *items[place + 1 :])})
    match node:
        case Leaf():
            yield from _less_of_leaf(node)
        case Branch():
            if node.style != "cases" and all(cond.style == "text" for cond, _ in node.cases):
                yield replace(node, style="cases")
            for place, (cond, target) in enumerate(node.cases):
                for less in _less_of_cond(cond):
                    yield replace(node, cases=(*node.cases[:place], (less, target), *node.cases[place + 1 :]))
        case _:
            yield from _less_of_container(node)


def _less_of_leaf(node: Leaf) -> Iterator[Node]:
    if node.does not in ("mix", "fail"):
        yield from (replace(node, does="mix"), replace(node, does="fail"))
    for place, param in enumerate(node.params):
        for less in _less_of_source(param.source):
            simple = replace(param, source=less)
            yield replace(node, params=(*node.params[:place], simple, *node.params[place + 1 :]))


def _less_of_container(node: Container) -> Iterator[Node]:
    for body in _less_of_graph(node.body):
        yield replace(node, body=body)
    for name in ("inputs", "each"):
        items = getattr(node, name, ())
        for place, (key, value) in enumerate(items):
            for less in _less_of_source(value):
                yield replace(node, **{name: (*items[:place], (key, less), *items[place + 1 :])})
    if isinstance(node, Loop) and node.stop:
        yield from (replace(node, stop=cond) for cond in _less_of_cond(node.stop))
    if isinstance(node, Map) and not node.is_for and node.max_concurrency > 1:
        yield replace(node, max_concurrency=1)


def _less_of_cond(cond: Cond) -> Iterator[Cond]:
    if len(cond.atoms) > 1:
        yield from (replace(cond, atoms=(atom,)) for atom in cond.atoms)
    if cond.negated:
        yield replace(cond, negated=False)


def _less_of_source(source: Source) -> Iterator[Source]:
    match source:
        case Lit(value):
            yield from (Lit(less) for less in _less_of_value(value))
        case Pack(parts):
            yield from parts
        case Ref(node, key, then) if then:
            yield Ref(node, key)
        case Ref() | Parent():
            yield from (Lit(0), Lit([0]))


def _less_of_value(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        yield from (value[:place] + value[place + 1 :] for place in range(len(value)))
    elif value not in (0, None):
        yield 0


def _without(graph: Graph, names: set[str]) -> Graph:
    """The graph without these nodes; who read from them reads a literal."""
    kept = [node for node in graph.nodes if node.name not in names]
    gone = names | {inner.name for node in graph.nodes if node.name in names for inner in _inside(node)}
    return Graph(tuple(_forget(node, gone) for node in kept))


def _inside(node: Node) -> list[Node]:
    return [] if isinstance(node, Leaf | Branch) else [each for _, each in nodes_in(node.body)]


def _forget(node: Node, gone: set[str]) -> Node:
    node = replace(
        node,
        after=tuple(name for name in node.after if name not in gone),
        soft=tuple(name for name in node.soft if name not in gone),
    )
    match node:
        case Leaf():
            params = (replace(each, source=_forgotten(each.source, gone)) for each in node.params)
            return replace(node, params=tuple(params))
        case Branch():
            cases = ((_forgotten_by(cond, gone), None if target in gone else target) for cond, target in node.cases)
            return replace(node, cases=tuple(cases), default=None if node.default in gone else node.default)
    body = Graph(tuple(_forget(each, gone) for each in node.body.nodes))
    node = replace(node, body=body, inputs=tuple((key, _forgotten(each, gone)) for key, each in node.inputs))
    if isinstance(node, Map):
        return replace(node, each=tuple((key, _forgotten(one, gone, Lit([0, 1]))) for key, one in node.each))
    if isinstance(node, Loop) and node.stop:
        return replace(node, stop=_forgotten_by(node.stop, gone))
    return node


def _forgotten(source: Source, gone: set[str], instead: Source = Lit(0)) -> Source:  # noqa: B008
    return instead if any(ref.node in gone for ref in refs_in(source)) else source


def _forgotten_by(cond: Cond, gone: set[str]) -> Cond:
    atoms = (Atom(each.form, _forgotten(each.source, gone), each.number) for each in cond.atoms)
    return replace(cond, atoms=tuple(atoms))

"""Random graphs in which soft edges let time decide."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import strategies as st

from kit.chance import Chance, seeded
from kit.shapes import (
    Atom,
    Box,
    Branch,
    Case,
    Cond,
    Does,
    Graph,
    Leaf,
    Loop,
    Map,
    Node,
    OnError,
    Param,
    Parent,
    Ref,
    choosers_in,
)
from kit.sources import Sources
from kit.strategies import case_of

_DOES: list[Does] = ["mix"] * 8 + ["nothing", "fussy", "flagged", "fail", "fail"]


class _Small(Sources):
    """Draws a few leaves and branches, all of which write what they give to keys of their own."""

    def nodes(self, count: int) -> list[Node]:
        nodes: list[Node] = []
        pending: list[str] = []
        decided: set[str] = set()  # those over which a branch decides
        while len(nodes) < count or pending:
            target = pending.pop() if pending and (len(nodes) >= count or self.one_in(2)) else ""
            node = self._node(nodes, target, may_branch=len(nodes) < count - 2)
            edges = bool(target or node.after or node.soft)
            if not edges and any(ref.node in decided for ref in node.refs):  # it might need two arms at once
                node = replace(node, after=(node.refs[0].node,))
            if isinstance(node, Branch):
                pending += [f"{node.name}{letter}" for letter in "ab"]
            if target or decided.intersection({*node.after, *node.soft}):
                decided.add(node.name)
            nodes.append(node)
        return nodes

    def _node(self, nodes: list[Node], target: str, *, may_branch: bool) -> Node:
        name = target or self.fresh("n")
        names = [each.name for each in nodes]
        soft = {self.pick(names) for _ in range(1 + self.up_to(2))} if names and not self.one_in(3) else set()
        soft -= set(choosers_in(Graph(tuple(nodes))).get(name, ()))
        after = {self.pick(names) for _ in range(self.up_to(1))} if names else set()
        place: dict[str, Any] = {
            "name": name,
            "soft": tuple(each for each in names if each in soft),
            "after": tuple(each for each in names if each in after - soft),
        }
        handled: OnError = self.pick([None, "collect", "collect", "collect"])
        if may_branch and nodes and not target and self.one_in(4):
            atom = Atom(self.pick(["null", "same", "among"]), self._read(nodes, soft), self.up_to(9))
            return Branch(**place, cases=((Cond((atom,)), f"{name}a"),), default=f"{name}b", on_error=handled)
        sources = [
            Parent("i") if not nodes or self.one_in(4) else self._read(nodes, soft) for _ in range(self.up_to(3))
        ]
        params = [Param("", each, self.pick([None, 7]) if isinstance(each, Ref) else None) for each in sources]
        params.sort(key=lambda each: each.default is not None)
        return Leaf(
            **place,
            does=self.pick(_DOES),
            how=self.pick(["slow", "slow", "slow", "async", "def"]),
            params=tuple(replace(each, name="abc"[number]) for number, each in enumerate(params)),
            writes=(("v", f"o{name}"),),
            on_error=handled,
        )

    def _read(self, nodes: list[Node], soft: set[str]) -> Ref:
        """Mostly what a soft edge leads from."""
        near = [each for each in nodes if each.name in soft]
        node = self.pick(near if near and not self.one_in(4) else nodes)
        return Ref(node.name, "error" if self.one_in(5) else "target" if isinstance(node, Branch) else "v")


def small_cases() -> st.SearchStrategy[Case]:
    """Up to seven leaves and branches in one graph, with soft edges from anywhere."""
    return seeded(_small_case)


def _small_case(random: Random) -> Case:
    small = _Small(random)
    nodes = small.nodes(2 + small.up_to(4))
    reads = any(isinstance(each, Leaf) and Parent("i") in [one.source for one in each.params] for each in nodes)
    return Case(Graph(tuple(nodes)), (("i", small.up_to(9)),) if reads else ())


def softened_cases() -> st.SearchStrategy[Case]:
    """Any graph, some of whose edges were made soft. PARENT keys may be raced for by that."""
    return seeded(_softened_case)


def _softened_case(random: Random) -> Case:
    case = case_of(random)
    return replace(case, graph=_softened(Chance(random), case.graph))


def _softened(chance: Chance, graph: Graph) -> Graph:
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node, Box | Map | Loop):
            node = replace(node, body=_softened(chance, node.body))
        if node.after and chance.one_in(2):
            node = replace(node, soft=(*node.soft, *node.after), after=())
        nodes.append(node)
    return Graph(tuple(nodes))

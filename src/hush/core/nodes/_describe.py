"""From handles to a spec: names for nodes, numbers of levels for the graphs between a reference and its source."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import cast

from hush.core._expr._model import Const, Expr, Read, rebase
from hush.core._expr._where import Where
from hush.core._spec._model import ERROR, METRICS, NEVER_STARRED, STAR, Fault, Source, Write, is_reserved
from hush.core.nodes._declaration import Declaration
from hush.core.nodes._handle import Container, Node
from hush.core.nodes._parent import PARENT, Parent

NONE_STARRED: frozenset[str] = frozenset()
_HERE = Source(0, None)


class Describer:
    """Turns what one node was given into spec records, collecting what cannot be turned."""

    __slots__ = ("faults", "node")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.faults: list[Fault] = list(node._faults)

    def inputs(self, declared: Callable[[], Iterable[str]]) -> tuple[tuple[tuple[str, Expr], ...], frozenset[str]]:
        """The node's inputs with sources named, and the names that ``{"*": source}`` feeds of those ``declared``."""
        node = self.node
        given = [(name, self.expr(expr)) for name, expr in node._inputs]
        if node._star is None and not node._star_is_wrong:
            return tuple(given), NONE_STARRED
        source = None if node._star is None else self._source(node._star, node.where)
        listed = {name for name, _ in given}
        starred = [name for name in declared() if name not in listed and name not in NEVER_STARRED]
        if source is None:  # that nothing feeds them is not told besides
            given += [(name, Const(None)) for name in starred]
        else:
            given += [(name, Read(source, name, node.where)) for name in starred]
        return tuple(given), frozenset(starred)

    def writes(self) -> tuple[Write, ...]:
        """What the node hands to its container."""
        found = self.node._writes
        if not found:
            return ()
        return tuple([Write(key, None if expr is None else self.expr(expr), where) for key, expr, where in found])

    def expr(self, expr: Expr) -> Expr:
        """``expr`` with sources named."""
        return rebase(expr, self._read)

    def variables(self, expr: Expr) -> Expr:
        """``expr`` as the body of the node sees it: ``PARENT`` is the node, all else lies one level further out."""

        def read(one: Read) -> Expr:
            if one.source is PARENT and one.key is not ... and not is_reserved(one.key):
                return Read(_HERE, one.key, one.where)
            found = self._read(one)
            if not isinstance(found, Read):
                return found
            return Read(Source(found.source.up + 1, found.source.step), found.key, found.where)

        return rebase(expr, read)

    def fault(self, message: str, mend: str, where: Where) -> None:
        """Note a mistake."""
        self.faults.append(Fault(message, mend, where))

    def _read(self, read: Read) -> Expr:
        if read.key is ...:
            name = read.source.name
            self.fault(f"{name}[...] is read as a value", f'Name a key: {name}["key"].', read.where)
            return Const(None)
        if is_reserved(read.key) and not (read.key == METRICS and getattr(read.source, "has_metrics", False)):
            who = "only maps and loops have it" if read.key == METRICS else "nothing is ever written under it"
            self.fault(f"the key {read.key!r} is reserved: {who}", "Read another key.", read.where)
            return Const(None)
        source = self._source(read.source, read.where, read.key)
        if source is not None:
            return Read(source, read.key, read.where)
        instead = self._container_of(read.source)
        # It still comes after the container: that nothing leads to it is not told besides.
        return Const(None) if instead is None else Read(instead, ERROR, read.where)

    def _container_of(self, source: Node) -> Source | None:
        """The container in sight in which ``source`` lies out of reach."""
        around = _around(self.node)
        one: Node | None = source
        while one is not None and one._owner not in around:
            one = one._owner
        if one is None or one in around or one is self.node:
            return None
        return Source(around.index(cast("Container", one._owner)), one.name)

    def _source(self, source: Declaration | Parent, where: Where, key: str = "k") -> Source | None:
        if source is PARENT:
            return _HERE
        assert isinstance(source, Node)
        holder, up = self.node._owner, 0
        if source is not self.node or holder is not None:
            while holder is not None:
                if source._owner is holder:
                    if up and source in _around(self.node):
                        break
                    return Source(up, source.name)
                holder, up = holder._owner, up + 1
        else:
            return Source(0, source.name)  # a node without a graph, run alone
        self.faults.append(self._out_of_reach(source, where, key))
        return None

    def _out_of_reach(self, source: Node, where: Where, key: str) -> Fault:
        owner = source._owner
        if source in _around(self.node):
            message = f"{source.name} is read from inside itself"
            mend = 'Inside a container, its inputs are PARENT["k"].'
        elif owner is None:
            message = f"{source.name} is read, but it is in no graph"
            mend = "Make it, or wire it, inside the with block."
        elif root_of(owner) is root_of(self.node):
            message, mend = self._inside(source, owner, key)
        else:
            message = f"{source.name} belongs to another graph, {owner.name!r}"
            mend = "Make the node in a function, once for each graph."
        return Fault(message, mend, where)

    def _inside(self, source: Node, owner: Container, key: str) -> tuple[str, str]:
        """What is said of a node that is read from outside the container that it lies in."""
        around = _around(self.node)
        chain = [source, owner]  # from the source out to the container that can be read
        while chain[-1]._owner is not None and chain[-1]._owner not in around:
            chain.append(chain[-1]._owner)
        seen = cast("Container", chain[-1])
        keys = {one for node in seen._nodes.values() for one, _, _ in node._writes if one != STAR}
        if all(any(one == STAR for one, _, _ in link._writes) for link in chain[:-1]):
            keys.add(key)  # handed out with the others
        listed = ", ".join(f'{seen.name}["{one}"]' for one in sorted(keys))
        have = f"Read its outputs: {listed}." if listed else f"{seen.name!r} writes no key by name."
        steps = [f'{link.name}["{key}"] >> PARENT["{key}"] inside {outer.name!r}' for link, outer in pairwise(chain)]
        mend = have if key in keys else f"{have} To write one more: {', '.join(steps)}."
        return f"{source.name} lies inside {seen.name!r} and cannot be read from outside it", mend


def _around(node: Node) -> list[Container]:
    found: list[Container] = []
    owner = node._owner
    while owner is not None:
        found.append(owner)
        owner = owner._owner
    return found


def root_of(node: Node) -> Node:
    """The outermost container around ``node``, or the node itself."""
    while node._owner is not None:
        node = node._owner
    return node

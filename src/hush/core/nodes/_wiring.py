"""``>>``, ``START`` and ``END``: what comes after what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any, NoReturn

from hush.core._expr._ref import Handle, Ref
from hush.core._expr._where import Where, caller
from hush.core._spec._model import Fault
from hush.core.errors import UsageError

Value = Any


class Wired(Handle):
    """What edges join: it has a name, and a holder once it belongs to a graph."""

    name: str
    _owner: Any  # its holder, or None

    def __rshift__(self, after: Value) -> Value:
        """``self >> after``: ``after`` (a node, ``~node``, a list of nodes, or ``END``) comes after this node."""
        return wire(self, after)

    def __rrshift__(self, before: Value) -> Value:
        """``[a, b] >> self``."""
        return wire(before, self)

    def __invert__(self) -> Soft:
        """``a >> ~self``: a soft edge."""
        return Soft(self)

    def __gt__(self, other: Value) -> NoReturn:
        after = _text(other)
        soft = f", or {self.name} >> ~{after} for a soft edge"
        if isinstance(self, Marker) or not isinstance(other, Wired) or isinstance(other, Marker):
            soft = ""
        raise UsageError(f"`{self.name} > {after}` at {caller()} is no edge. Write {self.name} >> {after}{soft}.")

    def __lt__(self, other: Value) -> NoReturn:
        raise UsageError(f"`{self.name} < …` at {caller()} is no edge. Write the other node >> {self.name}.")

    def __lshift__(self, other: Value) -> NoReturn:
        raise UsageError(f"`{self.name} << …` at {caller()} is no edge. Write the other node >> {self.name}.")


class Holder(Wired):
    """What edges belong to: a container whose ``with`` block is open, or was."""

    _closed: bool
    _faults: list[Fault]
    _edges: list[tuple[Wired, Wired, Where, bool]]
    _starts: list[Wired] | None

    def _adopt(self, node: Wired) -> None:
        raise AssertionError("each container takes nodes in its own way")


open_containers: ContextVar[tuple[Holder, ...]] = ContextVar("hush_open_containers", default=())
"""The containers whose ``with`` blocks are open, innermost last."""


def is_open(node: Wired) -> bool:
    """Whether ``node`` is a container whose block is open."""
    return any(node is one for one in open_containers.get())


class Marker(Wired):
    """``START`` or ``END``: where a graph begins, and what is meant to be last.

    ``START >> a`` is an edge that is always live. A graph that uses ``START`` must be reachable from it as a whole,
    along edges or references; a graph without it begins with the nodes that have nothing before them. ``a >> END``
    forwards nothing and ends nothing: a run ends when every node has ended or been skipped. As the target of a
    branch, ``END`` means that nothing is chosen.
    """

    __slots__ = ("name",)
    _owner = None

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


START = Marker("START")
END = Marker("END")


class Soft(Handle):
    """``~node``, as it stands at the end of a soft edge: ``a >> ~node``."""

    __slots__ = ("node",)

    def __init__(self, node: Wired) -> None:
        self.node = node

    @property
    def name(self) -> str:
        """How it is written."""
        return f"~{self.node.name}"

    def __rrshift__(self, before: Value) -> Value:
        return wire(before, self)

    def __rshift__(self, after: Value) -> NoReturn:
        raise UsageError(
            f"`~{self.node.name} >> …` at {caller()}: `~` stands before the node that an edge leads to, as in a >> ~b."
        )

    def __invert__(self) -> NoReturn:
        raise UsageError(f"`~~{self.node.name}` at {caller()}: one `~` makes an edge soft.")

    def __repr__(self) -> str:
        return self.name


class Group(Handle):
    """Several nodes side by side, as ``a >> [b, c]`` gives them, so that ``a >> [b, c] >> d`` goes on."""

    __slots__ = ("nodes",)

    def __init__(self, nodes: tuple[Wired, ...]) -> None:
        self.nodes = nodes

    def __rshift__(self, after: Value) -> Value:
        return wire(self, after)

    def __rrshift__(self, before: Value) -> Value:
        return wire(before, self)

    def __iter__(self) -> Iterator[Wired]:
        return iter(self.nodes)

    def __repr__(self) -> str:
        return f"[{', '.join(node.name for node in self.nodes)}]"


def wire(before: Value, after: Value) -> Value:
    """``before >> after``; gives ``after``, so that chains go on."""
    where = caller()
    befores, afters = _ends(before, where), _ends(after, where)
    for left in befores:
        if isinstance(left, Soft):
            raise UsageError(
                f"`[~…] >> …` at {where}: `~` stands before the node that an edge leads to, as in a >> ~b."
            )
    if not befores or not afters:
        _fault_of(
            [*befores, *afters],
            where,
            f"`{_text(before)} >> {_text(after)}` joins nothing",
            "Leave it out, or name a node.",
        )
        return _result(after, afters)
    for left in befores:
        assert isinstance(left, Wired)
        for right in afters:
            soft = isinstance(right, Soft)
            _edge(left, right.node if isinstance(right, Soft) else right, where, soft=soft)
    return _result(after, afters)


def _result(after: Value, afters: list[Wired | Soft]) -> Value:
    if isinstance(after, Wired | Group):
        return after
    nodes = [end.node if isinstance(end, Soft) else end for end in afters]
    if isinstance(after, Soft):
        return nodes[0]
    return Group(tuple(node for node in nodes if not isinstance(node, Marker)))


def _ends(value: Value, where: Where) -> list[Wired | Soft]:
    if isinstance(value, Wired | Soft):
        return [value]
    if isinstance(value, Group):
        return list(value.nodes)
    if isinstance(value, list | tuple):
        ends: list[Wired | Soft] = []
        for part in value:
            if not isinstance(part, Wired | Soft):
                raise UsageError(f"the list at {where} holds {part!r}, which is not a node: {_advice(part)}")
            ends.append(part)
        return ends
    raise UsageError(f"`>>` at {where} joins nodes, not {value!r}: {_advice(value)}")


def _advice(value: Value) -> str:
    if isinstance(value, Ref):
        return 'an edge joins nodes, a value is passed by inputs={"x": node["k"]}.'
    if getattr(value, "name", None) == "PARENT":
        return 'write node["k"] >> PARENT["y"], or outputs=PARENT.'
    if isinstance(value, list | tuple):
        return "one list of nodes, without lists inside."
    return "write a >> b, a >> [b, c] or [a, b] >> c."


def _text(value: Value) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_text(part) for part in value)}]"
    return str(getattr(value, "name", value))


def _edge(before: Wired, after: Wired, where: Where, *, soft: bool) -> None:
    if before is END or after is START:
        place = "comes after nothing" if after is START else "comes before nothing"
        _fault_of(
            [before, after],
            where,
            f"`{before.name} >> {after.name}`: {after.name if after is START else before.name} {place}",
            "Turn it round, or leave it out.",
        )
        return
    if soft and (isinstance(before, Marker) or isinstance(after, Marker)):
        marker = before if isinstance(before, Marker) else after
        message = f"`{before.name} >> ~{after.name}`: an edge of {marker.name} cannot be soft"
        mend = f"Leave the `~` out: {before.name} >> {after.name}."
        _fault_of([before, after], where, message, mend)
        return
    if not isinstance(before, Marker) and not isinstance(after, Marker):
        if _apart(before, after, where, soft=soft):
            return
        if belongs(before, where) and belongs(after, where):
            _join(before, after, where, soft=soft)
    elif not isinstance(after, Marker):
        _start(after, where)
    elif not isinstance(before, Marker):
        belongs(before, where, f"{{}} >> {after.name}")


def _start(node: Wired, where: Where) -> None:
    if not belongs(node, where, "START >> {}"):
        # What follows from it is not told besides: the container is taken, as the mend says.
        inner = None if node._owner is None else _open_around(node._owner)
        if inner is None:
            return
        node = inner
    graph = node._owner
    assert graph is not None
    if graph._starts is None:
        graph._starts = []
    if node not in graph._starts:
        graph._starts.append(node)


def _join(before: Wired, after: Wired, where: Where, *, soft: bool) -> None:
    graph = before._owner
    assert graph is not None
    if before is after:
        sign = "~" if soft else ""
        graph._faults.append(Fault(f"`{before.name} >> {sign}{after.name}` waits for itself", "Leave it out.", where))
    else:
        graph._edges.append((before, after, where, soft))


def _apart(before: Wired, after: Wired, where: Where, *, soft: bool) -> bool:
    """Whether the two lie in different graphs of one root, which is said, with the edge that is meant."""
    if before._owner is after._owner is not None:
        return False
    for end in (before, after):
        if end._owner is None and not is_open(end):
            belongs(end, where)
    containers = open_containers.get()
    common = next((one for one in reversed(containers) if _within(before, one) and _within(after, one)), None)
    if common is None or common is before._owner is after._owner:
        return False
    left, right = _within(before, common), _within(after, common)
    assert left is not None
    assert right is not None
    message = f"the edge {before.name} >> {after.name} goes from the graph {_home(before)!r} into {_home(after)!r}"
    late = ", after its with block" if is_open(left) or is_open(right) else ""
    mend = f"An edge stays inside one graph. Wire the container{late}: {left.name} >> {right.name}."
    if left is right:
        mend = "A container comes before and after its nodes as it is: leave it out, or use START and END."
    else:  # What follows from it is not told besides: the edge is taken as the mend says.
        common._edges.append((left, right, where, soft))
    containers[-1]._faults.append(Fault(message, mend, where))
    return True


def _home(node: Wired) -> str:
    return "" if node._owner is None else str(node._owner.name)


def _within(node: Wired, graph: Holder) -> Wired | None:
    """The node of ``graph`` in which ``node`` lies, or which it is."""
    one: Wired | None = node
    while one is not None and one._owner is not graph:
        one = one._owner
    return one


def belongs(node: Wired, where: Where, edge: str = "") -> bool:
    """Adopt a loose node into the innermost open graph; say so if the node is another graph's, or if none is open.

    ``edge`` is the edge with ``START`` or ``END`` that is being written, with a place for the node.
    """
    containers = open_containers.get()
    owner = node._owner
    if owner is None:
        if not containers or is_open(node):
            what = "is in no graph" if not containers else "is the graph being written"
            raise UsageError(f"{node.name} {what}, at {where}. Wire it inside the with block of the graph around it.")
        containers[-1]._adopt(node)
        return True
    if owner not in containers:
        if not containers:
            raise UsageError(
                f"the graph {owner.name!r} is fixed since its with block closed; {where} comes too late. "
                "Write this inside the block."
            )
        elif (inner := _open_around(owner)) is not None:
            if not edge:
                message = f"{node.name} lies inside {owner.name!r}, whose with block is closed"
                mend = (
                    f"Write this inside the block of {owner.name!r}; outside of it, its outputs can be written: "
                    f'{inner.name}["k"] >> PARENT["k"].'
                )
            else:
                message = f"{node.name} lies inside {inner.name!r}, and an edge stays inside one graph"
                mend = f"Wire the container: {edge.format(inner.name)}."
            containers[-1]._faults.append(Fault(message, mend, where))
        else:
            containers[-1]._faults.append(
                Fault(
                    f"{node.name} already belongs to the graph {owner.name!r} and cannot be part of a second one",
                    f"Make it in a function, once a graph: def make_{node.name}(): return {type(node).__name__}(...).",
                    where,
                )
            )
        return False
    return True


def _open_around(owner: Holder) -> Holder | None:
    """The container at or around ``owner`` that is a node of a graph whose block is open."""
    one: Holder | None = owner
    while one is not None and one._owner is not None:
        if is_open(one._owner):
            return one
        one = one._owner
    return None


def _fault_of(ends: Sequence[Wired | Soft], where: Where, message: str, mend: str) -> None:
    """Keep a mistake with the graph that it belongs to."""
    containers = open_containers.get()
    owner: Holder | None = containers[-1] if containers else None
    if owner is None:
        owner = next((end._owner for end in ends if isinstance(end, Wired) and not isinstance(end, Marker)), None)
    if owner is None or owner._closed:
        raise UsageError(f"{message}, at {where}. {mend}")
    owner._faults.append(Fault(message, mend, where))

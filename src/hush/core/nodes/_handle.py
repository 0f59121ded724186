"""``Node``: the handle that every node is. It knows how it was written and describes itself; it never executes."""

from __future__ import annotations

from contextvars import Token
from typing import TYPE_CHECKING, Any, NoReturn, Self

from hush.core._expr._model import Expr, Read, reads
from hush.core._expr._ref import Ref
from hush.core._expr._where import Where, caller
from hush.core._spec._model import STAR
from hush.core.errors import UsageError
from hush.core.nodes._declaration import Declaration
from hush.core.nodes._parent import PARENT, Parent, parent_key
from hush.core.nodes._wiring import Holder, Wired, belongs, is_open, open_containers
from hush.core.protocols import run_alone

if TYPE_CHECKING:
    from hush.core._spec._model import Step

Value = Any


class Node(Declaration):
    """One node of a graph.

    ``node["key"]`` is a reference to one of its outputs; ``a >> b`` says that ``b`` comes after ``a``.
    ``node(x=1)`` runs it alone, synchronously, and gives its outputs.
    """

    has_metrics = False
    """Whether it has ``iteration_metrics``, as maps and loops do."""
    _owner: Container | None

    def __getitem__(self, key: Value) -> Ref:
        """A reference to the output ``key``, or ``node[...]`` for all of them (as a statement to ``PARENT[...]``)."""
        if not isinstance(key, str) and key is not ...:
            raise UsageError(f"{self.name}[{key!r}] at {caller()}: a key is a string.")
        return Ref(Read(self, key, caller()))

    def __iter__(self) -> NoReturn:
        raise UsageError(f"{self.name} at {caller()} cannot be iterated over. Read one key: {self.name}['key'].")

    def __contains__(self, item: Value) -> NoReturn:
        raise UsageError(f"`in {self.name}` at {caller()}: its keys are not known while the graph is written.")

    def __call__(self, /, *args: Value, **inputs: Value) -> dict[str, Any]:
        """Run this node alone, synchronously, and give its outputs.

        Keywords are the function's parameters and replace the node's inputs; its literals stay. It works for
        ``async def`` and where a loop is running; inside an open graph block it is an error.
        """
        if args:
            raise UsageError(f"{self.name}(…) at {caller()} takes keywords only: {self.name}(x=1).")
        if open_containers.get():
            raise UsageError(
                f"{self.name}(…) at {caller()} would run the node while a graph is being written. "
                "Run it outside the with block; inside, pass values through inputs={...}."
            )
        given: dict[str, Any] = run_alone(self, inputs)
        return given

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path!r}>"

    @property
    def path(self) -> str:
        """The names from the root graph down to this node, joined by ``/``."""
        return self.name if self._owner is None else f"{self._owner.path}/{self.name}"

    # --- what it reads and writes ---------------------------------------------------------------------------
    def _hush_write(self, expr: Expr, target: Value) -> Value:
        """``self["k"] >> target``."""
        where = caller()
        if not self._may_write(where):
            return target
        whole = isinstance(expr, Read) and expr.key is ...
        to = parent_key(target)
        if whole or to is ...:
            if not (whole and to is ...):
                self._fault("`node[...]` goes to `PARENT[...]` only", f"Write {self.name}[...] >> PARENT[...].", where)
            else:
                self._add_write(STAR, None, where)
        elif to is not None:
            if all(read.source is self for read in reads(expr)):
                self._add_write(to, expr, where)
            else:
                self._write_computed(expr, to)
        else:
            self._fault(*self._wrong_target(expr, target), where)
        return target

    def _may_write(self, where: Where) -> bool:
        """Adopt the node if it is loose; say so if it belongs to a graph that is fixed."""
        containers = open_containers.get()
        if self._owner is None:
            if not containers or is_open(self):
                raise UsageError(
                    f"{self.name} at {where} is in no graph yet. Write this inside the graph's with block."
                )
            containers[-1]._adopt(self)
        return belongs(self, where)

    def _write_computed(self, expr: Expr, key: str) -> None:
        """Write a value made of several nodes, from a node made for it in the innermost of their graphs."""
        containers = open_containers.get()
        owners = {read.source._owner for read in reads(expr) if isinstance(read.source, Node)}
        depth = max((place for place, one in enumerate(containers) if one in owners), default=len(containers) - 1)
        token = open_containers.set(containers[: depth + 1])
        try:
            owner = containers[depth]
            assert isinstance(owner, Container)
            owner._make_writer(expr, key)
        finally:
            open_containers.reset(token)

    def _wrong_target(self, expr: Expr, target: Value) -> tuple[str, str]:
        """What is said of a value that goes somewhere else than to PARENT."""
        key = getattr(expr, "key", "k")
        if isinstance(target, Ref):
            other = next(reads(target._hush_expr), None)
            if other is not None and other.source is PARENT:
                return (
                    f"a value of {self.name} is written into {target!r}, a part of a key",
                    f'Write the whole value of the key: {self.name}["{key}"] >> PARENT["{other.key}"].',
                )
            name, into = (other.source.name, other.key) if other is not None else ("other", "x")
            if other is not None and isinstance(other.source, Node) and other.source._owner is self._owner:
                other.source._take_meant(into, expr)
            return (
                f"a value of {self.name} is written to {target!r}, which is not PARENT's",
                f'Write it where it is read: {name}: inputs={{"{into}": {self.name}["{key}"]}}',
            )
        name = target.name if isinstance(target, Wired | Parent) else repr(target)
        edge = f" For an edge: {self.name} >> {name}." if isinstance(target, Wired) else ""
        return (
            f'{self.name}["{key}"] >> {name}: a value goes to a key of PARENT only',
            f'Write {self.name}["{key}"] >> PARENT["{key}"].{edge}',
        )

    def _take_meant(self, key: str, expr: Expr) -> None:
        """Take an input that was written in a way that cannot work: that it is missing is not told besides."""
        if all(name != key for name, _ in self._inputs):
            self._inputs.append((key, expr))

    def _sources(self) -> list[Node]:
        """The nodes that this one reads."""
        exprs = [expr for _, expr in self._inputs]
        exprs += [expr for _, expr, _ in self._writes if expr is not None]
        found: list[Node] = [self._star] if isinstance(self._star, Node) else []
        for expr in exprs:
            found += [read.source for read in reads(expr) if isinstance(read.source, Node)]
        return found

    def _describe(self) -> Step:
        raise AssertionError("each kind of node describes itself")


class Container(Node, Holder):
    """A node that holds others: a context manager for the block in which they are made."""

    def __init__(self, name: str | None, **given: Value) -> None:
        self._nodes: dict[str, Node] = {}
        self._edges: list[tuple[Wired, Wired, Where, bool]] = []
        self._starts: list[Wired] | None = None
        self._closed = False
        self._entered = False
        self._token: Token[tuple[Holder, ...]]
        super().__init__(name, **given)

    def __enter__(self) -> Self:
        if self._entered:
            raise UsageError(f"{self.name} at {caller()}: its with block was opened before; a graph is written once.")
        self._entered = True
        self._token = open_containers.set((*open_containers.get(), self))
        return self

    def __exit__(self, *exc: object) -> None:
        self._closed = True
        try:
            # As it was, not just empty: a variable that is set at all makes every run compare contexts one by one.
            open_containers.reset(self._token)
        except ValueError:  # the block was left in another context than it was entered in
            open_containers.set(tuple(one for one in open_containers.get() if one is not self))

    def _adopt(self, node: Wired) -> None:
        """Make ``node``, and the loose nodes that it reads, part of this container."""
        if self._closed:
            raise UsageError(
                f"the graph {self.name!r} is fixed since its with block closed; {caller()} comes too late."
            )
        assert isinstance(node, Node)
        todo: list[Node] = [node]
        while todo:
            one = todo.pop()
            if one._owner is None and one is not self and not is_open(one):
                one._owner = self
                self._name(one)
                todo += one._sources()
            elif one is node:
                todo += [source for source in one._sources() if source._owner is None]

    def _name(self, node: Node) -> None:
        other = self._nodes.get(node.name)
        if other is not None and node._named and other._named:
            self._fault(
                f"two nodes are called {node.name!r}: the other is at {other.where}",
                "Give one another name.",
                node.where,
            )
            node.name = self._free_name(node.name)
        elif other is not None and node._named:
            # A name that was written goes before one that was made up.
            other.name = self._free_name(node.name)
            self._nodes[other.name] = other
        elif other is not None:
            node.name = self._free_name(node.name)
        self._nodes[node.name] = node

    def _free_name(self, name: str) -> str:
        number = 2
        while f"{name}_{number}" in self._nodes:
            number += 1
        return f"{name}_{number}"

    def _make_writer(self, expr: Expr, key: str) -> None:
        raise AssertionError("each container makes its own")

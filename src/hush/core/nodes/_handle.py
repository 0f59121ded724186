"""``Node``: the handle that every node is. It knows how it was written and describes itself; it never executes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import Token
from typing import TYPE_CHECKING, Any, NoReturn, Self

from hush.core._expr._model import Const, Expr, Read, reads
from hush.core._expr._ref import Handle, Ref, inside, to_expr
from hush.core._expr._where import Where, caller
from hush.core._spec._model import STAR, Fault, Tolerate, is_reserved
from hush.core.errors import UsageError
from hush.core.nodes._each import Each
from hush.core.nodes._wiring import Holder, Wired, belongs, is_open, open_containers
from hush.core.protocols import run_alone

if TYPE_CHECKING:
    from hush.core._spec._model import Step

Value = Any

_NAME = re.compile(r"[\w-]+\Z")


class Parent(Handle):
    """``PARENT``: the container of the node that holds the reference; for the root graph, the run.

    Read, ``PARENT["k"]`` is what the nearest node before this one that ran has written to ``k``, else the container's
    input. Written, as in ``node["x"] >> PARENT["k"]`` or ``outputs=PARENT``, it is the container's output: in a map one
    place of a column, in a loop the variable of the next round, in the root graph a key of the result. Two nodes may
    write the same key if they are in order, or on different arms of a branch; else it is an error before anything
    runs. A key that nobody got to write is ``None``.

    The own inputs of a map, loop or nested graph read the graph *around* it; the nodes in it read what it is given.
    """

    __slots__ = ()
    name = "PARENT"

    def __getitem__(self, key: Value) -> Ref:
        """The container's input ``key``, or what an earlier node wrote to it; as a target, its output ``key``."""
        if not isinstance(key, str) and key is not ...:
            raise UsageError(f"PARENT[{key!r}] at {caller()}: a key is a string.")
        return Ref(Read(self, key, caller()))

    def _hush_write(self, expr: Expr, target: Value) -> NoReturn:
        raise UsageError(
            f"PARENT is not a node, at {caller()}: only nodes write. Make a node that reads the input and "
            "returns it, and write its key: node['k'] >> PARENT['y']."
        )

    def __repr__(self) -> str:
        return "PARENT"


PARENT = Parent()


class Node(Wired):
    """One node of a graph.

    ``node["key"]`` is a reference to one of its outputs; ``a >> b`` says that ``b`` comes after ``a``.
    ``node(x=1)`` runs it alone, synchronously, and gives its outputs.
    """

    kind = "node"
    has_metrics = False
    """Whether it has ``iteration_metrics``, as maps and loops do."""
    ways_to_fail = '"raise" or "collect"'

    def __init__(
        self,
        name: str | None,
        *,
        inputs: Mapping[str, Value] | None,
        outputs: Value,
        on_error: str | None,
        timeout_s: float | None,
        suggested: str | None = None,
    ) -> None:
        self.where: Where = caller()
        self._owner: Container | None = None
        self._faults: list[Fault] = []
        self._inputs: list[tuple[str, Expr]] = []
        self._star: Node | Parent | None = None
        self._star_is_wrong = False
        self._writes: list[tuple[str, Expr | None, Where]] = []
        if name is not None and not isinstance(name, str):
            raise UsageError(f"name={name!r} at {self.where}: a name is a string.")
        self._named = name is not None
        self.name: str = name if name is not None else suggested or self.kind
        if not is_name(self.name):
            self._fault(f"the name {self.name!r} is not allowed", "Use letters, digits, '_' and '-' only.")
        self._on_error = on_error
        if on_error is not None and not isinstance(on_error, str):
            only = " Tolerate is for the items of a MapNode." if isinstance(on_error, Tolerate) else ""
            raise UsageError(f"on_error={on_error!r} at {self.where}: it is {self.ways_to_fail}.{only}")
        if on_error not in (None, "raise", "collect"):
            self._fault(f"on_error={on_error!r} is not known", f"It is {self.ways_to_fail}.")
        self._timeout_s = self._checked_seconds("timeout_s", timeout_s)
        self._take_inputs(inputs)
        self._take_outputs(outputs)
        containers = open_containers.get()
        if containers:
            containers[-1]._adopt(self)

    # --- authoring ----------------------------------------------------------------------------------------
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
        return run_alone(self, inputs)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path!r}>"

    @property
    def path(self) -> str:
        """The names from the root graph down to this node, joined by ``/``."""
        return self.name if self._owner is None else f"{self._owner.path}/{self.name}"

    # --- what it was given --------------------------------------------------------------------------------
    def _fault(self, message: str, mend: str, where: Where | None = None) -> None:
        self._faults.append(Fault(message, mend, where or self.where))

    def _checked_seconds(self, name: str, seconds: Value) -> float | None:
        if seconds is None:
            return None
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise UsageError(f"{name}={seconds!r} at {self.where}: it is a number of seconds.")
        if not seconds > 0:
            self._fault(f"{name}={seconds!r} is not above 0", "Give a number of seconds, or leave it out.")
        return float(seconds)

    def _checked_count(self, name: str, value: Value, what: str) -> int | None:
        """``value`` if it is a whole number of at least 1; else ``None``, and a fault that says ``what`` it counts."""
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise UsageError(f"{name}={value!r} at {self.where}: it is a whole number of {what}.")
        if value is None:
            self._fault(f"{name}=None is no number of {what}", "Give one, or leave it out.")
            return None
        if value < 1:
            self._fault(f"{name}={value!r} is below 1", f"Give a number of {what}, 1 or more.")
            return None
        return int(value)

    def _take_inputs(self, inputs: Value) -> None:
        if inputs is None:
            return
        if not isinstance(inputs, Mapping):
            mend = (
                "inputs={'*': " + getattr(inputs, "name", "node") + "}"
                if is_source(inputs)
                else "inputs={'x': node['k']}"
            )
            raise UsageError(f"inputs= at {self.where} is a dict, not {type(inputs).__name__}. Write {mend}.")
        for key, value in inputs.items():
            if not isinstance(key, str):
                raise UsageError(f"the input {key!r} at {self.where}: an input's name is a string.")
            if key == STAR:
                if is_source(value):
                    self._star = value
                else:
                    self._star_is_wrong = True
                    self._fault(
                        f"{{'*': {value!r}}} is neither PARENT nor a node", "Write {'*': PARENT} or {'*': node}."
                    )
            elif isinstance(value, Each):
                self._take_each(key, value)
            else:
                self._inputs.append((key, self._checked_value(key, value)))

    def _take_each(self, key: str, each: Each) -> None:
        self._misplaced(key, each)
        # The input is given all the same: one mistake is one problem.
        self._inputs.append((key, Const(None) if is_source(each.source) else to_expr(each.source)))

    def _misplaced(self, key: str, each: Each) -> None:
        self._fault(
            f"Each(...) is misplaced in the input {key!r} of a {self.kind} node",
            f'Each belongs directly in the inputs of a MapNode: inputs={{"{key}": Each(source)}}.',
            each.where,
        )

    def _checked_value(self, key: str, value: Value) -> Expr:
        self._check_parts(key, value)
        return to_expr(value)

    def _check_parts(self, key: str, value: Value) -> None:
        """Note the handles that stand where a value should."""
        for part in inside(value, (Handle,)):
            if isinstance(part, Each):
                self._misplaced(key, part)
            elif is_source(part):
                name = part.name
                self._fault(f"the input {key!r} is given {name} itself", f'Name the key that it reads: {name}["key"].')
            else:
                self._fault(f"the input {key!r} is given {part!r}, which has no value", 'Read a key: node["key"].')

    def _take_outputs(self, outputs: Value) -> None:
        if outputs is None:
            return
        if outputs is PARENT:
            outputs = {STAR: PARENT}
        if not isinstance(outputs, Mapping):
            raise UsageError(
                f"outputs={outputs!r} at {self.where}: write outputs=PARENT, {{'*': PARENT}}, "
                "{'k': PARENT} or {'k': PARENT['y']}."
            )
        for key, target in outputs.items():
            if not isinstance(key, str):
                raise UsageError(f"the output {key!r} at {self.where}: an output's name is a string.")
            if target is PARENT:
                self._add_write(key, None if key == STAR else Read(self, key, self.where), self.where)
                continue
            to = _parent_key(target)
            if to is None or to is ... or key == STAR:
                self._fault(
                    f"the output {key!r} goes to {target!r}, which is not PARENT",
                    f"Write {{'{key}': PARENT}}" + ("." if key == STAR else f" or {{'{key}': PARENT['y']}}."),
                )
            else:
                self._add_write(to, Read(self, key, self.where), self.where)

    def _hush_write(self, expr: Expr, target: Value) -> Value:
        """``self["k"] >> target``."""
        where = caller()
        if not self._may_write(where):
            return target
        whole = isinstance(expr, Read) and expr.key is ...
        to = _parent_key(target)
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

    def _add_write(self, key: str, expr: Expr | None, where: Where) -> None:
        if is_reserved(key) and not (key == STAR and expr is None):
            self._fault(f"the output name {key!r} is reserved", "Choose another name.", where)
        else:
            self._writes.append((key, expr, where))

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


def is_name(name: str) -> bool:
    """Whether ``name`` has letters of any script, with their marks, digits, ``_`` and ``-`` only."""
    if _NAME.match(name):
        return True
    from unicodedata import category

    return bool(name) and all(one in "_-" or category(one)[0] in "LMN" for one in name)


def is_source(value: Value) -> bool:
    """Whether ``value`` is a node or ``PARENT``, by itself."""
    return isinstance(value, Node) or value is PARENT


def _parent_key(target: Value) -> Any:
    """``"y"`` for ``PARENT["y"]``, ``...`` for ``PARENT[...]``, else ``None``."""
    if isinstance(target, Ref):
        expr = target._hush_expr
        if isinstance(expr, Read) and expr.source is PARENT:
            return expr.key
    return None

"""``PARENT``: the container of the node that holds a reference, to read from and to write to."""

from __future__ import annotations

from typing import Any, NoReturn

from hush.core._expr._model import Expr, Read
from hush.core._expr._ref import Handle, Ref
from hush.core._expr._where import caller
from hush.core.errors import UsageError

Value = Any


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


def parent_key(target: Value) -> Any:
    """``"y"`` for ``PARENT["y"]``, ``...`` for ``PARENT[...]``, else ``None``."""
    if isinstance(target, Ref):
        expr = target._hush_expr
        if isinstance(expr, Read) and expr.source is PARENT:
            return expr.key
    return None

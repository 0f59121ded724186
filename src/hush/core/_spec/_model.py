"""The records a graph is described with: a closed union of steps, with names where handles were."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from hush.core._expr._model import Expr
from hush.core._expr._where import Where
from hush.core._spec._signature import Signature

STAR = "*"
EVERYTHING = "**"
"""The key of the write of a node that runs alone: all its keys, those that ``"*"`` does not carry too."""
ERROR = "error"
TAGS = "$tags"
NEVER_STARRED = frozenset({ERROR, "iteration_metrics", TAGS})
"""What ``"*"`` does not carry."""


def is_reserved(key: object) -> bool:
    """Whether no function may return ``key``, and nobody may write or read it."""
    return type(key) is str and (key in (STAR, "iteration_metrics") or (key[:1] == "$" and key != TAGS))


class Source(NamedTuple):
    """Where a read looks: ``up`` containers further out, the step called ``step``, or ``None`` for the container."""

    up: int
    step: str | None

    @property
    def name(self) -> str:
        """How the source is written."""
        return "PARENT" if self.step is None else self.step


class Fault(NamedTuple):
    """A mistake seen while the graph was written, kept until all can be told at once."""

    message: str
    mend: str
    where: Where


class Write(NamedTuple):
    """A value that a step hands to its container: under ``key``, or all its keys if ``key`` is ``"*"``."""

    key: str
    expr: Expr | None
    where: Where


class EachInput(NamedTuple):
    """An input of a map that gives every item its own value.

    ``spent`` holds the iterator that the ``Each`` was written with, once a run has used it up.
    """

    name: str
    source: Expr
    pull: str
    where: Where
    spent: list[Any]


class Edge(NamedTuple):
    """``before >> after``."""

    before: str
    after: str
    where: Where


@dataclass(frozen=True, slots=True, eq=False)
class StepSpec:
    """What all steps have.

    Attributes:
        inputs: Named inputs with the expressions that give them.
        starred: The names among them that ``{"*": source}`` feeds: where such a parameter has a default, a key that
            is not there leaves it at that.
        writes: What the step hands to its container.
        on_error: ``"raise"`` or ``"collect"`` as written, or ``None``.
    """

    name: str
    kind: str
    inputs: tuple[tuple[str, Expr], ...]
    starred: frozenset[str]
    writes: tuple[Write, ...]
    on_error: str | None
    timeout_s: float | None
    where: Where
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True, eq=False)
class CallSpec(StepSpec):
    """A leaf: a function that is called with its inputs. ``kind`` is a label for drawings and traces."""

    fn: Callable[..., Any] | None
    signature: Signature
    executor: str


@dataclass(frozen=True, slots=True, eq=False)
class GraphSpec(StepSpec):
    """A graph of steps.

    Attributes:
        starts: The targets of ``START``, ``None`` if the graph does not use it.
        memo: What has been worked out of it: everything in it follows from the rest.
    """

    steps: tuple[Step, ...]
    edges: tuple[Edge, ...]
    starts: tuple[str, ...] | None
    memo: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class MapSpec(StepSpec):
    """A body that runs once for each item. ``on_error`` speaks of the items."""

    each: tuple[EachInput, ...]
    body: GraphSpec
    max_concurrency: int


Step: TypeAlias = CallSpec | GraphSpec | MapSpec

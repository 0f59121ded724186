"""The records a graph is described with: a closed union of steps, with names where handles were."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from hush.core._expr._arguments import checks_arguments
from hush.core._expr._model import Expr
from hush.core._expr._record import made, record
from hush.core._expr._where import Where
from hush.core._spec._policies import NO_POLICIES, Policies
from hush.core._spec._signature import Signature
from hush.core.errors import UsageError

STAR = "*"
EVERYTHING = "**"
"""The key of the write of a node that runs alone: all its keys, those that ``"*"`` does not carry too."""
ERROR = "error"
TAGS = "$tags"
METRICS = "iteration_metrics"
"""What a map or loop tells of its iterations, beside what its body writes."""
NEVER_STARRED = frozenset({ERROR, METRICS, TAGS})
"""What ``"*"`` does not carry."""


def is_reserved(key: object) -> bool:
    """Whether no function may return ``key``, and nobody may write or read it."""
    return type(key) is str and (key in (STAR, METRICS) or (key[:1] == "$" and key != TAGS))


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
    """``before >> after``, or ``before >> ~after`` if it is ``soft``."""

    before: str
    after: str
    where: Where
    soft: bool = False


class Case(NamedTuple):
    """One case of a branch: where to go if ``condition`` holds.

    Attributes:
        text: The condition as it was written.
        condition: Over names if it was written as text: its reads of ``Source(0, None)`` are the branch's own inputs.
            Else over references, as they stand in the graph of the branch.
        names: The names that a condition written as text speaks of; ``None`` for references.
        target: The step to run, ``None`` for ``END``.
    """

    text: str
    condition: Expr
    names: frozenset[str] | None
    target: str | None
    where: Where


@checks_arguments
@dataclass(frozen=True, slots=True)
class Tolerate:
    """How many items of a map may fail: ``on_error=Tolerate(count=5)``, or ``Tolerate(fraction=0.1)``, or both.

    Failures within the bound are collected. One more than ``count``, or more than ``fraction`` of all items, ends the
    map with ``TooManyFailures``. Where the number of items is not known before, ``fraction`` is judged at the end.

    Args:
        count: Failed items that are still tolerated, 0 or more.
        fraction: Their share of all items, from 0 to 1.
    """

    count: int | None = None
    fraction: float | None = None

    def __post_init__(self) -> None:
        if self.count is None and self.fraction is None:
            raise UsageError("Tolerate() names no bound: write Tolerate(count=5) or Tolerate(fraction=0.1).")
        count: Any = self.count
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
            raise UsageError(f"Tolerate(count={count!r}): it is a number of items, 0 or more.")
        fraction: Any = self.fraction
        if fraction is not None and (
            isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0 <= fraction <= 1
        ):
            raise UsageError(f"Tolerate(fraction={fraction!r}): it is a share of all items, from 0 to 1.")


@record
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


@record
class CallSpec(StepSpec):
    """A leaf: a function that is called with its inputs. ``kind`` is a label for drawings and traces."""

    fn: Callable[..., Any] | None
    signature: Signature
    executor: str
    policies: Policies = NO_POLICIES


@record
class GraphSpec(StepSpec):
    """A graph of steps.

    Attributes:
        starts: The targets of ``START``, ``None`` if the graph does not use it.
        wraps: Whether it was made around its only step, a root that is no graph, and has no place in paths.
        memo: What has been worked out of it: everything in it follows from the rest.
    """

    steps: tuple[Step, ...]
    edges: tuple[Edge, ...]
    starts: tuple[str, ...] | None
    wraps: bool = False
    memo: dict[str, Any] = made(default_factory=dict)


@record
class MapSpec(StepSpec):
    """A body that runs once for each item. ``on_error`` speaks of the items.

    Attributes:
        tolerate: How many of them may fail; ``None`` for as many as there are, if ``on_error`` collects.
        batch: How many items make one that the body gets as a list; ``None`` for each by itself.
        first: How many items are taken at most.
        key: Gives an item's name for errors and records.
        item_timeout_s: Seconds that one item may take.
        batch_wait_s: Seconds after its first item after which a batch is handed over, however few it has.
        window: How many items may be pulled and not finished; ``None`` for ``max_concurrency`` + 32.
        ordered: Whether it takes the items of a map that it streams from in their order.
        executor: ``"process"`` if the body runs in worker processes, ``max_concurrency`` of them.
    """

    each: tuple[EachInput, ...]
    body: GraphSpec
    max_concurrency: int
    tolerate: Tolerate | None = None
    batch: int | None = None
    first: int | None = None
    key: Callable[[Any], Any] | None = None
    item_timeout_s: float | None = None
    batch_wait_s: float | None = None
    window: int | None = None
    ordered: bool = True
    executor: str | None = None


@record
class LoopSpec(StepSpec):
    """A body that runs again and again: its inputs are variables, which it writes for the next round.

    Attributes:
        stop: Tried before each round; the loop ends when it holds. A read of ``Source(0, None)`` is a variable of the
            loop, as in the body. ``None`` for a loop of ``max_iterations`` rounds.
        stop_text: The condition as it was written.
        on_limit: ``"raise"`` or ``"stop"``: what becomes of a loop that reaches ``max_iterations``.
    """

    body: GraphSpec
    stop: Expr | None
    stop_text: str
    max_iterations: int
    on_limit: str


@record
class BranchSpec(StepSpec):
    """A choice among steps of its graph: the first case whose condition holds, else the default.

    Attributes:
        default: The step to run if no case holds; ``None`` for ``END``, or if there is none.
        has_default: Whether there is one.
    """

    cases: tuple[Case, ...]
    default: str | None
    has_default: bool

    def targets(self) -> tuple[str, ...]:
        """The steps that it may choose, each once."""
        found = dict.fromkeys([case.target for case in self.cases] + [self.default])
        return tuple([target for target in found if target is not None])


Step: TypeAlias = CallSpec | GraphSpec | MapSpec | LoopSpec | BranchSpec

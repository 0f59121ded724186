"""What the reference knows of an activation beside its values: failures, calls, and what the report may say."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from kit.faults import Failure


class Failed(Exception):
    """Carries a `Failure` up to the domain's border; of a map also what it may have handed on before it failed."""

    def __init__(self, *labels: str, begun: Begun | None = None) -> None:
        self.failure = Failure(frozenset(labels))
        self.begun = begun
        super().__init__(*labels)


class Stuck(Exception):
    """Nothing failed, but something will not end: only the timeout of an item ends it."""


@dataclass
class Tally:
    """What happened in one activation, beside its values."""

    most: Counter[str] = field(default_factory=Counter)  # calls of a leaf, if everything that can be called is
    least: Counter[str] = field(default_factory=Counter)  # calls that no failure can prevent
    handled: set[str] = field(default_factory=set)  # labels that may stand in `result.errors`
    excess: dict[str, frozenset[str]] = field(default_factory=dict)  # of a map that tolerates: what its items raised
    surely_partial: bool = False
    maybe_partial: bool = False
    surely_handled: bool = False

    def add(self, inner: Tally, *, failed: bool = False) -> None:
        """Take in an inner activation; one that failed may have been cancelled anywhere."""
        self.most += inner.most
        self.handled |= inner.handled
        for name, labels in inner.excess.items():
            self.excess[name] = self.excess.get(name, frozenset()) | labels
        self.maybe_partial |= inner.maybe_partial
        if not failed:
            self.least += inner.least
            self.surely_partial |= inner.surely_partial
            self.surely_handled |= inner.surely_handled

    def handle(self, failure: Failure, *, named: bool) -> None:
        """A node's failure was handled; it makes the result partial if nobody named it."""
        self.handled |= failure.labels
        self.surely_handled = True
        self.maybe_partial |= not named
        self.surely_partial |= not named

    def collect(self, error: Any, *, named: bool) -> None:
        """An item failed. Whether the result is partial if somebody named the column, the design leaves open."""
        self.handled |= labels_of_item(error)
        self.surely_handled = True
        self.maybe_partial = True
        self.surely_partial |= not named


def labels_of_item(error: Any) -> frozenset[str]:
    """What an item's error may be called; one that is no exception was reported by the item itself."""
    return error.labels if isinstance(error, Failure) else frozenset({"ReportedError"})


@dataclass(frozen=True)
class Expected:
    """Either outputs or a failure, and what may be counted."""

    outputs: dict[str, Any] | None
    failure: Failure | None
    tally: Tally


@dataclass(frozen=True)
class Ran:
    """A node that ran, or whose failure was handled."""

    values: Any
    failure: Failure | None = None


@dataclass(frozen=True)
class Begun(Ran):
    """A map that never ends well, as the map that streams from it sees it: any number of its items, from the first on.

    To all others it is NEVER. `values` are the columns of all items that it may hand on, and `length` is how many there
    would be if it went on to its end.
    """

    length: int = 0


SKIPPED, NEVER = "skipped", "never"  # what becomes of a node that has no values
State = Any  # Ran, Begun, SKIPPED or NEVER

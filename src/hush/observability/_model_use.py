"""``ModelSums``: what calls of models used, added up by model; and ``models_of``, the same of a whole run."""

from __future__ import annotations

from collections.abc import Iterable

from hush.observability._span import Generation, ModelUse, RunRecord, Span

_MOST = 100
"""So many models are told apart; who makes up a name for each call gets the rest under ``OTHERS``."""
OTHERS = "other models"


class _Sum:
    __slots__ = ("calls", "cost", "failed", "priced", "usage")

    def __init__(self) -> None:
        self.calls = self.failed = self.priced = 0
        self.cost = 0.0
        self.usage: dict[str, int] = {}


class ModelSums:
    """Sums by the name of the model, as its server or else the request has it, or of the resource."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: dict[str, _Sum] = {}

    def _of(self, name: str) -> _Sum:
        found = self._found.get(name)
        if found is None:
            if len(self._found) >= _MOST:
                name = OTHERS
            found = self._found.setdefault(name, _Sum())
        return found

    def add(self, asked: Generation, resource: str, *, failed: bool) -> None:
        """A call of ``resource`` has ended, or stands where it is."""
        found = self._of(asked.model or asked.requested or resource)
        found.calls += 1
        found.failed += failed
        if asked.usage:
            usage = found.usage
            for what, count in asked.usage.items():
                usage[what] = usage.get(what, 0) + count
        if asked.cost is not None:
            found.cost += asked.cost
            found.priced += 1

    def plus(self, use: ModelUse) -> None:
        """Calls that have been added up elsewhere."""
        found = self._of(use.name)
        found.calls += use.calls
        found.failed += use.failed
        found.priced += use.priced
        found.cost += use.cost or 0.0
        for what, count in use.usage.items():
            found.usage[what] = found.usage.get(what, 0) + count

    @property
    def calls(self) -> int:
        """Of how many calls these are the sums."""
        return sum(one.calls for one in self._found.values())

    def uses(self) -> tuple[ModelUse, ...]:
        """The sums until now, the dearest model first."""
        found = [
            ModelUse(name, one.calls, one.failed, dict(one.usage), one.cost if one.priced else None, one.priced)
            for name, one in self._found.items()
        ]
        return tuple(sorted(found, key=lambda one: (-(one.cost or 0.0), -one.calls, one.name)))


def models_of(run: RunRecord, leaves: Iterable[Span]) -> ModelSums:
    """What the models of a run used: the totals of a node where they know of at least as many calls as spans do.

    Calls that a cache answered, or an identical call, asked no model. Those that have not ended are only in ``leaves``.
    """
    ended: dict[str, ModelSums] = {}
    found = ModelSums()
    for span in leaves:
        asked = span.generation
        if asked is None or span.cached is not None or not (asked.resource or asked.model):
            continue  # that it was asked is not known of a call that was cancelled
        sums = found if span.ended_ns is None else ended.get(span.path)
        if sums is None:
            sums = ended[span.path] = ModelSums()
        sums.add(asked, asked.resource or span.name, failed=span.status in ("failed", "handled"))
    for one in run.totals:
        if one.models and sum(use.calls for use in one.models) >= (ended[one.path].calls if one.path in ended else 0):
            ended.pop(one.path, None)
            for use in one.models:
                found.plus(use)
    for sums in ended.values():
        for use in sums.uses():
            found.plus(use)
    return found

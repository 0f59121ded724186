"""``Showing``: what is told of spans before they have ended, to exporters that show what is under way."""

from __future__ import annotations

from collections.abc import Iterable

from hush.core.events import NodeStarted
from hush.observability._growing import Growing
from hush.observability._sampling import Sampling
from hush.observability._span import Span, Status
from hush.observability._under_way import UnderWay


class Showing(Growing):
    """What is under way in one run, and what of it is known outside."""

    def __init__(self, sampling: Sampling) -> None:
        super().__init__(sampling)
        self._status: Status = "running"
        self._told_calls: set[int] = set()  # numbers of those that were told of before any event
        self._begun: list[UnderWay] = []  # containers that nobody has been told of

    def begun(self, *, tell: bool = True) -> list[Span]:
        """Containers that have begun since this was last asked, and have not ended; forget them if nobody is told."""
        begun, self._begun = self._begun, []
        if not tell:
            return []
        return [self._running(one) for one in begun if not one.told and self._is_under_way(one)]

    def _is_under_way(self, one: UnderWay) -> bool:
        if one is self.run:
            return self._status == "running"
        return one.around is not None and one.around.inside is not None and id(one) in one.around.inside

    def under_way(self, before_ns: int, most: int) -> list[Span]:
        """At most ``most`` spans that have been under way since ``before_ns`` and nobody knows of, or that changed."""
        found: list[Span] = []
        todo = [] if self.run is None or self._status != "running" else [self.run]
        while todo and len(found) < most:
            one = todo.pop()
            if one.started_ns <= before_ns and (not one.told or one.changed):
                found.append(self._running(one))
            if one.inside:
                todo += list(one.inside.values())[:most]
        return found

    def called(self, events: Iterable[NodeStarted]) -> list[Span]:
        """The spans of calls under way of which no event tells before they have ended; of those that are new."""
        if self.run is None or self._status != "running":
            return []
        return [self._called(event) for event in events if event.number not in self._told_calls and self._knows(event)]

    def _knows(self, event: NodeStarted) -> bool:
        """Whether the start of what ``event`` lies in has come; if not it is told of the next time."""
        assert self.run is not None
        above = self._place(event.path).above
        items = event.outer if event.item is None else (*event.outer, event.item)
        if not items and above in ("", self.run.path):
            return True
        return (above, items) in self._nodes or (above, items[:-1]) in self._nodes

    def _called(self, event: NodeStarted) -> Span:
        self._told_calls.add(event.number)
        path, items = event.path, event.outer if event.item is None else (*event.outer, event.item)
        around, id_ = self._around(path, items, event.at_ns), self._ids.of(event.number)
        if _may_be_left_out(around):
            self._told.add(id_)
        at_ns, node = event.at_ns + self._wall_ns, self._place(path)
        return Span(
            self.trace,
            id_,
            around.id,
            node.kind,
            node.name,
            path,
            items,
            "running",
            started_ns=at_ns,
            called_ns=at_ns,
        )

    def _running(self, one: UnderWay) -> Span:
        if not one.told:
            one.told = True
            if _may_be_left_out(one):
                self._told.add(one.id)
        one.changed = False
        return one.span(self.trace, self._wall_ns, "running", None)


def _may_be_left_out(one: UnderWay | None) -> bool:
    """Whether it is an item or a round, or lies in one."""
    while one is not None and one.held is None:
        one = one.around
    return one is not None

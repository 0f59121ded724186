"""``RunTally`` and ``MapTally``: how far a run and its maps are, counted from their events.

A tally counts in the thread of its run, in steps that other threads may look at in between: whoever draws it, and
whoever prints something above what is drawn. It keeps numbers and paths, nothing of what events carry.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from hush.core.events import (
    ItemFailed,
    ItemFinished,
    ItemsRan,
    MapFinished,
    MapStarted,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRan,
    NodeStarted,
    RunFinished,
    RunStarted,
)

_RATE_OVER_S = 10.0
_RATE_OVER_ITEMS = 10
_MOST_ASKED = 1_000
UnderWay: TypeAlias = "Callable[[int, int], Sequence[NodeStarted]]"
"""Gives at most so many calls that began before an instant, oldest first."""


class MapTally:
    """One map, by its path: all its activations together, those that have ended and those under way.

    Attributes:
        name: Its path below the map around it, or below the run.
        above: The map around it.
        below: The maps in it, in the order in which they were first seen.
        begun: How many activations have begun, ``well`` of them have ended well.
        done: How many items have ended, ``failed`` of them badly.
        began_ns: When the first activation began.
        ended_ns: When the last one ended.
    """

    __slots__ = (
        "_open",
        "_places",
        "_samples",
        "_sized",
        "_unsized",
        "above",
        "began_ns",
        "begun",
        "below",
        "done",
        "ended_ns",
        "failed",
        "name",
        "well",
    )

    def __init__(self, name: str, above: MapTally | None, began_ns: int) -> None:
        self.name = name
        self.above = above
        self.below: list[MapTally] = []
        self.began_ns = self.ended_ns = began_ns
        self.begun = self.well = self.done = self.failed = 0
        self._open = 0  # how many activations are under way
        self._places: Counter[tuple[Any, ...]] = Counter()  # theirs: each once, but for runs that share an id
        self._sized = 0  # the items of all activations whose number of items is known
        self._unsized = 0  # how many are under way that do not know it
        self._samples = deque([(began_ns / 1e9, 0)])

    # --- the run's side -----------------------------------------------------------------------------------
    def start(self, event: MapStarted) -> None:
        """An activation began."""
        self._places[event.outer, event.item] += 1
        self._open += 1
        self.begun += 1
        if event.total is None:
            self._unsized += 1
        else:
            self._sized += event.total

    def finish(self, event: MapFinished) -> None:
        """An activation ended; one whose source could not be opened has not begun."""
        place = (event.outer, event.item)
        if place not in self._places:
            return
        self._places[place] -= 1
        if not self._places[place]:
            del self._places[place]
        self._open -= 1
        if event.total is None:
            self._unsized -= 1
            self._sized += event.done
        self.ended_ns = event.at_ns

    # --- whoever looks ------------------------------------------------------------------------------------
    @property
    def is_under_way(self) -> bool:
        """Whether there is more to come, as far as one can know: an activation, or the map around it."""
        return bool(self._open) or (self.above is not None and self.above.is_under_way)

    def total(self) -> tuple[int | None, bool]:
        """How many items there are, and whether that is certain; ``None`` where nobody knows.

        While the map around it is under way it is taken to begin for the items to come as often as for those that have
        ended (once each, before the first of them has), and with as many items as until now, on the average.
        """
        above = self.above
        if self._unsized:
            return None, False
        if above is None or not above.is_under_way:
            return self._sized, True
        around, _ = above.total()
        if around is None or not self.begun:
            return None, False
        ended = self.begun - self._open
        each = ended / above.done if above.done else 1.0
        guess = self._sized / self.begun * (ended + each * max(0, around - above.done))
        return max(self._sized, round(guess)), False

    def note(self, now_s: float) -> None:
        """Note how many items have ended now: what rates are measured against. One thread calls it, again and again."""
        done, samples = self.done, self._samples
        last_s, last = samples[-1]
        if done > last and now_s - last_s >= _RATE_OVER_S / 10:
            samples.append((now_s, done))
        while len(samples) > 1 and now_s - samples[1][0] >= _RATE_OVER_S and done - samples[1][1] >= _RATE_OVER_ITEMS:
            samples.popleft()

    def rate_per_s(self, now_s: float) -> float | None:
        """Items ended per second, over the last 10 s or the last 10 items, whichever is longer.

        Of a map that has ended, over all its time. ``None`` until there is something to tell.
        """
        done = self.done
        since_s, before = self._samples[0]
        if not self.is_under_way:
            now_s, since_s, before = self.ended_ns / 1e9, self.began_ns / 1e9, 0
        passed_s = now_s - since_s
        return (done - before) / passed_s if done > before and passed_s > 0 else None


class RunTally:
    """One run.

    Attributes:
        id: The request id.
        name: The graph's.
        began_ns: When it began.
        status: How it ended; empty while it is under way.
        seconds: How long it took, once it has ended.
        maps: Its maps by path, in the order in which they were first seen.
        working: The nodes at work outside maps, containers left out, and since when.
        asks: What says which calls are under way of which nobody was told.
        sharing: How many runs under way have this id: users may give one twice.
    """

    __slots__ = ("asks", "began_ns", "id", "maps", "name", "seconds", "sharing", "status", "working")

    def __init__(self, event: RunStarted) -> None:
        self.id = event.run
        self.name = event.path
        self.began_ns = event.at_ns
        self.status = ""
        self.seconds = 0.0
        self.maps: dict[str, MapTally] = {}
        self.working: dict[str, int] = {}
        self.asks: list[UnderWay] = []
        self.sharing = 1

    def finish(self, event: RunFinished) -> None:
        """It ended."""
        self.status, self.seconds = event.status, event.seconds
        self.asks.clear()

    def at_work(self, before_ns: int) -> dict[str, int]:
        """``working``, and the calls that began before an instant of which no event tells before they end."""
        found = self.working.copy()
        for ask in self.asks.copy():
            for event in ask(before_ns, _MOST_ASKED):
                if event.item is None:
                    found[event.path] = event.at_ns
                    found.pop(event.path.rpartition("/")[0], None)
        return found

    def _node_started(self, event: NodeStarted) -> None:
        if event.item is None:
            path = event.path
            self.working[path] = event.at_ns
            self.working.pop(path.rpartition("/")[0], None)  # a container: its nodes are at work

    def _node_ran(self, event: NodeRan) -> None:
        if event.item is None:
            self.working.pop(event.path.rpartition("/")[0], None)
        elif event.ends_item:
            tally = self.maps.get(event.path.rpartition("/")[0])
            if tally is not None:
                tally.done += 1

    def _node_finished(self, event: NodeFinished) -> None:
        if event.item is None:
            self.working.pop(event.path, None)
        tally = self.maps.get(event.path)
        if tally is not None:
            tally.well += 1

    def _node_failed(self, event: NodeFailed | NodeCancelled) -> None:
        if event.item is None:
            self.working.pop(event.path, None)

    def _map_started(self, event: MapStarted) -> None:
        tally = self.maps.get(event.path)
        if tally is None:
            tally = self._map_seen(event.path, event.at_ns)
        tally.start(event)
        if event.item is None:
            self.working.pop(event.path, None)

    def _map_finished(self, event: MapFinished) -> None:
        tally = self.maps.get(event.path)
        if tally is not None:
            tally.finish(event)

    def _item_finished(self, event: ItemFinished) -> None:
        tally = self.maps.get(event.path)
        if tally is not None:
            tally.done += 1

    def _items_ran(self, event: ItemsRan) -> None:
        tally = self.maps.get(event.path)
        if tally is not None:
            tally.done += event.items

    def _item_failed(self, event: ItemFailed) -> None:
        tally = self.maps.get(event.path)
        if tally is not None:
            tally.failed += 1
            tally.done += not event.corrects

    def _map_seen(self, path: str, at_ns: int) -> MapTally:
        around, above = path, None
        while above is None and "/" in around:
            around = around.rpartition("/")[0]
            above = self.maps.get(around)
        below = around if above is not None else self.name
        tally = MapTally(path.removeprefix(f"{below}/") if path != below else "items", above, at_ns)
        if above is not None:
            above.below.append(tally)
        self.maps[path] = tally
        return tally


TAKES: dict[type, Callable[[RunTally, Any], None]] = {
    NodeStarted: RunTally._node_started,
    NodeFinished: RunTally._node_finished,
    NodeFailed: RunTally._node_failed,
    NodeCancelled: RunTally._node_failed,
    MapStarted: RunTally._map_started,
    MapFinished: RunTally._map_finished,
    ItemFinished: RunTally._item_finished,
    ItemFailed: RunTally._item_failed,
    ItemsRan: RunTally._items_ran,
    NodeRan: RunTally._node_ran,
}
"""What a tally does with an event, by its kind; of the others it takes no notice."""

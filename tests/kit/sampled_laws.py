"""What must be so of a run whose tracer does without being told of most items: what it is not told is in the sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from hush.core import events
from hush.core.protocols import Wanted, lot
from hush.observability._sampling import Sampling
from kit.span_laws import MAPS, Terse, place_of, spelt_out, told, wrong_counts, wrong_pool, wrong_times, wrong_tree

SOME = Sampling(first=2, slowest=0.2, random=0.3)


class Sampled(Terse):
    """Hears one run as ``RunRecorder`` does, and knows at once what it is told.

    Attributes:
        asked_for: The answers given, by map.
    """

    def __init__(self, sampling: Sampling = SOME) -> None:
        super().__init__(sampling)
        self.sampling = sampling
        self.asked_for: dict[Any, list[Wanted]] = {}

    def wants(self, path: str, items: tuple[int, ...], /) -> Wanted:
        found = self.tree.wants(path, items)
        self.asked_for.setdefault((path, items), []).append(found)
        return found


def complaints_of_sums(watch: Sampled, *, choice: bool = True) -> Iterator[str]:
    """What is wrong; without ``choice`` whatever items it is told of."""
    if not watch.events:
        return  # it was cancelled before it began
    if type(watch.events[-1]) is not events.RunFinished:
        yield f"the last event is {watch.events[-1]}"
        return
    yield from wrong_tree(watch.spans)
    yield from wrong_times(watch.spans)
    yield from wrong_counts(watch)
    yield from wrong_pool(watch)
    yield from _wrong_maps(watch)
    yield from _wrong_calls(watch)
    if choice:
        yield from _wrong_choice(watch)


def _wrong_maps(watch: Sampled) -> Iterator[str]:
    """Each item has ended once: by itself or in a sum."""
    ended: Counter[Any] = Counter()
    by_itself: set[Any] = set()
    summed = 0
    every = [*spelt_out(watch.events)]
    for event in every:
        if type(event) is events.ItemFailed and event.corrects:
            pass
        elif type(event) is events.ItemFinished or type(event) is events.ItemFailed:
            ended[event.path, event.outer] += 1
            if (event.path, event.outer, event.item) in by_itself:
                yield f"{event} is told of twice"
            by_itself.add((event.path, event.outer, event.item))
        elif type(event) is events.ItemsRan:
            if min(event.items, event.calls, event.took_ns) < 0 or not (event.items or event.calls):
                yield f"{event} sums nothing up"
            if event.slowest_ns > event.took_ns:
                yield f"{event}: the slowest took longer than all"
            ended[place_of(event)] += event.items
            summed += event.items
        elif type(event) is events.MapFinished and ended[place_of(event)] != event.done:
            yield f"{event}, but {ended[place_of(event)]} items were told of"
        elif type(event) is events.MapFinished:
            del ended[place_of(event)]  # in another round it begins anew
            by_itself = {each for each in by_itself if each[:2] != place_of(event)}
    record = watch.tree.record()
    ends = [event for event in every if type(event) is events.ItemFinished or type(event) is events.ItemFailed]
    told_of = sum(type(event) is events.ItemFinished or not event.corrects for event in ends)
    if record.items != told_of + summed:
        yield f"{record.items} items in the record, {told_of} + {summed} told of"
    for span in watch.spans:
        if span.kind in MAPS and span.done is not None and span.left_out and span.left_out > span.done:
            yield f"{told(span)} has {span.done} items, and {span.left_out} left out"


def _wrong_calls(watch: Sampled) -> Iterator[str]:
    """Each call is in the totals, and in no other number."""
    calls: Counter[str] = Counter()
    slowest: Counter[str] = Counter()
    for event in watch.events:
        if type(event) in (events.NodeRan, events.NodeStarted, events.NodeSkipped):
            calls[event.path] += 1
        elif type(event) is events.ItemsRan:
            calls[event.node] += event.calls
            slowest[event.node] = max(slowest[event.node], event.slowest_ns)
    totals = {one.path: one for one in watch.tree.record().totals}
    for path, one in totals.items():
        if one.calls != calls[path] and one.kind not in MAPS:
            yield f"{one.calls} calls of {path} in the totals, {calls[path]} told of"
        if one.slowest_s * 1e9 < slowest[path] - 1 or one.seconds + 1e-9 < one.slowest_s:
            yield f"{one}: slowest {slowest[path]} ns"


def _wrong_choice(watch: Sampled) -> Iterator[str]:
    """What was drawn is kept, if it was told of after a sum; and nothing in a sum was wanted when that was asked."""
    seeds = {place: {one.seed for one in wanted if one.seed} for place, wanted in watch.asked_for.items()}
    kept = {(span.path, span.items) for span in watch.spans if span.kind == "item"}
    shares = {place: wanted[-1].share for place, wanted in watch.asked_for.items()}
    for event in spelt_out(watch.events):
        if type(event) is events.ItemFinished and event.item is not None:
            place = event.path, event.outer
            (seed,) = seeds.get(place) or {0}
            if seed and lot(seed, event.item) < shares[place] and (event.path, (*event.outer, event.item)) not in kept:
                yield f"{event} was drawn, and is not kept"
        elif type(event) is events.ItemsRan:
            slowest = max([one.slow_ns for one in watch.asked_for[place_of(event)]])
            if event.slowest_ns > slowest:
                yield f"{event}: it was asked for what took longer than {slowest}"

"""What must be so of a run whose tracer does without being told of most items: what it is not told is in the sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from hush.core import events
from hush.core.protocols import NONE_SLOW, Wanted, lot
from hush.observability._sampling import Sampling, seed_of, wanted
from kit.span_laws import MAPS, Terse, place_of, spelt_out, told, wrong_counts, wrong_pool, wrong_times, wrong_tree

SOME = Sampling(first=2, slowest=0.2, random=0.3)


class Sampled(Terse):
    """Hears one run as ``RunRecorder`` does, and knows at once what it is told.

    Attributes:
        asked_for: The last answer given of each map.
    """

    def __init__(self, sampling: Sampling = SOME) -> None:
        super().__init__(sampling)
        self.sampling = sampling
        self.asked_for: dict[Any, Wanted] = {}

    def wants(self, path: str, items: tuple[int, ...], /) -> Wanted:
        begun = [event for event in self.events if type(event) is events.MapStarted]
        started = [event for event in begun if place_of(event) == (path, items)]
        seed = seed_of(self.tree.trace, path, items)
        found = self.asked_for[path, items] = wanted(self.sampling, started[-1].total, seed, NONE_SLOW)
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
    """What was drawn is kept, and of the others the slowest: none in a sum was slower than one of these.

    Where that can be told: not of a map in a loop, of whose rounds the spans look alike, nor of one in an item that is
    left out with all that is in it.
    """
    times = Counter(place_of(event) for event in watch.events if type(event) is events.MapStarted)
    whole = {span.items for span in watch.spans if span.kind == "item"}
    told_apart = {place for place, count in times.items() if count == 1 and (not place[1] or place[1] in whole)}
    kept = {(span.path, span.items): span for span in watch.spans if span.kind == "item"}
    ended: dict[Any, list[int]] = {}
    summed: dict[Any, int] = {}
    for event in spelt_out(watch.events):
        if type(event) is events.MapStarted:
            ended[place_of(event)], summed[place_of(event)] = [], 0
        elif type(event) is events.ItemsRan:
            summed[place_of(event)] = max(summed[place_of(event)], event.slowest_ns)
        elif type(event) is events.ItemFinished or type(event) is events.ItemFailed:
            ended[event.path, event.outer].append(event.item)
            place, (path, items) = (event.path, event.outer), place_of(event)
            asked = watch.asked_for.get(place)
            drawn = asked is not None and lot(asked.seed, event.item) < asked.share
            drawn = drawn and place in told_apart
            if type(event) is events.ItemFinished and drawn and (path, items) not in kept:
                yield f"{event} was drawn, and is not kept"
        elif type(event) is events.MapFinished and summed.get(place_of(event)) and place_of(event) in told_apart:
            place, asked = place_of(event), watch.asked_for[place_of(event)]
            slow = [
                span.ended_ns - span.started_ns
                for index in ended[place][watch.sampling.first :]
                if (span := kept.get((place[0], (*place[1], index)))) is not None
                and lot(asked.seed, index) >= asked.share
                and span.status == "ok"
                and span.ended_ns is not None
            ]
            most = int(watch.sampling.slowest * event.done)
            if slow and len(slow) >= most > 0 and summed[place] > sorted(slow)[-most]:
                yield f"{event}: in a sum was one of {summed[place]} ns, which is not among {slow}"

"""What must be so of the spans of each run, whatever it is: they are compared with the run's own events."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from re import sub
from typing import Any

from hush.core import events
from hush.observability._bounds import PREVIEW
from hush.observability._condense import Condenser
from hush.observability._gather import Gatherer
from hush.observability._sampling import Sampling
from hush.observability._span import Span
from hush.observability._tree import Tree
from hush.testing import VirtualLoop
from hush.testing._run import play

ALL = Sampling(first=10**9)
FOR_EVER_NS = 2**63
CONTAINERS = ("graph", "map", "for", "while")
MAPS = ("map", "for")


class Watch:
    """Hears one run: its events, and the tree that is made of them.

    Attributes:
        asked: Whether the run was asked to end before it had.
    """

    sees_calls = True
    asked = False

    def __init__(self, sampling: Sampling = ALL) -> None:
        self.events: list[Any] = []
        self.tree = Tree(sampling)
        self._condense = Condenser(PREVIEW)

    def emit(self, event: Any, /) -> None:
        self.events.append(event)
        condensed = self._condense(event)
        if condensed is not None:
            self.tree.feed(condensed)

    @property
    def spans(self) -> list[Span]:
        return self.tree.ended


class Terse(Watch):
    """Takes one event for a call that nothing came between."""

    terse = True

    under_way: Callable[[int, int], Any] | None = None

    def attach(self, under_way: Callable[[int, int], Any]) -> None:
        self.under_way = under_way
        self.told_of_both: list[Any] = []

    def emit(self, event: Any, /) -> None:
        if type(event) is events.NodeStarted and self.under_way is not None:  # else another one wants all events
            asked = self.under_way(FOR_EVER_NS, 10**6)
            self.told_of_both += [event for each in asked if each.number == event.number]
        super().emit(event)


def gathered(watch: Watch) -> Watch:
    """What a recorder makes of the same events, which holds those of plain calls back until there is one for all."""
    found = Watch()
    gather, condense = Gatherer(found.tree), Condenser(PREVIEW)
    for event in watch.events:
        condensed = condense(event)
        if condensed is not None:
            gather.feed(condensed)
    found.events, found.asked = watch.events, watch.asked
    return found


def watched(engine: Any, inputs: Any, seed: object, cancel_at: int | None = None, *, terse: bool = False) -> Watch:
    """One run in virtual time, cancelled when the given pass begins."""
    watch = Terse() if terse else Watch()
    loop = VirtualLoop(seed)
    main = loop.create_task(engine.run(inputs=inputs, tracer=watch, request_id="r"), name="main")
    if cancel_at is not None:
        loop.at_pass(cancel_at, lambda: setattr(watch, "asked", main.cancel()))
    play(loop, main)
    return watch


def spelt_out(told: list[Any]) -> Iterator[Any]:
    """Events as they are told to whoever does not take one for a call and its item."""
    for event in told:
        yield event
        if type(event) is events.NodeRan and event.ends_item:
            yield events.ItemFinished(event.run, event.path.rpartition("/")[0], event.item, event.at_ns, event.outer)


def place_of(event: Any) -> tuple[str, tuple[int, ...]]:
    return event.path, event.outer if event.item is None else (*event.outer, event.item)


def complaints(watch: Watch) -> Iterator[str]:
    """What is wrong."""
    if not watch.events:
        return  # it was cancelled before it began
    spans = watch.spans
    if type(watch.events[-1]) is not events.RunFinished:
        yield f"the last event is {watch.events[-1]}"
        return
    yield from wrong_tree(spans)
    yield from wrong_times(spans)
    yield from wrong_counts(watch)
    yield from wrong_totals(watch)
    if isinstance(watch, Terse):
        yield from wrong_pool(watch)
    if not isinstance(watch, Terse):
        yield from wrong_nodes(watch)
        yield from wrong_attempts(watch)
    yield from wrong_items(watch)
    yield from wrong_ends(watch)


def wrong_ends(watch: Watch) -> Iterator[str]:
    """Each start has one end that is told, besides those of graphs and loops that end with what holds them."""
    under_way: Counter[Any] = Counter()
    for event in watch.events:
        place = place_of(event)
        if type(event) is events.NodeStarted:
            under_way[place] += 1
        elif type(event) in _TOLD_ENDS:
            under_way[place] -= 1
            if under_way[place] < 0:
                yield f"{event} ends what has not begun"
    kinds = watch.events[0].kinds or {}
    for (path, items), count in under_way.items():
        if count and kinds.get(path) not in ("graph", "while"):
            yield f"{kinds.get(path)} {path}{list(items)} was begun {count} times more than it has ended"


_TOLD_ENDS = (events.NodeFinished, events.NodeFailed, events.NodeCancelled)


def wrong_tree(spans: list[Span]) -> Iterator[str]:
    by_id = {span.id: span for span in spans}
    if len(by_id) != len(spans):
        yield "an id is there twice"
    if len({span.trace for span in spans}) != 1:
        yield "several traces"
    if [span.kind for span in spans].count("run") != 1 or spans[-1].kind != "run":
        yield "there is not one span of the run, as the last"
        return
    ended: set[str | None] = set()
    for span in spans:
        ended.add(span.id)
        if span.kind == "run":
            if span.parent is not None:
                yield f"the run is in {span.parent}"
            continue
        parent = by_id.get(span.parent or "")
        if parent is None:
            yield f"{told(span)} is in nothing"
            continue
        if parent.id in ended:
            yield f"{told(span)} comes after {told(parent)}"
        if not _fits(span, parent):
            yield f"{told(span)} is in {told(parent)}"


def _fits(span: Span, parent: Span) -> bool:
    same = (parent.path, parent.items) == (span.path, span.items)
    if span.kind == "item":
        return parent.kind in MAPS and (parent.path, parent.items) == (span.path, span.items[:-1])
    if span.kind == "round":
        return parent.kind == "while" and same
    if span.kind == "attempt":
        return parent.kind not in (*CONTAINERS, "run", "item", "round", "attempt") and same
    above = span.path.rpartition("/")[0]
    if parent.kind == "run":
        return not above or parent.path == above
    return parent.kind in ("graph", "item", "round") and (parent.path, parent.items) == (above, span.items)


def wrong_times(spans: list[Span]) -> Iterator[str]:
    by_id = {span.id: span for span in spans}
    for span in spans:
        if span.ended_ns is None or span.status == "running":
            yield f"{told(span)} has not ended"
            continue
        order = [span.ready_ns, span.started_ns, span.called_ns, span.first_ns, span.ended_ns]
        known = [each for each in order if each is not None]
        if known != sorted(known):
            yield f"{told(span)}: ready, started, called, first, ended at {order}"
        for wait in span.waits:
            order = [span.started_ns, wait.queued_ns, wait.let_in_ns, wait.admitted_ns, wait.released_ns]
            known = [each for each in order if each is not None]
            if known != sorted(known) or wait.queued_ns > span.ended_ns:
                yield f"{told(span)}: {wait}"
        parent = by_id.get(span.parent or "")
        if parent is not None:
            if span.started_ns < parent.started_ns or span.ended_ns > (parent.ended_ns or 0):
                yield f"{told(span)} is not within {told(parent)}: {_range(span)}, {_range(parent)}"
            if span.ready_ns is not None and span.ready_ns < parent.started_ns:
                yield f"{told(span)} was ready before {told(parent)} began"


def _range(span: Span) -> str:
    return f"{span.started_ns % 10**12}-{(span.ended_ns or 0) % 10**12}"


def wrong_counts(watch: Watch) -> Iterator[str]:
    tree, record = watch.tree, watch.tree.record()
    counted = tree.produced, tree.left_out
    if tree.produced != len(watch.spans) + tree.left_out or (record.produced, record.left_out) != counted:
        yield f"{tree.produced} produced, {len(watch.spans)} kept, {tree.left_out} left out; {record}"
    last = watch.events[-1]
    if not record.status == last.status == watch.spans[-1].status:
        yield f"the run is {record.status}, not {last.status}"
    if tree._nodes or tree._rounds or tree._told:
        yield f"it holds {tree._nodes}, {tree._items}, {tree._rounds}, {tree._told}"


def wrong_pool(watch: Terse) -> Iterator[str]:
    """No call is under way when the run has ended, and what stood for them is free, once, and holds nothing."""
    if watch.under_way is None:
        return
    yield from (f"{event} was among those of which nobody is told" for event in watch.told_of_both)
    yield from (f"{event} is under way" for event in watch.under_way(FOR_EVER_NS, 10))
    quick: Any = watch.under_way.__self__  # type: ignore[attr-defined]
    if sorted(map(id, quick.free)) != sorted(map(id, quick._all)):
        yield f"of {len(quick._all)} calls at a time {len(quick.free)} are free"
    for begun in quick._all:
        if begun.entered or not begun.frame is begun.inputs is None:
            yield f"one holds {begun.frame}, {begun.inputs}, or was not left: {begun.entered}"
    if quick.lines:
        yield f"{len(quick.lines)} workers have not closed their lines"


def wrong_totals(watch: Watch) -> Iterator[str]:
    """The totals are the sums of the spans, where all are kept."""
    if watch.tree.left_out:
        return
    groups: dict[str, list[Span]] = defaultdict(list)
    for span in watch.spans:
        if span.kind not in ("run", "item", "round", "attempt"):
            groups[span.path].append(span)
    totals = {one.path: one for one in watch.tree.record().totals}
    groups = {path: spans for path, spans in groups.items() if len(spans) > 1}  # of others the span says it all
    if set(totals) != set(groups):
        yield f"totals of {sorted(totals)}, spans of {sorted(groups)}"
        return
    for path, one in totals.items():
        spans = groups[path]
        ran = [span for span in spans if span.status != "skipped"]
        expected = {
            "kind": spans[0].kind,
            "calls": len(spans),
            "skipped": len(spans) - len(ran),
            "failed": sum(span.status in ("failed", "handled") for span in ran),
            "cached": sum(span.cached is not None for span in ran),
            "attempts": sum(span.attempts for span in ran),
            "threaded": sum(span.thread_s is not None for span in ran),
        }
        found = {name: getattr(one, name) for name in expected}
        if found != expected:
            yield f"totals of {path}: {found}, not {expected}"
        seconds = {
            "seconds": sum(span.seconds or 0 for span in ran),
            "slowest_s": max([span.seconds or 0 for span in ran], default=0),
            "ready_s": sum((span.started_ns - span.ready_ns) / 1e9 for span in ran if span.ready_ns is not None),
            "retry_s": sum(span.retry_s for span in ran),
            "thread_s": sum(span.thread_s or 0 for span in ran),
            "joined_s": sum(span.seconds or 0 for span in ran if span.cached == "joined"),
        }
        for name, value in seconds.items():
            if abs(getattr(one, name) - value) > 1e-6:
                yield f"totals of {path}: {name} is {getattr(one, name)}, not {value}"
        waited: Counter[str] = Counter()
        for span in ran:
            for wait in span.waits:
                end_ns = wait.admitted_ns if wait.admitted_ns is not None else span.ended_ns
                waited[", ".join(wait.limits)] += ((end_ns or 0) - wait.queued_ns) / 1e9  # type: ignore[assignment]
        if set(waited) != set(one.waited_s) or any(abs(waited[name] - one.waited_s[name]) > 1e-6 for name in waited):
            yield f"totals of {path}: waited {one.waited_s}, not {waited}"
        if not 0 <= one.called_s <= one.seconds + 1e-9:
            yield f"totals of {path}: called for {one.called_s} of {one.seconds}"
        threads_s = one.thread_s, one.thread_wait_s
        if min(threads_s) < 0 or one.thread_s > one.called_s + 1e-9 or sum(threads_s) > one.seconds + 1e-9:
            yield f"totals of {path}: {one.thread_s} in threads and {one.thread_wait_s} besides, of {one.seconds}"


def wrong_nodes(watch: Watch) -> Iterator[str]:
    """Each start of a node has a span, with the end that was told of it, and each skipped node.

    Of a graph or loop whose end is not told, it is that of what failed in it, unhandled.
    """
    expected: dict[Any, list[str]] = defaultdict(list)
    kinds = next(iter(watch.events)).kinds or {}
    for event in watch.events:
        kind = type(event)
        ends = expected[place_of(event)] if kind in _ENDS else []
        if kind is events.NodeStarted:
            ends.append("cancelled")
        elif kind is events.NodeSkipped:
            ends.append("skipped")
        elif kind is events.NodeFailed:
            ends[-1] = "handled" if event.handled else "failed"
            path, items = place_of(event)
            path = path.rpartition("/")[0]
            while not event.handled and kinds.get(path) in ("graph", "while") and expected[path, items]:
                expected[path, items][-1] = "failed"
                path = path.rpartition("/")[0]
        elif kind is events.NodeFinished:
            ends[-1] = "ok"
    found: dict[Any, list[str]] = defaultdict(list)
    for span in watch.spans:
        if span.kind not in ("run", "item", "round", "attempt"):
            found[span.path, span.items].append("ok" if span.status == "partial" else span.status)
            if span.status == "partial" and not span.failed:
                yield f"{told(span)} is partial"
    for place in {*expected, *found}:
        if sorted(expected[place]) != sorted(found[place]):
            yield f"spans of {place}: {found[place]}, not {expected[place]}"


_ENDS = (events.NodeStarted, events.NodeSkipped, events.NodeFailed, events.NodeFinished)


def wrong_items(watch: Watch) -> Iterator[str]:
    ends: dict[Any, list[str]] = defaultdict(list)
    rounds: Counter[Any] = Counter()
    for event in spelt_out(watch.events):
        if type(event) is events.ItemFinished or type(event) is events.ItemFailed:
            ends[place_of(event)].append("ok" if type(event) is events.ItemFinished else "failed")
        elif type(event) is events.RoundFinished:
            rounds[place_of(event)] += 1
    found: dict[Any, list[str]] = defaultdict(list)
    by_parent: dict[Any, list[Span]] = defaultdict(list)
    rounds_found: Counter[Any] = Counter()
    for span in watch.spans:
        by_parent[span.parent].append(span)
        if span.kind == "item" and span.status != "cancelled":
            found[span.path, span.items].append(span.status)
        if span.kind == "round" and span.status == "ok":
            rounds_found[span.path, span.items] += 1
    for place in {*ends, *found}:
        if sorted(ends[place]) != sorted(found[place]):
            yield f"items at {place}: {found[place]}, not {ends[place]}"
    if +rounds != +rounds_found:
        yield f"rounds: {rounds_found}, not {rounds}"
    for span in watch.spans:
        if span.kind in MAPS and span.done is not None and not span.left_out:
            items = [each for each in by_parent[span.id] if each.kind == "item"]
            done = {item.items for item in items if item.status in ("ok", "failed")}  # one that is corrected has two
            failed = {item.items for item in items if item.status == "failed"}
            if (span.done, span.failed) != (len(done), len(failed)):
                yield f"{told(span)} has {span.done} done and {span.failed} failed, of {len(done)} and {len(failed)}"
        if span.kind == "while":
            numbers = [each.round for each in by_parent[span.id] if each.kind == "round"]
            if numbers != [*range(len(numbers))]:
                yield f"{told(span)} has the rounds {numbers}"


def wrong_attempts(watch: Watch) -> Iterator[str]:
    """Of nodes that were started once in one place: their attempts, limits, and where their outputs came from."""
    starts: Counter[Any] = Counter(place_of(event) for event in watch.events if type(event) is events.NodeStarted)
    heard: dict[Any, list[Any]] = defaultdict(list)
    for event in watch.events:
        if type(event) in _HEARD:
            heard[place_of(event)].append(event)
    tries: dict[Any, list[Span]] = defaultdict(list)
    for span in watch.spans:
        if span.kind == "attempt":
            tries[span.parent].append(span)
    for span in watch.spans:
        place = (span.path, span.items)
        if span.kind in ("run", "item", "round", "attempt") or span.status == "skipped" or starts[place] != 1:
            continue
        own = heard[place]
        retried = [event for event in own if type(event) is events.NodeRetrying]
        called = {event.attempt for event in own if type(event) in _HEARD[:3]}
        attempts = max([1, *called, *(event.attempt for event in retried)])
        if span.attempts != attempts and not (span.cached and not called):
            yield f"{told(span)} has {span.attempts} attempts, not {attempts}"
        if abs(span.retry_s - sum(event.wait_s for event in retried)) > 1e-9:
            yield f"{told(span)} waited {span.retry_s} s"
        numbers = [each.attempt for each in tries[span.id]]
        if len(numbers) == 1 or numbers != sorted(set(numbers)):  # type: ignore[type-var]
            yield f"{told(span)} has spans of the attempts {numbers}"
        if (
            retried
            and len(numbers) > 1
            and [each.status for each in tries[span.id][:-1]] != ["failed"] * (len(numbers) - 1)
        ):
            yield f"{told(span)}: attempts {[each.status for each in tries[span.id]]}"
        cached = ["joined" if event.joined else "hit" for event in own if type(event) is events.NodeCached]
        if span.cached != (cached[-1] if cached else None):
            yield f"{told(span)} is cached {span.cached}, not {cached}"
        admitted = [(event.limits, event.attempt) for event in own if type(event) is events.NodeAdmitted]
        found = [(wait.limits, wait.attempt) for wait in span.waits if wait.admitted_ns is not None]
        if admitted != found:
            yield f"{told(span)} was admitted {found}, not {admitted}"
        if span.status in ("ok", "handled", "failed"):
            released = sum(type(event) is events.NodeReleased for event in own)
            if released != sum(wait.released_ns is not None for wait in span.waits):
                yield f"{told(span)} released {span.waits}, not {released}"


_HEARD = (
    *(events.NodeCalled, events.NodeAdmitted, events.NodeQueued),
    *(events.NodeRetrying, events.NodeCached, events.NodeReleased),
)


def told(span: Span) -> str:
    return f"{span.kind} {span.path}{list(span.items)} ({span.status})"


def shape_of(watch: Watch) -> Counter[str]:
    """The tree without ids and times: each span with the way to it."""
    by_id = {span.id: span for span in watch.spans}

    def own(span: Span) -> str:
        failure = None if span.failure is None else (span.failure.type, span.failure.message)
        waits = [(wait.limits, wait.attempt, wait.admitted_ns is None) for wait in span.waits]
        more = (span.name, span.key, span.round, span.attempt, span.attempts, span.cached, span.tags, failure, waits)
        # Nobody is told what a branch reads, which is all that went before; and a map's numbers are times.
        given = None if span.kind == "branch" else span.inputs
        given = sub(r"'latency_.*?[,}]|play [0-9]+", "", f"{given} {span.outputs}")
        return f"{told(span)} {more} {span.done} {span.failed} {span.left_out} {span.total} {span.retry_s:.6f} {given}"

    # A terse tracer hears of readiness only with a start, so not of a round or item in which nothing has started.
    parents = {span.parent for span in watch.spans}
    return Counter(
        f"{own(span)} in {told(by_id[span.parent]) if span.parent else ''}"
        for span in watch.spans
        if not (span.kind in ("item", "round") and span.status == "cancelled" and span.id not in parents)
    )


def differences(full: Watch, terse: Watch) -> Iterator[str]:
    """What a run that was told of tersely shows and another does not."""
    mine, others = shape_of(full), shape_of(terse)
    for name, left in (("only in full", mine - others), ("only tersely", others - mine)):
        for shape in list(left)[:5]:
            yield f"{name}: {shape}"

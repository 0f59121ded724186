"""``Growing``: the spans of a run that are under way: where they are, and how they end."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hush.observability._annotations import taken
from hush.observability._keeping import Keeping
from hush.observability._sampling import ItemSampler, Sampling, seed_of
from hush.observability._span import Span, Status, Totals
from hush.observability._thinning import spare
from hush.observability._totals import Sums, records_of
from hush.observability._under_way import SpansOfItem, UnderWay, inside_out

Place = tuple[str, tuple[int, ...]]


class Growing(Keeping):
    """What is under way in one run."""

    def __init__(self, sampling: Sampling) -> None:
        super().__init__(sampling)
        self.run: UnderWay | None = None
        self._nodes: dict[Place, UnderWay] = {}
        self._rounds: dict[Place, UnderWay] = {}
        self._sums: dict[str, Sums] = {}
        self._once: dict[str, tuple[int | None, int, int]] = {}  # the times of the only call of a node, until now

    # --- sums ----------------------------------------------------------------------------------------------
    def _sums_of(self, place: str, kind: str, path: str) -> Sums:
        """The sums of what is called more than once, or otherwise than quickly."""
        found = self._sums.get(place)
        if found is None:
            found = self._sums[place] = Sums(path, kind)
            once = self._once.pop(place, None)
            if once is not None:
                found.add_quick(*once)
        return found

    def _totals(self) -> tuple[Totals, ...]:
        """The sums of each node; only of those of which no one span says it all, if every span there was is kept."""
        every = bool(self.dropped or self.left_out)
        if every:
            for path in list(self._once):
                self._sums_of(path, self._place(path).kind, path)
        return records_of(self._sums, every=every)

    # --- what has ended ------------------------------------------------------------------------------------
    def take_ended(self, untold_ns: int) -> list[Span]:
        """The spans that have ended, for whoever takes them; where it is crowded, without what can be spared.

        What took less than ``untold_ns`` has not been told of as being under way.
        """
        ended, self.ended = self.ended, []
        out = spare(ended, self.crowding.level(len(ended)), self.hung, untold_ns)
        self.hung.clear()
        if not out:
            return ended
        self.left_out += len(out)
        less = Counter(span.parent for span in out)
        spared = {span.id for span in out}
        kept = [_with_less(span, less.pop(span.id, 0)) for span in ended if span.id not in spared]
        for span in out:
            number = less.pop(span.parent, 0)
            around = self._around(span.path, span.items, span.started_ns - self._wall_ns) if number else None
            if around is not None and around.id == span.parent:
                around.left_out = (around.left_out or 0) + number
                around.changed = True
        return kept

    # --- where things are ----------------------------------------------------------------------------------
    def _around(self, path: str, items: tuple[int, ...], at_ns: int) -> UnderWay:
        """The span that a node at ``path`` lies in; an item or a round begins with the first that is heard of it."""
        assert self.run is not None
        above = self._place(path).above
        if not above:
            return self.run
        if items:
            node = self._nodes.get((above, items[:-1]))
            if node is not None and node.within is not None:
                return self._item_under_way(node, items[-1], at_ns)
        node = self._nodes.get((above, items))
        if node is None:
            return self.run
        if node.kind == "while":
            inner = self._rounds.get((above, items))
            if inner is None:
                inner = self._rounds[above, items] = self._round_under_way(node, at_ns)
            elif at_ns < inner.started_ns:  # calls are told of when they have ended
                inner.started_ns = at_ns
            return inner
        return node

    def _round_under_way(self, node: UnderWay, at_ns: int) -> UnderWay:
        """The next round of a loop, as a span on its way."""
        if node.sampler is None:
            node.sampler = ItemSampler(self._sampling)
            node.seed = seed_of(self.trace, node.path, node.items)
        found = UnderWay(self._others.of(self._others.next()), node, "round", node.path, node.items, at_ns)
        found.round = node.rounds
        found.name = f"{node.name}, round {node.rounds}"
        # The next to end is known of rounds: one that is kept in any case is shown as it goes on.
        if not node.sampler.begin(self.crowding.level(len(self.ended))):
            found.held = []
        return found

    def _item_under_way(self, node: UnderWay, index: int, at_ns: int) -> UnderWay:
        """An item of a map, as a span on its way."""
        within = node.within
        assert within is not None
        found = within.get(index)
        if isinstance(found, UnderWay):
            if at_ns < found.started_ns:
                found.started_ns = at_ns
            return found
        id_ = self._others.of(self._others.next())
        item = UnderWay(id_, node, "item", node.path, (*node.items, index), at_ns)
        item.name = f"{node.name}[{index}]"
        item.held = []
        for event in found or ():
            item.held.append(self._quick_span(event, id_))
            self.crowding.held += 1
            item.started_ns = min(item.started_ns, event.started_ns if event.ready_ns is None else event.ready_ns)
        within[index] = item
        for event in (found or ()) if self.seen else ():
            if event.number in self.seen:
                self._see(event.number, item)
        return item

    def _find(self, event: Any) -> UnderWay | None:
        item = event.item
        return self._nodes.get((event.path, event.outer if item is None else (*event.outer, item)))

    # --- ends ----------------------------------------------------------------------------------------------
    def _close(self, one: UnderWay, status: Status, at_ns: int) -> None:
        """``one`` has ended, and with it what is still under way in it."""
        if one.inside or one.within:
            for inner in (*inside_out(one), one):
                for index, item in list((inner.within or {}).items()):
                    if not isinstance(item, UnderWay):
                        self._item_under_way(inner, index, at_ns)
            for inner in inside_out(one):
                self._forget(inner)
                inner.failure = inner.sunk
                ended_ns = at_ns
                if inner.cut_ns is not None and inner.held is not None:  # an item that was cancelled with its call
                    ends = [span.ended_ns - self._wall_ns for span in inner.held if span.ended_ns is not None]
                    ended_ns = min(at_ns, max(inner.cut_ns, *ends))
                self._close_alone(inner, "failed" if inner.sunk else "cancelled", ended_ns)
        self._close_alone(one, status, at_ns)

    def _close_alone(self, one: UnderWay, status: Status, at_ns: int) -> None:
        around = one.around
        if around is not None and around.inside is not None:
            around.inside.pop(id(one), None)
        if one.sampler is not None:
            self._let_go(one)
        if one.held is not None:
            self._whole_ended(one, status, at_ns)
            return
        if self.annotated and one.number:
            one.annotations = taken(self.annotated, one.number)
        spans = one.attempt_spans(self.trace, self._others, self._wall_ns, status, at_ns)
        spans.append(one.span(self.trace, self._wall_ns, status, at_ns))
        self.produced += len(spans)
        if one.kind not in ("run", "round"):
            self._sums_of(one.path, one.kind, one.path).add(one, status, at_ns)
        if status in ("failed", "handled"):
            self._err(around)
        if self.seen and one.number in self.seen:
            self._see(one.number, around)
        self._keep(around, spans)

    def _whole_ended(self, one: UnderWay, status: Status, at_ns: int) -> None:
        """``one``, an item or a round, has ended, and with it all that was held back in it."""
        node, number = one.around, one.items[-1] if one.kind == "item" else one.round
        assert node is not None
        assert number is not None
        if one.called_ns is not None:  # an item that ran in another process, and is itself the call
            place = f"{one.path}\0item"  # after its map, before what is in that
            self._sums_of(place, one.kind, one.path).add(one, status, at_ns)
        badly = one.erred or status in ("failed", "handled")
        if badly:
            self._err(node)
        surely = badly or one.seen or status == "cancelled"  # the last are few: those that were in flight
        spans = self._held_in(one, pared=surely and not one.seen)  # somebody's spans may hang under any of these
        spans.append(one.span(self.trace, self._wall_ns, status, at_ns))
        self.produced += 1
        self._choose(node, SpansOfItem(spans), number, at_ns - one.started_ns, surely=surely)

    def _forget(self, one: UnderWay) -> None:
        """``one`` is no longer found by its place."""
        if one.kind == "item":
            if one.around is not None and one.around.within is not None:
                one.around.within.pop(one.items[-1], None)
            return
        place = (one.path, one.items)
        table = self._rounds if one.kind == "round" else self._nodes
        if table.get(place) is one:
            del table[place]

    def _err(self, one: UnderWay | None) -> None:
        """Something in ``one`` failed: the items and rounds around it are kept, whatever else is left out."""
        while one is not None:
            if one.held is not None:
                if one.erred:
                    return
                one.erred = True
            one = one.around


def _with_less(span: Span, number: int) -> Span:
    """``span``, in which so many more are left out."""
    return span._replace(left_out=(span.left_out or 0) + number) if number else span

"""``Growing``: the spans of a run that are under way: where they are, how they end, and what becomes of them then."""

from __future__ import annotations

from typing import Any

from hush.core.protocols import lot
from hush.observability._ids import NO_IDS
from hush.observability._nodes import Node, nodes_of
from hush.observability._sampling import Sampling
from hush.observability._span import USUAL, Span, Status, Totals
from hush.observability._totals import Sums, records_of
from hush.observability._under_way import QuickItem, SpansOfItem, UnderWay, Whole, inside_out

Place = tuple[str, tuple[int, ...]]

_new: Any = tuple.__new__


class Growing:
    """What is under way in one run.

    Attributes:
        ended: Spans that have ended and are kept; whoever takes them empties it.
        gone: Ids of spans that were told as being under way, and are left out.
        seen: The numbers of nodes under which somebody else hangs spans, noted in whatever thread; see ``Ids``.
        produced: How many spans have ended, ``left_out`` of which were left out.
    """

    def __init__(self, sampling: Sampling) -> None:
        self.ended: list[Span] = []
        self.gone: list[tuple[str, str]] = []
        self.produced = self.left_out = self.dropped = 0
        self.seen: set[int] = set()
        self.trace = ""
        self.run: UnderWay | None = None
        self._sampling = sampling
        self._ids = self._others = NO_IDS
        self._wall_ns = 0  # what makes the run's time one since the epoch
        self._kinds: Any = {}
        self._places: dict[str, Node] = {}  # shared by the runs of a graph
        self._nodes: dict[Place, UnderWay] = {}
        self._rounds: dict[Place, UnderWay] = {}
        self._told: set[str] = set()  # ids of spans in items that were told as being under way
        self._sums: dict[str, Sums] = {}
        self._once: dict[str, tuple[int | None, int, int]] = {}  # the times of the only call of a node, until now

    def _begin(self, kinds: Any) -> None:
        """The run begins, and its nodes are of these kinds."""
        self._kinds = kinds
        if kinds:
            self._places = nodes_of(kinds)

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

    # --- where things are ----------------------------------------------------------------------------------
    def _place(self, path: str) -> Node:
        found = self._places.get(path)
        if found is None:
            found = self._places[path] = Node(path, self._kinds.get(path, "node"))
        return found

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
                number = self._others.next()
                inner = self._rounds[above, items] = UnderWay(
                    self._others.of(number), node, "round", above, items, at_ns
                )
                inner.round = node.rounds
                inner.name = f"{node.name}, round {node.rounds}"
            elif at_ns < inner.started_ns:  # calls are told of when they have ended
                inner.started_ns = at_ns
            return inner
        return node

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
            item.started_ns = min(item.started_ns, event.started_ns if event.ready_ns is None else event.ready_ns)
        within[index] = item
        return item

    def _quick_span(self, told: tuple[Any, ...], around: str) -> Span:
        """The span of a call, by the fields of its ``NodeRan``."""
        _, path, item, at_ns, outer, ready_ns, started_ns, inputs, outputs, number, _ = told
        node, wall_ns = self._places.get(path) or self._place(path), self._wall_ns
        started_wall_ns = started_ns + wall_ns
        # By position, past a constructor that takes names: this is most of what a small node costs.
        own = (
            self.trace,
            self._ids.of(number or self._ids.next()),
            around,
            node.kind,
            node.name,
            path,
            outer if item is None else (*outer, item),
            "ok",
            started_wall_ns,
            at_ns + wall_ns,
            None if ready_ns is None else ready_ns + wall_ns,
            started_wall_ns,
            inputs,
            outputs,
        )
        return _new(Span, own + USUAL)  # type: ignore[no-any-return]

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
        spans = one.attempt_spans(self.trace, self._others, self._wall_ns, status, at_ns)
        if one.sampler is not None:
            kept, out = one.sampler.rest()
            for each in kept:
                self._keep(around, self._spans_of(each))
            self._leave_out(one, out)
        spans.append(one.span(self.trace, self._wall_ns, status, at_ns))
        self.produced += len(spans)
        failed = status in ("failed", "handled")
        if one.kind not in ("run", "item", "round") or (one.kind == "item" and one.called_ns is not None):
            place = one.path if one.kind != "item" else f"{one.path}\0item"  # after its map, before what is in that
            self._sums_of(place, one.kind, one.path).add(one, status, at_ns)
        if self.seen and one.number in self.seen:
            self._see(one.number, around)
        if one.kind != "item":
            if failed:
                self._err(around)
            self._keep(around, spans)
            return
        node = around
        assert one.held is not None
        assert node is not None
        assert node.sampler is not None
        whole = SpansOfItem([*one.held, *spans])
        surely = failed or one.erred or one.seen or status == "cancelled"  # the last are few: those in flight
        share = lot(node.seed, one.items[-1]) / 2**32
        if failed or one.erred:
            self._err(node)
        self._choose(node, whole, share, at_ns - one.started_ns, surely=surely)

    def _quick_item_ended(self, one: QuickItem) -> None:
        """An item of quick calls has ended."""
        self.produced += 1
        seen = [event.number for event in one.ran if event.number in self.seen] if self.seen else ()
        for number in seen:
            self._see(number, one.map)
        self._choose(one.map, one, lot(one.map.seed, one.item) / 2**32, one.at_ns - one.began_ns, surely=bool(seen))

    def _choose(self, node: UnderWay, whole: Whole, share: float, took_ns: int, *, surely: bool = False) -> None:
        """An item of the map ``node`` has ended: keep it, leave it out, or see later."""
        assert node.sampler is not None
        kept, out = node.sampler.choose(whole, share, failed=surely, took_ns=took_ns)
        if kept:
            self._keep(node, self._spans_of(whole))
        if out:
            self._leave_out(node, out)

    def _spans_of(self, whole: Whole) -> list[Span]:
        if isinstance(whole, SpansOfItem):
            return whole.spans
        node, id_, wall_ns = whole.map, self._others.of(whole.number), self._wall_ns
        spans = [self._quick_span(event, id_) for event in whole.ran]
        spans.append(
            Span(
                trace=self.trace,
                id=id_,
                parent=node.id,
                kind="item",
                name=f"{node.name}[{whole.item}]",
                path=node.path,
                items=(*node.items, whole.item),
                status="ok",
                started_ns=whole.began_ns + wall_ns,
                ended_ns=whole.at_ns + wall_ns,
                key=whole.key,
            )
        )
        return spans

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

    def _see(self, number: int, around: UnderWay | None) -> None:
        """Spans of somebody else hang under the node with this number: the items around it are kept too."""
        self.seen.discard(number)
        while around is not None:
            around.seen = True
            around = around.around

    def _err(self, one: UnderWay | None) -> None:
        """Something in ``one`` failed: the items around it are kept, whatever else is left out."""
        while one is not None:
            if one.kind == "item":
                if one.erred:
                    return
                one.erred = True
            one = one.around

    def _keep(self, around: UnderWay | None, spans: list[Span]) -> None:
        """Give spans away, or to the item that they lie in."""
        while around is not None:
            if around.held is not None:
                around.held += spans
                return
            around = around.around
        self.ended += spans
        if self._told:
            self._told.difference_update([span.id for span in spans])

    def _leave_out(self, node: UnderWay, items: Any) -> None:
        for whole in items:
            self.left_out += whole.size()
            node.left_out = (node.left_out or 0) + 1
            if self._told and isinstance(whole, SpansOfItem):  # of what nobody was told there are no spans yet
                for span in whole.spans:
                    if span.id in self._told:
                        self._told.discard(span.id)
                        self.gone.append((self.trace, span.id))

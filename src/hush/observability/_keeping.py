"""``Keeping``: what becomes of the spans of a run that have ended: given away, held back, or left out."""

from __future__ import annotations

from typing import Any

from hush.core.protocols import lot
from hush.observability._annotations import taken
from hush.observability._crowding import OVERFULL, Crowding
from hush.observability._ids import NO_IDS
from hush.observability._nodes import Node, nodes_of
from hush.observability._sampling import Sampling
from hush.observability._span import USUAL, Span
from hush.observability._under_way import QuickItem, SpansOfItem, UnderWay, Whole

_new: Any = tuple.__new__


class Keeping:
    """The spans of one run that have ended.

    Of items and rounds it is decided when they end, whole: until then what is in them is held back.

    Attributes:
        ended: Spans that have ended and are kept; whoever takes them empties it.
        gone: Ids of spans that were told as being under way, and are left out.
        produced: How many spans have ended, ``left_out`` of which were left out.
        seen: The numbers of nodes under which somebody else hangs spans, noted in whatever thread; see ``Ids``.
        hung: The ids of such spans that have ended, until ``ended`` is taken.
        annotated: What code has put on the spans of nodes under way, by their numbers, in whatever thread.
        crowding: How much room there is.
    """

    def __init__(self, sampling: Sampling) -> None:
        self.ended: list[Span] = []
        self.gone: list[tuple[str, str]] = []
        self.produced = self.left_out = self.dropped = 0
        self.seen: set[int] = set()
        self.hung: set[str] = set()
        self.annotated: dict[int, Any] = {}
        self.crowding = Crowding()
        self.trace = ""
        self._sampling = sampling
        self._ids = self._others = NO_IDS
        self._wall_ns = 0  # what makes the run's time one since the epoch
        self._kinds: Any = {}
        self._places: dict[str, Node] = {}  # shared by the runs of a graph
        self._told: set[str] = set()  # ids of spans in items and rounds that were told as being under way

    def _begin(self, kinds: Any) -> None:
        """The run begins, and its nodes are of these kinds."""
        self._kinds = kinds
        if kinds:
            self._places = nodes_of(kinds)

    def _place(self, path: str) -> Node:
        found = self._places.get(path)
        if found is None:
            found = self._places[path] = Node(path, self._kinds.get(path, "node"))
        return found

    # --- spans of quick calls ------------------------------------------------------------------------------
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
        span: Span = _new(Span, own + USUAL)
        if self.annotated and number in self.annotated:
            return span._replace(annotations=taken(self.annotated, number))
        return span

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

    # --- items and rounds ----------------------------------------------------------------------------------
    def _quick_item_ended(self, one: QuickItem) -> None:
        """An item of quick calls has ended."""
        self.produced += 1
        seen = [event.number for event in one.ran if event.number in self.seen] if self.seen else ()
        for number in seen:
            self._see(number, one.map)
        self._choose(one.map, one, one.item, one.at_ns - one.began_ns, surely=bool(seen))

    def _see(self, number: int, around: UnderWay | None) -> None:
        """Spans of somebody else hang under the node with this number: the items and rounds around it are kept."""
        self.seen.discard(number)
        self.hung.add(self._ids.of(number))
        while around is not None:
            around.seen = True
            around = around.around

    def _choose(self, node: UnderWay, whole: Whole, number: int, took_ns: int, *, surely: bool = False) -> None:
        """An item or a round of ``node`` has ended: keep it, leave it out, or see later."""
        assert node.sampler is not None
        crowd = self.crowding.level(len(self.ended) + whole.size())
        share = lot(node.seed, number) / 2**32
        kept, out = node.sampler.choose(whole, share, failed=surely, took_ns=took_ns, crowd=crowd)
        if kept:
            self._keep(node, self._spans_of(whole))
            return
        self.crowding.held += whole.size()
        if out:
            self._leave_out(node, out)

    def _let_go(self, node: UnderWay) -> None:
        """``node`` has ended: the slowest of what is in it are kept."""
        assert node.sampler is not None
        kept, out = node.sampler.rest(crowd=self.crowding.level(len(self.ended)))
        for each in kept:
            self.crowding.held -= each.size()
            self._keep(node.around, self._spans_of(each))
        self._leave_out(node, out)

    def _keep(self, around: UnderWay | None, spans: list[Span]) -> None:
        """Give spans away, or to the item or the round that they lie in."""
        while around is not None:
            if around.held is not None:
                around.held += spans
                self.crowding.held += len(spans)
                return
            around = around.around
        self.ended += spans
        if self._told:
            self._told.difference_update([span.id for span in spans])

    def _leave_out(self, node: UnderWay, wholes: Any) -> None:
        for whole in wholes:
            self.crowding.held -= whole.size()
            self.left_out += whole.size()
            node.left_out = (node.left_out or 0) + 1
            if isinstance(whole, SpansOfItem):  # of what nobody was told there are no spans yet
                self._are_gone(whole.spans)
            elif self.annotated:
                for event in whole.ran:
                    self.annotated.pop(event.number, None)

    def _are_gone(self, spans: list[Span]) -> None:
        """Spans are left out."""
        for span in spans if self._told else ():
            if span.id in self._told:
                self._told.discard(span.id)
                self.gone.append((self.trace, span.id))

    def _held_in(self, one: UnderWay, *, pared: bool) -> list[Span]:
        """What was held back in an item or a round that has ended; of one that may be pared, what there is room for."""
        held = one.held
        assert held is not None
        self.crowding.held -= len(held)
        if not pared or self.crowding.level(len(self.ended) + len(held)) < OVERFULL:
            return held
        kept, out = _pared(held)
        if out:
            one.left_out = len(out)
            self.left_out += len(out)
            self._are_gone(out)
        return kept


def _pared(spans: list[Span]) -> tuple[list[Span], list[Span]]:
    """Those of which one wants to know why something failed, with what they lie in; and the others."""
    kept: list[Span] = []
    out: list[Span] = []
    around: set[str | None] = set()
    for span in spans:  # what lies in a span comes before it
        if span.status not in ("ok", "skipped") or span.id in around:
            kept.append(span)
            around.add(span.parent)
        else:
            out.append(span)
    return kept, out

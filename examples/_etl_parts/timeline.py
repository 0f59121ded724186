"""A tracer that keeps what ran when, and draws it as text."""

from __future__ import annotations

from dataclasses import dataclass, field

from hush.core.events import (
    Event,
    ItemFailed,
    ItemFinished,
    NodeFailed,
    NodeFinished,
    NodeStarted,
    RunFinished,
    RunStarted,
)

BAR_WIDTH = 44
LABEL_WIDTH = 18
HEIGHTS = "▁▂▃▄▅▆▇█"


@dataclass(slots=True)
class Span:
    """One node of the run: when it ran, and of a map when its items ended."""

    name: str
    begin_ns: int
    end_ns: int | None = None
    outcome: str = "cancelled"
    items_ns: list[int] = field(default_factory=list)
    failed: int = 0


class Timeline:
    """Pass it as ``tracer=``; afterwards ``lines()`` is the drawing.

    ``emit`` is called for every event, several times for each item of a map, so it keeps only the times.
    """

    def __init__(self) -> None:
        self.spans: dict[str, Span] = {}
        self.begin_ns = 0
        self.end_ns = 0

    def emit(self, event: Event) -> None:
        """Take one event; the engine calls this in the order in which things happen."""
        if isinstance(event, ItemFinished | ItemFailed):
            span = self.spans[event.path]
            span.items_ns.append(event.at_ns)
            span.failed += isinstance(event, ItemFailed)
        elif event.item is not None:
            return  # a node for one item: the map's row tells of them all
        elif isinstance(event, NodeStarted):
            self.spans[event.path] = Span(event.path.partition("/")[2], event.at_ns)
        elif isinstance(event, NodeFinished | NodeFailed):
            span = self.spans[event.path]
            span.end_ns = event.at_ns
            span.outcome = "failed" if isinstance(event, NodeFailed) else ""
        elif isinstance(event, RunStarted):
            self.begin_ns = event.at_ns
        elif isinstance(event, RunFinished):
            self.end_ns = event.at_ns

    def lines(self, *, blocks: bool = True) -> list[str]:
        """The drawing: a row for each node in the order in which they started, and one for the pace of each map."""
        total_s = (self.end_ns - self.begin_ns) / 1e9
        scale = f"{total_s:.1f} s".rjust(BAR_WIDTH - 3)
        drawn = [f"  {'':{LABEL_WIDTH}}0 s{scale}"]
        for span in self.spans.values():
            begin, end = self._cell(span.begin_ns), self._cell(span.end_ns or self.end_ns)
            bar = " " * begin + ("█" if blocks else "#") * max(end - begin, 1)
            seconds = ((span.end_ns or self.end_ns) - span.begin_ns) / 1e9
            row = f"  {span.name:{LABEL_WIDTH}}{bar:{BAR_WIDTH}}{seconds:8.2f} s  {self._note(span)}"
            drawn.append(row.rstrip())
            if span.items_ns and blocks:
                drawn.append(f"  {'   items a second':{LABEL_WIDTH}}{self._pace(span)}")
        return drawn

    def _cell(self, at_ns: int) -> int:
        whole_ns = max(self.end_ns - self.begin_ns, 1)
        return min((at_ns - self.begin_ns) * BAR_WIDTH // whole_ns, BAR_WIDTH - 1)

    def _note(self, span: Span) -> str:
        if not span.items_ns:
            return span.outcome
        items = f"{len(span.items_ns):,} items"
        return f"{items}, {span.failed} failed" if span.failed else items

    def _pace(self, span: Span) -> str:
        """Items that ended, cell by cell, as heights; and the most in a second."""
        counts = [0] * BAR_WIDTH
        for at_ns in span.items_ns:
            counts[self._cell(at_ns)] += 1
        most = max(counts)
        heights = "".join([HEIGHTS[count * (len(HEIGHTS) - 1) // most] if count else " " for count in counts])
        cell_s = (self.end_ns - self.begin_ns) / 1e9 / BAR_WIDTH
        return f"{heights}   up to {most / cell_s:,.0f}"

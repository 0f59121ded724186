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
            span.failed += isinstance(event, ItemFailed)
            if isinstance(event, ItemFinished) or not event.corrects:  # else it has been told of before
                span.items_ns.append(event.at_ns)
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

    def lines(self, *, blocks: bool = True, until: str = "") -> list[str]:
        """The drawing: a row for each node in the order in which they started, and one for the pace of each map.

        Args:
            blocks: Draw with block characters, which not every terminal can show.
            until: Draw no further than the end of this node, for a closer look.
        """
        last = next((span for span in self.spans.values() if span.name == until and span.end_ns), None)
        ruler = Ruler(self.begin_ns, last.end_ns if last and last.end_ns else self.end_ns)
        drawn = [f"  {'':{LABEL_WIDTH}}0 s{f'{ruler.seconds:.1f} s':>{BAR_WIDTH - 3}}"]
        for span in self.spans.values():
            if span.begin_ns >= ruler.end_ns:
                continue
            end_ns = span.end_ns or self.end_ns
            bar = ruler.bar(span.begin_ns, end_ns, "█" if blocks else "#")
            row = f"  {span.name:{LABEL_WIDTH}}{bar:{BAR_WIDTH}}{(end_ns - span.begin_ns) / 1e9:8.2f} s  {_note(span)}"
            drawn.append(row.rstrip())
            if span.items_ns and blocks:
                drawn.append(f"  {'   items a second':{LABEL_WIDTH}}{ruler.pace(span.items_ns)}")
        return drawn


@dataclass(frozen=True, slots=True)
class Ruler:
    """Where a time lies on the drawing."""

    begin_ns: int
    end_ns: int

    @property
    def seconds(self) -> float:
        """What the whole width stands for."""
        return (self.end_ns - self.begin_ns) / 1e9

    def cell(self, at_ns: int) -> int:
        """The column of a time, from 0."""
        return min((at_ns - self.begin_ns) * BAR_WIDTH // max(self.end_ns - self.begin_ns, 1), BAR_WIDTH - 1)

    def bar(self, begin_ns: int, end_ns: int, mark: str) -> str:
        """A bar; the shortest still shows."""
        begin = self.cell(begin_ns)
        return " " * begin + mark * max(self.cell(end_ns) - begin, 1)

    def pace(self, items_ns: list[int]) -> str:
        """How many items ended in each column, as heights; and the most in a second."""
        counts = [0] * BAR_WIDTH
        for at_ns in items_ns:
            counts[self.cell(at_ns)] += 1
        most = max(counts)
        heights = "".join([HEIGHTS[count * (len(HEIGHTS) - 1) // most] if count else " " for count in counts])
        return f"{heights}   up to {most * BAR_WIDTH / self.seconds:,.0f}"


def _note(span: Span) -> str:
    if not span.items_ns:
        return span.outcome
    items = f"{len(span.items_ns):,} items"
    return f"{items}, {span.failed} failed" if span.failed else items

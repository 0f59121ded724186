"""The tree of a run as rows: one for a span, but what repeats itself is folded: ``… 997 more ok``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from hush.cli._safe import shortened
from hush.cli._timeline import Glyphs
from hush.cli._words import counted, duration
from hush.cli._words import name as named
from hush.observability._span import RunRecord, Span

_FAILED, _UNDER_WAY, _CANCELLED, _SLOWEST = 3, 3, 1, 2
"""So many of the items of a map are shown; in a map within it one of each."""

_NODES = 40  # of one graph
_ROWS = 150


class Row(NamedTuple):
    """A line of the tree. ``bar`` is the span that the bar shows, with its attempts, on that of the item around it."""

    guide: str
    name: str
    note: str = ""
    mark: str = ""
    status: str = ""
    seconds: float | None = None
    bar: Span | None = None
    around: Span | None = None
    attempts: tuple[Span, ...] = ()


class Tree:
    """Spans by what they lie in.

    Args:
        run: The run.
        spans: Its spans, in any order; those whose parents are missing are shown at the end.
        until_ns: When what has not ended is taken to end.
        glyphs: What is drawn with.
        everything: Fold nothing.
    """

    def __init__(
        self, run: RunRecord, spans: Iterable[Span], until_ns: int, glyphs: Glyphs, *, everything: bool
    ) -> None:
        self._until_ns = until_ns
        self._glyphs = glyphs
        self._all = everything
        self._below: dict[str, list[Span]] = defaultdict(list)
        self._attempts: dict[str, list[Span]] = defaultdict(list)
        spans = list(spans)
        ids = {span.id for span in spans}
        self._holding = _around_failures(spans)
        self._root: Span | None = None
        self._lost: list[Span] = []
        for span in spans:
            if span.kind == "run" and self._root is None:
                self._root = span
            elif span.kind == "attempt" and span.parent in ids:
                self._attempts[span.parent or ""].append(span)
            elif span.parent in ids and span.parent is not None:
                self._below[span.parent].append(span)
            else:
                self._lost.append(span)
        for each in (*self._below.values(), *self._attempts.values(), self._lost):
            each.sort(key=lambda span: (span.started_ns, span.path, span.items))

    def rows(self) -> Iterator[Row]:
        """The rows, from the top; not more of them than one looks at, unless everything is asked for."""
        for count, row in enumerate(self._rows(), 1):
            if count > _ROWS and not self._all:
                yield Row("", f"{self._glyphs.more} and more: --all shows every span")
                return
            yield row

    def _rows(self) -> Iterator[Row]:
        # A stack and no recursion: graphs nest as deep as users like. Each entry is a row, or a span and where it is.
        todo: list[Row | tuple[Span, str, bool, int]] = []
        if self._root is not None:
            yield self._row(self._root, "")
            todo += self._inside(self._root, "", 0)[::-1]
        while todo:
            top = todo.pop()
            if isinstance(top, Row):
                yield top
                continue
            span, guide, is_last, maps = top
            only = self._only(span)
            yield self._row(span, guide + (self._glyphs.last if is_last else self._glyphs.fork), only)
            below = guide + (" " * len(self._glyphs.line) if is_last else self._glyphs.line)
            if only is None:
                todo += self._inside(span, below, maps)[::-1]
        if self._lost:
            yield Row("", "spans whose parents were dropped", counted(len(self._lost), "span"))
            for span in self._lost if self._all else self._lost[:10]:
                yield self._row(span, "   ")

    def _only(self, span: Span) -> Span | None:
        """The one call in an item or round, with which it shares a row."""
        below = self._below.get(span.id, ())
        if span.kind not in ("item", "round") or len(below) != 1 or span.left_out or self._all:
            return None
        only = below[0]
        return None if self._below.get(only.id) or only.done is not None else only

    # --- what is in a span ------------------------------------------------------------------------------------
    def _inside(self, span: Span, guide: str, maps: int) -> list[Row | tuple[Span, str, bool, int]]:
        below: Sequence[Span] = self._below.get(span.id, ())
        folded: list[str] = []
        if self._all:
            below = sorted([*below, *self._attempts.get(span.id, ())], key=lambda one: one.started_ns)
        elif span.kind in ("map", "for", "while"):
            below, folded = self._folded_items(span, below, maps)
        elif len(below) > _NODES:
            below, folded = self._folded_nodes(below)
        if span.left_out and span.kind in ("graph", "run"):
            folded.append(f"{counted(span.left_out, 'more node')} ok, left out of the trace")
        elif span.left_out and span.kind in ("item", "round"):
            folded.append(f"{counted(span.left_out, 'more span')} in it that ended well, left out of the trace")
        elif span.left_out and self._all:
            folded.append(f"{span.left_out:,} more, left out of the trace")
        found: list[Row | tuple[Span, str, bool, int]] = [
            (one, guide, number == len(below) and not folded, maps + (span.kind == "item"))
            for number, one in enumerate(below, 1)
        ]
        for number, text in enumerate(folded, 1):
            tip = self._glyphs.last if number == len(folded) else self._glyphs.fork
            found.append(Row(guide + tip, f"{self._glyphs.more} {text}", status="folded"))
        return found

    def _folded_items(self, span: Span, below: Sequence[Span], maps: int) -> tuple[list[Span], list[str]]:
        """Of the items, or rounds, those that are worth a look, in their order, and how many others there are."""
        what = "round" if span.kind == "while" else "item"
        failed = [one for one in below if one.status in ("failed", "handled")]
        unfinished = [one for one in below if one.status in ("running", "crashed")]
        cancelled = [one for one in below if one.status == "cancelled"]
        well = [one for one in below if one.status in ("ok", "partial", "skipped")]
        holding = [one for one in well if one.id in self._holding]
        well = [one for one in well if one.id not in self._holding]
        nested = maps > 0
        shown = (sorted(failed, key=_order) + sorted(holding, key=_order))[: 1 if nested else _FAILED]
        shown += unfinished[: 1 if nested else _UNDER_WAY]
        shown += cancelled[: 0 if nested else _CANCELLED]
        most = max(1 if nested else _SLOWEST, 3 - len(shown) if not nested else 0)
        shown += sorted(well, key=lambda one: -(one.seconds or 0.0))[:most]
        if len(below) <= len(shown) + 1:
            shown = list(below)
        shown.sort(key=_order)
        kept = {one.id for one in shown}
        of_failed = max(span.failed or 0, len(failed))
        of_well = len(well) + (span.left_out or 0)
        if span.done is not None:
            of_well = max(span.done - of_failed - len(holding), len(well))
        left = [
            (of_failed - sum(one.id in kept for one in failed), "failed"),
            (len(holding) - sum(one.id in kept for one in holding), "with failures"),
            (len(unfinished) - sum(one.id in kept for one in unfinished), "under way"),
            (len(cancelled) - sum(one.id in kept for one in cancelled), "cancelled"),
            (of_well - sum(one.id in kept for one in well), "ok"),
        ]
        return shown, [f"{counted(number, f'more {what}')} {how}" for number, how in left if number > 0]

    def _folded_nodes(self, below: Sequence[Span]) -> tuple[list[Span], list[str]]:
        worth = [one for one in below if one.status not in ("ok", "skipped")][: _NODES // 2]
        kept = {one.id for one in worth}
        others = sorted((one for one in below if one.id not in kept), key=lambda one: -(one.seconds or 0.0))
        kept |= {one.id for one in others[: _NODES - len(kept)]}
        rest = [one for one in below if one.id not in kept]
        skipped = sum(one.status == "skipped" for one in rest)
        took_s = sum(one.seconds or 0.0 for one in rest)
        text = f"{counted(len(rest), 'more node')} in {duration(took_s)}"
        text += f", {skipped:,} skipped" if skipped else ""
        return [one for one in below if one.id in kept], [text] if rest else []

    # --- one row ----------------------------------------------------------------------------------------------
    def _row(self, span: Span, guide: str, only: Span | None = None) -> Row:
        ended_ns = self._until_ns if span.ended_ns is None else span.ended_ns
        marks = {
            "failed": self._glyphs.failed,
            "handled": self._glyphs.partial,
            "partial": self._glyphs.partial,
            "skipped": self._glyphs.skipped,
            "cancelled": self._glyphs.skipped,
            "running": self._glyphs.running,
            "crashed": self._glyphs.crashed,
        }
        bar = span if only is None else only
        status = "partial" if span.status == "ok" and span.id in self._holding else span.status
        return Row(
            guide=guide,
            name=_title(span) + ("" if only is None else f" {named(only.name, 30)}"),
            note=_note(span if only is None else only),
            mark=marks.get(status, ""),
            status=status,
            seconds=None if span.status == "skipped" else (ended_ns - span.started_ns) / 1e9,
            bar=bar,
            around=None if only is None else span,
            attempts=tuple(self._attempts.get(bar.id, ())),
        )


def _around_failures(spans: Sequence[Span]) -> set[str]:
    """The ids of spans in which something has failed, however deep."""
    around = {span.id: span.parent for span in spans}
    found: set[str] = set()
    for span in spans:
        if span.status in ("failed", "handled") and span.kind != "attempt":
            parent = span.parent
            while parent is not None and parent not in found:
                found.add(parent)
                parent = around.get(parent)
    return found


def _order(span: Span) -> tuple[int, int, int]:
    return (span.items[-1] if span.kind == "item" and span.items else 0, span.round or 0, span.started_ns)


def _title(span: Span) -> str:
    """Its title in short: of a name, which may be a path, the end says most."""
    return (shortened if span.kind in ("item", "round", "attempt") else named)(span.title, 40)


def _note(span: Span) -> str:
    """What stands behind the name."""
    parts: list[str] = []
    if span.done is not None:
        of = "" if span.total is None or span.total == span.done else f" of {span.total:,}"
        parts.append(f"{span.done:,}{of} item{'' if span.done == 1 and not of else 's'}")
        if span.failed:
            parts.append(f"{span.failed:,} failed")
    elif span.failure is not None and span.status in ("failed", "handled"):
        parts.append(shortened(span.failure.type.rpartition(".")[2], 40))
        if span.status == "handled":
            parts.append("handled")
    elif span.status in ("skipped", "cancelled", "running", "crashed"):
        parts.append(span.status if span.status != "crashed" else "was under way")
    if span.attempts > 1:
        parts.append(f"{span.attempts} attempts")
    if span.cached is not None:
        parts.append("cached" if span.cached == "hit" else "joined")
    if span.rerouted:
        parts.append("rerouted")
    return ", ".join(parts)

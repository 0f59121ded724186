"""``timeline``: the tree of a run with a bar for each of its rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from hush.cli._timeline import Glyphs, Phase, cells, stretches
from hush.cli._tree import Row, Tree
from hush.cli._words import duration
from hush.observability._report import Report
from hush.observability._span import Span

_STYLES: dict[Phase, str] = {"call": "cyan", "wait": "yellow", "retry": "magenta", "hold": "bright_black"}
_NAME_STYLES = {
    "failed": "red",
    "crashed": "red",
    "handled": "yellow",
    "partial": "yellow",
    "skipped": "dim",
    "folded": "dim",
    "cancelled": "dim",
    "running": "cyan",
}


def timeline(report: Report, spans: Iterable[Span], glyphs: Glyphs, width: int, *, everything: bool) -> Iterator[Text]:
    tree = Tree(report.run, spans, report.until_ns, glyphs, everything=everything)
    rows = list(tree.rows())
    if not rows:
        return
    yield Text.assemble(
        ("Timeline  ", "bold"),
        (glyphs.call, _STYLES["call"]),
        (" calling  ", "dim"),
        (glyphs.wait, _STYLES["wait"]),
        (" waiting  ", "dim"),
        (glyphs.retry, _STYLES["retry"]),
        (" between attempts  ", "dim"),
        (glyphs.hold, _STYLES["hold"]),
        (" holds others", "dim"),
    )
    widest = max(_length(row) for row in rows)
    wide = min(widest, max(20, (width - 12) * 3 // 5))
    room = max(0, width - wide - 12)
    for row in rows:
        yield _line(row, wide, room, report, glyphs)


def _length(row: Row) -> int:
    mark, note = len(row.mark) + 1 if row.mark else 0, len(row.note) + 2 if row.note else 0
    return len(row.guide) + mark + cell_len(row.name) + note


def _line(row: Row, wide: int, room: int, report: Report, glyphs: Glyphs) -> Text:
    style = _NAME_STYLES.get(row.status, "")
    text = Text.assemble((row.guide, "bright_black"))
    if row.mark:
        text.append(f"{row.mark} ", style)
    text.append(row.name, style)
    if row.note:
        text.append(f"  {row.note}", style if row.status in ("failed", "crashed", "handled") else "dim")
    text.truncate(wide, overflow="ellipsis", pad=True)
    if row.seconds is not None:
        text.append(f" {duration(row.seconds):>9} ")
    if row.bar is not None and room:
        parts = [] if row.around is None else stretches(row.around, (), report.until_ns)
        parts += stretches(row.bar, row.attempts, report.until_ns)
        drawn = cells(parts, report.run.started_ns, report.until_ns, room)
        failed = row.bar.status in ("failed", "crashed")
        _draw(text, drawn, glyphs, failed=failed)
    text.rstrip()
    return text


def _draw(text: Text, drawn: Sequence[Phase | None], glyphs: Glyphs, *, failed: bool) -> None:
    for phase in drawn:
        if phase is None:
            text.append(" ")
        else:
            text.append(getattr(glyphs, phase), "red" if failed and phase == "call" else _STYLES[phase])

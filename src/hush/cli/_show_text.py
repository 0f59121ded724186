"""``screen``: what ``hush show`` prints, line by line: how it ended, what failed, where the time went, and the tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text

from hush.cli._prose import FEW, below, first_line, prose
from hush.cli._safe import shortened
from hush.cli._show_failures import failures
from hush.cli._show_time import models, nodes, retried, times, waited_for
from hush.cli._show_tree import timeline
from hush.cli._timeline import Glyphs
from hush.cli._words import NARROWEST, counted, duration, item, name, when
from hush.observability._report import Call, Report
from hush.observability._source import SourceLines
from hush.observability._span import Span, called_off

_ENDED = {
    "ok": ("ok", "done in {}", "green"),
    "partial": ("partial", "partial: something failed and the run went on, {}", "yellow"),
    "failed": ("failed", "failed after {}", "red"),
    "cancelled": ("skipped", "cancelled after {}", "yellow"),
    "crashed": ("crashed", "crashed: its process ended, after {} or more", "red"),
    "running": ("running", "still running, for {} by now", "cyan"),
}


def screen(
    report: Report,
    spans: Iterable[Span],
    *,
    width: int,
    glyphs: Glyphs,
    lines: SourceLines,
    everything: bool = False,
) -> Iterator[Text]:
    """The lines, none of which is wider than ``width``, and nothing of which steers a terminal."""
    width = max(NARROWEST, width)
    parts = (
        _headline(report, glyphs, width),
        failures(report, lines, glyphs, width, everything=everything),
        _under_way(report, glyphs, width, everything=everything),
        times(report, glyphs, width, everything=everything),
        retried(report, glyphs, width, everything=everything),
        nodes(report, glyphs, width, everything=everything),
        models(report, width),
        waited_for(report, width),
        timeline(report, spans, glyphs, width, everything=everything),
    )
    is_first = True
    for part in parts:
        for number, text in enumerate(part):
            if number == 0 and not is_first:
                yield Text()
            is_first = False
            for line in text.split("\n", allow_blank=True) if "\n" in text.plain else [text]:
                line.truncate(width, overflow="ellipsis")
                yield line


# ── How it ended ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _headline(report: Report, glyphs: Glyphs, width: int) -> Iterator[Text]:
    run = report.run
    mark, said, style = _ENDED.get(run.status, ("running", "{}", ""))
    ended = said.format(duration(report.seconds))
    yield Text.assemble((f"{getattr(glyphs, mark)} ", style), (name(run.name, 40), "bold"), "  ", (ended, style))
    if why := called_off(run):
        yield from prose(f"  {shortened(first_line(why), 200)}", width, style)
    yield Text(f"  run {name(run.trace, 32)}  began {when(run.started_ns)}", style="dim")
    told = [f"request {shortened(run.request_id, 40)}"] if run.request_id != run.trace else []
    told += [f"user {shortened(run.user_id, 30)}"] if run.user_id else []
    told += [f"session {shortened(run.session_id, 30)}"] if run.session_id else []
    told += [f"tags {shortened(', '.join(run.tags), 60)}"] if run.tags else []
    if told:
        yield Text(f"  {'  '.join(told)}", style="dim")
    done, failed = report.items
    least = "at least " if run.status == "crashed" else ""
    said = f"  {least}{counted(done, 'item')}, {failed:,} failed; " if done else "  "
    said += counted(report.kept, "span")
    if run.left_out:
        said += f", {run.left_out:,} left out by sampling"
    if run.dropped:
        said += f", {run.dropped:,} dropped"
    lost = run.produced - report.kept - run.left_out - run.dropped
    if run.status != "running" and lost > 0:  # those of items that had not ended, and those on their way to the file
        said += f", at least {lost:,} lost with its process"
    yield from prose(said, width, "dim")


def closing(report: Report, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """How it ended and what failed, once more in a few lines: the first ones have left the terminal by now."""
    width = max(NARROWEST, width)
    yield Text()
    yield next(_headline(report, glyphs, width))
    groups = report.failures
    if groups:
        total = sum(group.number for group in groups) + sum(one.number for one in report.unseen)
        first = groups[0]
        reason = f"{shortened(first.failure.type, 60)}: {shortened(first_line(first.failure.message), 200)}"
        said = f"  {counted(total, 'failure')}, at the top; the first of {counted(len(groups), 'cause')}: "
        if len(groups) == 1:
            said = f"  {counted(total, 'failure')}, at the top: "
        yield from prose(f"{said}{below(report, first.path)}  {reason}", width, "red")


def _under_way(report: Report, glyphs: Glyphs, width: int, *, everything: bool) -> Iterator[Text]:
    calls = report.under_way
    if not calls:
        return
    crashed = report.run.status == "crashed"
    # Of what began less than half a second before, and of what ended since the last batch was written, nobody knows.
    heads = {"crashed": "Under way shortly before it was killed: at least", "running": "Under way:"}
    yield Text(
        f"{heads.get(report.run.status, 'Cancelled while under way:')} {counted(len(calls), 'call')}",
        style="bold red" if crashed else "bold",
    )
    alike: dict[tuple[str, tuple[str, ...]], list[Call]] = {}
    for call in calls:
        alike.setdefault((call.path, call.waiting_for), []).append(call)
    for (path, limits), those in list(alike.items())[: len(alike) if everything else FEW]:
        if those[0].kind in ("map", "for"):
            said = f"  {below(report, path)}  {_of_map(report, those)}"
        else:
            doing = f"waiting for {shortened(', '.join(limits), 40)}" if limits else "calling"
            if not limits and any(call.attempts > 1 for call in those):
                doing += ", or between attempts"
            longest = "" if len(those) == 1 else "the longest "
            lately = duration(max(call.lately_s for call in those))
            said = f"  {below(report, path)}  {len(those):,} {doing}, {longest}for {lately}"
            said += _which([item(call.items, call.key) for call in those if call.items], everything=everything)
        yield from prose(said, width)
    if len(alike) > FEW and not everything:
        yield Text(f"  {glyphs.more} at {counted(len(alike) - FEW, 'other place')}", style="dim")


def _of_map(report: Report, maps: Sequence[Call]) -> str:
    """What is known of a map, or of several with one path, no call of which is known to be under way."""
    often = "" if len(maps) == 1 else f"{len(maps):,} maps, "
    if any(node.path == maps[0].path and node.kind == "item" for node in report.nodes):
        return f"{often}with items in worker processes, or waiting for its source"
    begun = sum(call.begun for call in maps)
    if begun:
        return f"{often}with at least {counted(begun, 'item')}, none at a call that had taken half a second"
    return f"{often}with calls that had not taken half a second, or waiting for its source or for worker processes"


def _which(items: Sequence[str], *, everything: bool) -> str:
    if not items:
        return ""
    shown = items if everything else items[:FEW]
    more = f" and {len(items) - len(shown):,} more" if len(items) > len(shown) else ""
    return f": {'item' if len(items) == 1 else 'items'} {', '.join(shown)}{more}"

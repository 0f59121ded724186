"""The part of ``hush show`` that tells what failed: one block for each cause."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from textwrap import wrap

from rich.cells import cell_len
from rich.text import Text

from hush.cli._safe import safe, shortened
from hush.cli._timeline import Glyphs
from hush.cli._words import counted, item, name, value
from hush.observability._causes import WORKERS, FailureGroup, frames_of, is_users
from hush.observability._report import Report
from hush.observability._source import SourceLines
from hush.observability._span import Failure, Frame

_GROUPS = 8
_MESSAGE_LINES = 6
_NOTE_LINES = 8
_ITEMS = 4
_FRAMES = 6
_INPUTS = 6
_MADE = re.compile(r"Hush: raised in .* \((.*:\d+)\), run ", re.DOTALL)
_RAISED = re.compile(r"Hush: raised in (\S+?)(?:, item .*)? \(.*:\d+\), run ", re.DOTALL)
_WHAT_BECAME = {
    "raised": "ended the run",
    "collected": "the run went on",
    "handled": "handled by the graph",
}


def failures(report: Report, lines: SourceLines, glyphs: Glyphs, width: int, *, everything: bool) -> Iterator[Text]:
    """The blocks, and what is known of failures that no block is about."""
    groups = report.failures
    total = sum(group.number for group in groups) + sum(one.number for one in report.unseen)
    if not total:
        return
    causes = f", of {counted(len(groups), 'cause')}" if total > 1 and groups else ""
    yield Text(f"{counted(total, 'failure')}{causes}", style="bold red")
    shown = groups if everything else groups[:_GROUPS]
    for number, group in enumerate(shown, 1):
        yield Text()
        yield from _block(number, group, lines, glyphs, width, everything=everything)
    rest = groups[len(shown) :]
    if rest:
        left = counted(sum(group.number for group in rest), "failure")
        yield Text(f"\n  {glyphs.more} {counted(len(rest), 'more cause')} of {left}: --all", style="dim")
    for one in report.unseen:
        said = f"\n  {counted(one.number, 'failure')} of {name(one.path)} left no span: only the totals know of them"
        yield Text(said, style="dim")
    if lines.changed:
        files = ", ".join(_short(file) for file in sorted(lines.changed)[:3])
        yield Text(f"\n  no source is shown of what has changed since the run: {files}", style="dim")


def _block(
    number: int, group: FailureGroup, lines: SourceLines, glyphs: Glyphs, width: int, *, everything: bool
) -> Iterator[Text]:
    failure = group.failure
    often = "" if group.number == 1 else f"{group.number:,} times, "
    most = max(20, width - len(group.type) - 40)
    where = Text.assemble((f"{number:>2} ", "dim"), (name(_node(group), most), "bold"))
    what = Text(shortened(failure.type, 60), style="bold red")
    became = Text(f"{often}{_WHAT_BECAME[group.outcome]}")
    head = where
    for part in (what, became):
        if head.cell_len + 2 + part.cell_len <= width:
            head = Text.assemble(head, "  ", part)
        else:
            yield head
            head = Text.assemble("   ", part)
    yield head
    yield from _message(failure, width, everything=everything)
    yield from _traceback(failure, lines, glyphs, width, everything=everything)
    for note in failure.notes[:3]:
        if note.startswith("Hush: raised in ") and not everything:
            continue  # what stands above
        if note.startswith(WORKERS) and not everything and frames_of(failure) is not failure.frames:
            continue  # the traceback above
        yield from _note(note, width, everything=everything)
    for cause in _causes(failure):
        yield _indented(f"caused by {shortened(cause.type, 60)}: {shortened(cause.message, 300)}", width, "")
        yield from _traceback(cause, lines, glyphs, width, everything=False)
    if group.first and group.first[0].items:
        most = len(group.first) if everything else _ITEMS
        calls = [item(call.items, next((key for key in reversed(call.keys) if key), None)) for call in group.first]
        more = group.number - min(most, len(calls))
        said = ", ".join(calls[:most]) + (f" and {more:,} more" if more > 0 else "")
        yield _indented(f"{'item' if group.number == 1 else 'items'} {said}", width, "")
    if group.inputs:
        given = [
            f"{shortened(key, 40)}={value(one, 120 if not everything else 2_000)}"
            for key, one in list(group.inputs.items())[:_INPUTS]
        ]
        left = len(group.inputs) - len(given)
        text = f"given {', '.join(given)}" + (f" and {left} more" if left > 0 else "")
        yield _indented(text if everything else shortened(text, 2 * width), width, "dim")
    if group.attempts[1] > 1:
        few, many = group.attempts
        each = " each" if group.number > 1 else ""
        yield _indented(f"tried {f'{few} to {many}' if few != many else many} times{each}", width, "dim")
    for path, count in group.passed_on:
        yield _indented(f"and so {counted(count, 'item')} of {name(path)} failed without having run", width, "dim")


def _node(group: FailureGroup) -> str:
    """The node that failed: of an item that ran in a worker process, only the note on its error says which it was."""
    if group.kind == "item":
        for note in group.failure.notes:
            found = _RAISED.match(note)
            if found is not None and found[1].startswith(f"{group.path}/"):
                return found[1]
    return group.path


def _indented(text: str, width: int, style: str) -> Text:
    broken = wrap(text, _columns(text, width - 3), subsequent_indent="  ", break_on_hyphens=False) or [""]
    return Text("\n".join(f"   {line}" for line in broken), style=style)


def _note(note: str, width: int, *, everything: bool) -> Iterator[Text]:
    """A note; line by line where it has several, as the traceback of a worker process."""
    found = safe(note.strip("\n"), lines=True).expandtabs(4).splitlines()
    if len(found) < 2:
        yield _indented(f"note: {shortened(note.strip(), 300)}", width, "dim")
        return
    most = len(found) if everything else _NOTE_LINES
    yield Text(f"   note: {found[0].rstrip()}", style="dim")
    for line in found[1:most]:
        yield Text(f"     {line.rstrip()}", style="dim")
    if len(found) > most:
        yield Text(f"     ({counted(len(found) - most, 'more line')})", style="dim")


def _columns(text: str, width: int) -> int:
    """How many characters go into a line: half as many if some of them are two cells wide."""
    return max(20, width if cell_len(text) <= len(text) else width // 2)


def _message(failure: Failure, width: int, *, everything: bool) -> Iterator[Text]:
    found: list[str] = []
    for line in safe(failure.message, lines=True).expandtabs(4).splitlines():
        found += wrap(line, _columns(line, width - 3), drop_whitespace=False, break_on_hyphens=False) or [""]
    most = len(found) if everything else _MESSAGE_LINES
    for line in found[:most]:
        yield Text(f"   {line.rstrip()}", style="red")
    if len(found) > most:
        yield Text(f"   ({counted(len(found) - most, 'more line')})", style="dim")


def _causes(failure: Failure) -> list[Failure]:
    """What it was raised from, the nearest first; of a group, its parts."""
    found: list[Failure] = []
    todo = list(failure.causes)
    while todo and len(found) < 5:
        cause = todo.pop(0)
        found.append(cause)
        todo = [*cause.causes, *todo]
    return found


def _traceback(failure: Failure, lines: SourceLines, glyphs: Glyphs, width: int, *, everything: bool) -> Iterator[Text]:
    """The frames of the user's code, and how many there are between them."""
    frames: Sequence[Frame] = frames_of(failure)
    shown = [number for number, frame in enumerate(frames) if everything or is_users(frame)]
    if not shown and frames:
        made = next((found[1] for note in failure.notes if (found := _MADE.match(note))), None)
        if made is None:
            shown = [len(frames) - 1]
        else:  # none of the user's code was at work: a reference, a condition, an input
            yield Text.assemble("   ", (_short(made), "cyan"), (", where the node was made", "dim"))
    if not everything and len(shown) > _FRAMES:
        shown = [*shown[:2], *shown[-_FRAMES + 2 :]]
    before = -1
    for number in shown:
        if number - before > 1 and before >= 0:
            yield Text(f"   {glyphs.more} {counted(number - before - 1, 'frame')}", style="dim")
        before = number
        frame = frames[number]
        at = f"{_short(frame.file)}:{frame.line}"
        yield Text.assemble("   ", (at, "cyan"), (f" in {_function(frame)}", "dim"))
        source = lines.line(frame)
        if source:
            yield Text(f"       {shortened(source, width - 7)}")
    if shown and shown[-1] + 1 < len(frames):
        raised = frames[-1]
        at = f"{_function(raised)}, {os.path.basename(name(raised.file))}:{raised.line}"
        further = counted(len(frames) - 1 - shown[-1], "call")
        yield Text(f"   {glyphs.more} raised {further} further, in {at}", style="dim")


def _function(frame: Frame) -> str:
    """Its name, without those of the functions it was made in."""
    return shortened(frame.function.rpartition("<locals>.")[2], 60)


def _short(file: str) -> str:
    """A file's path from the current folder, if it is in it."""
    try:
        folder = os.path.join(os.getcwd(), "")
    except OSError:
        folder = "\0"
    return name(file.removeprefix(folder))

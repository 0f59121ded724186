"""``Bars``: runs and their maps as lines of text and bars, as wide as the terminal allows. It only draws.

::

    shop  8.3 s  at work: load 7.9 s
      rows       ━━━━━━━━━━━━━━╸                412/1,000   3 failed  81/s  7 s left
        lines    ━━━━━━━━━━━━━━╸            4,120/~10,000            811/s  7 s left
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.text import Text

from hush.observability._tally import MapTally, RunTally

_LONG_S = 1.0
"""Nodes outside maps are named when they have been at work for so long."""

_MOST_NAMED = 3
_MOST_BAR = 40
_LEAST_BAR = 8
_LEAST_NAME = 8
_MOST_ID = 36  # a UUID

_STATUS = {
    "ok": ("done in {}", "green"),
    "partial": ("done in {}, partial", "yellow"),
    "failed": ("failed after {}", "red"),
    "cancelled": ("cancelled after {}", "yellow"),
}


@dataclass(slots=True)
class _Line:
    """A line about a map: its cells, and its bar."""

    name: Text
    count: Text
    failed: Text
    rate: Text
    time: Text
    bar: ProgressBar
    ended: bool


class Bars:
    """Some runs, drawn as they are at one instant.

    Args:
        runs: Those to draw, in order.
        now_s: The instant, by the clock of the events.
        several: Whether runs are told apart by their ids.
        fitting: Whether lines are left out, first those of maps that have ended, where the terminal is not high enough.
    """

    def __init__(self, runs: Sequence[RunTally], now_s: float, *, several: bool, fitting: bool) -> None:
        self._runs = runs
        self._now_s = now_s
        self._several = several
        self._fitting = fitting

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = max(1, options.size.height - 1)
        runs = self._runs[:room] if self._fitting else self._runs  # of thousands few are looked at
        lines: list[_Line | Text] = []
        for run in runs:
            lines.append(_headline(run, self._now_s, several=self._several))
            tops = [tally for tally in run.maps.copy().values() if tally.above is None]
            lines += _lines(tops, run, self._now_s, 1)
        if self._fitting:
            lines = _fitted(lines, room, len(self._runs) - len(runs))
        columns = _Columns([line for line in lines if isinstance(line, _Line)], options.max_width)
        for line in lines:
            if isinstance(line, Text):
                text = line.copy()
                text.truncate(options.max_width, overflow="ellipsis")
                yield from _plain(text, console)
            else:
                yield from columns.draw(line, console, options)
            yield Segment.line()
        if not lines:
            yield Segment.line()  # what is live must have a line, or rich leaves an empty one behind


def _plain(text: Text, console: Console) -> Iterable[Segment]:
    """The segments of a text that is not to be wrapped."""
    if text.spans:
        return text.render(console)
    return [Segment(text.plain, console.get_style(text.style))]  # `render` forgets the style of a text without spans


def _fitted(lines: list[_Line | Text], room: int, more: int) -> list[_Line | Text]:
    """As many of the lines as there is room for, and what was left out, with so many more runs."""
    if len(lines) <= room and not more:
        return lines
    too_many, kept, left_out = len(lines) - room + 1, list[_Line | Text](), 0
    for line in lines:
        if left_out < too_many and isinstance(line, _Line) and line.ended:
            left_out += 1
        else:
            kept.append(line)
    said = [f"{_counted(left_out, 'map')} that {'has' if left_out == 1 else 'have'} ended"] if left_out else []
    kept, rest = kept[: room - 1], kept[room - 1 :]
    runs = sum(isinstance(line, Text) for line in rest)
    said += [_counted(many, what) for many, what in ((len(rest) - runs, "map"), (runs + more, "run")) if many]
    return [*kept, Text(f"… and {', '.join(said)}", style="dim")]


# ── Lines ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _headline(run: RunTally, now_s: float, *, several: bool) -> Text:
    text = Text.assemble((run.name, "bold"))
    if several:
        text.append(f" {_harmless(run.id)}", style="cyan")
    if run.status:
        said, style = _STATUS[run.status]
        text.append(f"  {said.format(_exactly(run.seconds))}", style=style)
        return text
    text.append(f"  {_exactly(now_s - run.began_ns / 1e9)}", style="dim")
    before_ns = round((now_s - _LONG_S) * 1e9)
    working = [(now_s - at_ns / 1e9, path) for path, at_ns in run.at_work(before_ns).items()]
    long = sorted((one for one in working if one[0] >= _LONG_S), reverse=True)
    if long:
        named = [f"{path.removeprefix(f'{run.name}/')} {_roughly(passed_s)}" for passed_s, path in long[:_MOST_NAMED]]
        more = [f"{len(long) - _MOST_NAMED:,} more"] if len(long) > _MOST_NAMED else []
        text.append(f"  at work: {', '.join(named + more)}")
    return text


def _lines(tallies: Iterable[MapTally], run: RunTally, now_s: float, depth: int) -> Iterator[_Line]:
    for tally in tallies:
        yield _line(tally, run, now_s, depth)
        yield from _lines(tally.below.copy(), run, now_s, depth + 1)


def _line(tally: MapTally, run: RunTally, now_s: float, depth: int) -> _Line:
    done, failed = tally.done, tally.failed
    total, certain = tally.total()
    ended = bool(run.status) or not tally.is_under_way
    if ended and not certain:
        total, certain = None, True  # the run was cut short: nobody will ever know
    if total is not None:
        total = max(total, done)
    broken = ended and tally.well < tally.begun
    rate = tally.rate_per_s(now_s)
    if total is None:
        count = f"{done:,}"
    else:
        count = f"{done:,}/{'' if certain else '~'}{total if certain else _about(total):,}"
    if ended:
        time = _exactly((tally.ended_ns - tally.began_ns) / 1e9)
    elif total is not None and total > done and rate:
        time = f"{_roughly(max(1.0, (total - done) / rate))} left"
    else:
        time = _roughly(now_s - tally.began_ns / 1e9)
    size = total if total is not None else max(1, done) if ended else None
    bar = ProgressBar(
        total=size if size != 0 else 1,
        completed=done if size != 0 else 1,
        complete_style="red" if broken else "cyan",
        finished_style="red" if broken else "green" if ended else "cyan",
        style="grey37",
        pulse_style="cyan",
        animation_time=now_s,
    )
    return _Line(
        name=Text(f"{'  ' * depth}{tally.name}"),
        count=Text(count),
        failed=Text(f"{failed:,} failed" if failed else "", style="red"),
        rate=Text("" if rate is None else _per_time(rate), style="dim"),
        time=Text(time, style="dim" if ended else ""),
        bar=bar,
        ended=ended,
    )


class _Columns:
    """How wide the cells of some lines are. What there is no room for is left out: the rate, the bar, the time."""

    def __init__(self, lines: list[_Line], width: int) -> None:
        def widest(column: str) -> int:
            return max((getattr(line, column).cell_len for line in lines), default=0)

        self.name, self.count, self.failed = widest("name"), widest("count"), widest("failed")
        self.rate = self.time = self.bar = 0
        left = width - self.count - 1 - (self.failed + 2 if self.failed else 0)
        self.name = min(self.name, max(_LEAST_NAME, min(left, width // 3)))
        left -= self.name
        if (time := widest("time") + 2) <= left:
            self.time = time - 2
            left -= time
        if left > _LEAST_BAR:
            self.bar = _LEAST_BAR
            left -= _LEAST_BAR + 1
        if self.bar and (rate := widest("rate") + 2) <= left:
            self.rate = rate - 2
            left -= rate
        if self.bar:
            self.bar += min(left, _MOST_BAR - _LEAST_BAR)

    def draw(self, line: _Line, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        """The line in these columns."""
        name = line.name.copy()
        name.truncate(self.name, overflow="ellipsis", pad=True)
        yield from _plain(name, console)
        if self.bar:
            bar = list(console.render(line.bar, options.update(width=self.bar)))
            # Without colours rich leaves out what is not done yet, and the blanks in its place.
            yield from [Segment(" "), *bar, Segment(" " * (self.bar - Segment.get_line_length(bar)))]
        for cell, width, gap in (
            (line.count, self.count, 1),
            (line.failed, self.failed, 2),
            (line.rate, self.rate, 2),
            (line.time, self.time, 2),
        ):
            if width:
                yield Segment(" " * (gap + width - cell.cell_len))
                yield from _plain(cell, console)


# ── Words and numbers ────────────────────────────────────────────────────────────────────────────────────────────────


def _harmless(name: str) -> str:
    """An id as users gave it, on one line and without anything that a terminal would obey."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in name[: _MOST_ID + 1])
    return shown if len(shown) <= _MOST_ID else f"{shown[: _MOST_ID - 1]}…"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _exactly(seconds: float) -> str:
    return f"{max(0.0, seconds):.1f} s" if seconds < 59.95 else _clock(round(seconds))


def _roughly(seconds: float) -> str:
    whole = max(0, round(seconds))
    return f"{whole} s" if whole < 60 else _clock(whole)


def _clock(whole: int) -> str:
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _per_time(rate_per_s: float) -> str:
    """A rate, by the unit that makes it a number above 1."""
    for rate, unit in ((rate_per_s, "s"), (rate_per_s * 60, "min"), (rate_per_s * 3600, "h")):
        if rate >= 1 or unit == "h":
            return f"{rate:.1f}/{unit}" if rate < 9.95 else f"{rate:,.0f}/{unit}"
    raise AssertionError


def _about(number: int) -> int:
    """A guess, with two digits that mean something."""
    return round(number, 2 - len(str(number)))

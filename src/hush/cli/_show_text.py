"""``screen``: what ``hush show`` prints, line by line: how it ended, what failed, where the time went, and the tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap

from rich.cells import cell_len
from rich.text import Text

from hush.cli._safe import shortened
from hush.cli._show_failures import failures
from hush.cli._timeline import Glyphs, Phase, cells, stretches
from hush.cli._tree import Row, Tree
from hush.cli._words import counted, duration, item, money, name, share, when
from hush.observability._report import Call, Report
from hush.observability._source import SourceLines
from hush.observability._span import ModelUse, Span

_ENDED = {
    "ok": ("ok", "done in {}", "green"),
    "partial": ("partial", "partial: something failed and the run went on, {}", "yellow"),
    "failed": ("failed", "failed after {}", "red"),
    "cancelled": ("skipped", "cancelled after {}", "yellow"),
    "crashed": ("crashed", "crashed: its process ended, after {} or more", "red"),
    "running": ("running", "still running, for {} by now", "cyan"),
}
_STYLES: dict[Phase, str] = {"call": "cyan", "wait": "yellow", "retry": "magenta", "hold": "bright_black"}
_FEW = 5
_WHY_STOPPED = "closed (Retry-After), its window used up, or taken by other runs"


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
    width = max(40, width)
    parts = (
        _headline(report, glyphs, width),
        failures(report, lines, glyphs, width, everything=everything),
        _under_way(report, glyphs, width, everything=everything),
        _time(report, glyphs, width, everything=everything),
        _retried(report, glyphs, width, everything=everything),
        _nodes(report, glyphs, width, everything=everything),
        _models(report, width),
        _waited_for(report, width),
        _tree(report, spans, glyphs, width, everything=everything),
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
    if run.status == "crashed" and lost > 0:  # those of items that had not ended, and those on their way to the file
        said += f", at least {lost:,} lost with its process"
    yield from _prose(said, width, "dim")


def closing(report: Report, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """How it ended and what failed, once more in a few lines: the first ones have left the terminal by now."""
    width = max(40, width)
    yield Text()
    yield next(_headline(report, glyphs, width))
    groups = report.failures
    if groups:
        total = sum(group.number for group in groups) + sum(one.number for one in report.unseen)
        first = groups[0]
        reason = f"{shortened(first.failure.type, 60)}: {shortened(_first_line(first.failure.message), 200)}"
        said = f"  {counted(total, 'failure')}, at the top; the first of {counted(len(groups), 'cause')}: "
        if len(groups) == 1:
            said = f"  {counted(total, 'failure')}, at the top: "
        yield from _prose(f"{said}{_below(report, first.path)}  {reason}", width, "red")


def _under_way(report: Report, glyphs: Glyphs, width: int, *, everything: bool) -> Iterator[Text]:
    calls = report.under_way
    if not calls:
        return
    crashed = report.run.status == "crashed"
    heads = {"crashed": "Under way when it was killed", "running": "Under way"}
    yield Text(
        f"{heads.get(report.run.status, 'Cancelled while under way')}: {counted(len(calls), 'call')}",
        style="bold red" if crashed else "bold",
    )
    alike: dict[tuple[str, tuple[str, ...]], list[Call]] = {}
    for call in calls:
        alike.setdefault((call.path, call.waiting_for), []).append(call)
    for (path, limits), those in list(alike.items())[: len(alike) if everything else _FEW]:
        if those[0].kind in ("map", "for"):
            said = f"  {_below(report, path)}  {_of_map(report, those)}"
        else:
            doing = f"waiting for {shortened(', '.join(limits), 40)}" if limits else "calling"
            if not limits and any(call.attempts > 1 for call in those):
                doing += ", or between attempts"
            longest = "" if len(those) == 1 else "the longest "
            lately = duration(max(call.lately_s for call in those))
            said = f"  {_below(report, path)}  {len(those):,} {doing}, {longest}for {lately}"
            said += _which([item(call.items, call.key) for call in those if call.items], everything=everything)
        yield from _prose(said, width)
    if len(alike) > _FEW and not everything:
        yield Text(f"  {glyphs.more} at {counted(len(alike) - _FEW, 'other place')}", style="dim")


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
    shown = items if everything else items[:_FEW]
    more = f" and {len(items) - len(shown):,} more" if len(items) > len(shown) else ""
    return f": {'item' if len(items) == 1 else 'items'} {', '.join(shown)}{more}"


def _prose(text: str, width: int, style: str = "") -> Iterator[Text]:
    """A sentence, in as many lines as it takes, whose first is indented by as much as ``text`` is."""
    left = " " * (len(text) - len(text.lstrip()))
    if cell_len(text) <= width:
        yield Text(text, style=style)
        return
    room = max(20, (width if cell_len(text) <= len(text) else width // 2) - len(left))
    for line in wrap(text.strip(), room, subsequent_indent="  ", break_on_hyphens=False):
        yield Text(f"{left}{line}", style=style)


# ── Where the time went ──────────────────────────────────────────────────────────────────────────────────────────────


def _time(report: Report, glyphs: Glyphs, width: int, *, everything: bool) -> Iterator[Text]:
    time = report.time
    if time.total_s <= 0:
        return
    yield Text("Where the time went", style="bold")
    at_once = f"{time.at_once:.1f}" if time.at_once >= 0.05 else "0"
    sums = f"{duration(time.total_s)} over all calls, {at_once} at once on average"
    yield from _prose(f"  {duration(time.wall_s)} by the clock; {sums}", width, "dim")
    if not time.exact:
        yield from _prose("  of the spans that were kept only: the run has no totals of the others", width, "yellow")
    rows: list[tuple[str, float, str]] = [
        (f"waiting for {name(one.name.replace(',', ', '), 40)}", one.seconds, "yellow")
        for one in time.limits
        if one.seconds > 0
    ]
    rows += [(f"model: {_below(report, one.name)}", one.seconds, "cyan") for one in time.models if one.seconds > 0]
    code = [one for one in time.code if one.seconds > 0]
    shown = code if everything else code[:_FEW]
    rows += [(f"code: {_below(report, one.name)}", one.seconds, "green") for one in shown]
    if len(code) > len(shown):
        rest = code[len(shown) :]
        rows.append((f"code: {counted(len(rest), 'more node')}", sum(one.seconds for one in rest), "green"))
    rows += [
        (said, seconds, style)
        for said, seconds, style in (
            ("between attempts", time.retries_s, "magenta"),
            ("waiting for identical calls", time.joined_s, "yellow"),
            ("ready, not yet started", time.ready_s, "bright_black"),
            ("engine, inside calls", time.inside_s, "bright_black"),
        )
        if seconds > 0
    ]
    rows.sort(key=lambda row: -row[1])
    wide = min(max(len(row[0]) for row in rows), max(16, width - 44))
    room = min(40, width - wide - 24)
    for said, seconds, style in rows:
        part = seconds / time.total_s
        length = max(1, round(part * room)) if room > 0 else 0
        label = said if len(said) <= wide else f"{said[: wide - 1]}…"
        text = Text(f"  {label:<{wide}}  {duration(seconds):>9}  {share(part):>6}  ")
        text.append(glyphs.bar * length, style)
        text.rstrip()
        yield text
    for one in time.stopped:
        if one.seconds >= 0.02 * time.wall_s:
            limit = name(one.name.replace(",", ", "), 40)
            few = f"fewer than {(one.most + 1) // 2:,} calls, of {one.most:,} at most," if one.most > 1 else "no call"
            said = f"  for {duration(one.seconds)} by the clock {limit} held {few} though others waited: {_WHY_STOPPED}"
            yield from _prose(said, width, "yellow")
    if time.again_s > 0:
        yield from _prose(f"  {duration(time.again_s)} of the calls were attempts that failed", width, "dim")
    least_s = (1 - time.at_once) * time.wall_s  # not all calls can be placed, but no more than all can be side by side
    if time.idle_s is None and time.exact and least_s >= 0.01 * time.wall_s:
        said = f"  by the clock no call was under way for at least {duration(least_s)}"
        if any(node.kind == "item" for node in report.nodes):
            said += ": worker processes start then, and items go there and back"
        yield from _prose(said, width, "dim")
    if time.idle_s is not None and time.idle_s >= 0.01 * time.wall_s:
        yield from _prose(f"  by the clock no call was under way for {duration(time.idle_s)}", width, "dim")


def _below(report: Report, path: str) -> str:
    return name(path.removeprefix(f"{report.run.name}/"), 50)


def _retried(report: Report, glyphs: Glyphs, width: int, *, everything: bool) -> Iterator[Text]:
    if not report.retried:
        return
    yield Text("Tried again because of", style="bold")
    shown = report.retried if everything else report.retried[:_FEW]
    for one in shown:
        said = f"{_below(report, one.path)}  {shortened(one.first.type, 60)}"
        yield Text(f"  {said}  {counted(one.times, 'time')}")
        yield Text(f"    {shortened(_first_line(one.first.message), max(40, width - 4))}", style="dim")
    if len(report.retried) > len(shown):
        yield Text(f"  {glyphs.more} {counted(len(report.retried) - len(shown), 'more reason')}", style="dim")


def _first_line(message: str) -> str:
    return message.strip().partition("\n")[0]


def _nodes(report: Report, glyphs: Glyphs, width: int, *, everything: bool) -> Iterator[Text]:
    nodes = [node for node in report.nodes if node.calls > node.skipped]
    if len(nodes) < 2 and not any(node.calls > 1 for node in nodes):
        return
    yield Text("Slowest nodes", style="bold")
    shown = nodes if everything else nodes[:_FEW]
    names = [_below(report, node.path) for node in shown]
    columns: list[tuple[str, list[str], str]] = [
        ("calls", [f"{node.calls - node.skipped:,}" for node in shown], ""),
        ("failed", [f"{node.failed:,}" if node.failed else "" for node in shown], "red"),
        ("all calls", [duration(node.seconds) for node in shown], ""),
        ("mean", [duration(node.seconds / (node.calls - node.skipped)) for node in shown], ""),
        ("slowest", [duration(node.slowest_s) for node in shown], ""),
    ]
    waited = [sum(node.waited_s.values()) / node.seconds if node.seconds > 0 else 0.0 for node in shown]
    if any(part >= 0.01 for part in waited):
        columns.append(("waiting", [share(part) if part >= 0.001 else "" for part in waited], "yellow"))
    wides = [max(len(heading), 8, *map(len, cells)) for heading, cells, _ in columns]
    wide = min(max(len(one) for one in names), max(12, width - sum(wides) - 2 * len(wides) - 2))
    while len(columns) > 1 and 2 + wide + sum(wides) + 2 * len(wides) > width:
        del columns[-1], wides[-1]
    heads = "".join(f"  {heading:>{each}}" for (heading, _, _), each in zip(columns, wides, strict=True))
    yield Text(f"  {'':<{wide}}{heads}", style="dim")
    for number, label in enumerate(names):
        text = Text(f"  {label if len(label) <= wide else f'…{label[-wide + 1 :]}':<{wide}}")
        for (_, shown_in, style), each in zip(columns, wides, strict=True):
            text.append(f"  {shown_in[number]:>{each}}", style)
        text.rstrip()
        yield text
    if len(nodes) > len(shown):
        yield Text(f"  {glyphs.more} {counted(len(nodes) - len(shown), 'more node')}", style="dim")
    slow = [call for call in report.slowest if call.items][:3]
    if slow and slow[0].seconds >= 0.001:
        calls = [f"{_below(report, one.path)} [{item(one.items, one.key)}] {duration(one.seconds)}" for one in slow]
        said = ", ".join(calls)
        yield Text(f"  longest: {shortened(said, width - 11)}", style="dim")
    if report.cached:
        yield Text(f"  {counted(report.cached, 'call')} answered from a cache", style="dim")


def _models(report: Report, width: int) -> Iterator[Text]:
    if report.models:
        yield Text("Models", style="bold")
    for model in report.models:
        cost = "" if model.cost is None else f"  {money(model.cost)}"
        if model.cost is not None and model.priced < model.calls:
            cost += f" for {model.priced:,} of them"
        failed = f", {model.failed:,} failed" if model.failed else ""
        said = f"  {name(model.name, 40)}  {counted(model.calls, 'call')}{failed}{cost}  {_used(model)}"
        yield from _prose(said.rstrip(), width)
    seen, made = report.generations
    if report.models and made > seen:
        yield from _prose(f"  of {seen:,} of {made:,} calls: the others left no span", width, "dim")
    for one in report.rerouted:
        often = f"given up {counted(one.times, 'time')} for {_below(report, one.path)}"
        said = f"  {name(one.resource, 40)}  {often}, first because of {shortened(one.first.type, 60)}"
        yield from _prose(said, width)
        yield Text(f"    {shortened(_first_line(one.first.message), max(60, width - 4))}", style="dim")


def _used(model: ModelUse) -> str:
    """``51,480 input, 2,500 output tokens``, and what else the provider counts."""
    tokens = [
        f"{count:,} {shortened(what.removesuffix('_tokens'), 30)}"
        for what, count in model.usage.items()
        if what.endswith("_tokens") and what != "total_tokens" and count and not _is_alias(what, model)
    ]
    others = [
        f"{count:,} {shortened(what, 30)}"
        for what, count in model.usage.items()
        if not what.endswith("_tokens") and count
    ]
    return ", ".join([f"{', '.join(tokens[:4])} tokens"] * bool(tokens) + others[:4])


def _is_alias(what: str, model: ModelUse) -> bool:
    """Whether it is the older name of a count that stands there by its own."""
    other = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens"}.get(what)
    return other is not None and model.usage.get(other) == model.usage[what]


def _waited_for(report: Report, width: int) -> Iterator[Text]:
    links = report.waited_for
    if len(links) < 2 or report.seconds <= 0:
        return
    yield Text("What the end waited for", style="bold")
    said = [f"{_below(report, link.path)} {duration(link.seconds)}" for link in links]
    line = "  "
    for number, one in enumerate(said):
        if number and len(line) + len(one) + 4 > width:
            yield Text(line)
            line = "    "
        line += f"{' > ' if number else ''}{one}"
        if number >= 19 and number + 1 < len(said):
            line += f" > and {len(said) - number - 1:,} more"
            break
    yield Text(line)


# ── The tree ─────────────────────────────────────────────────────────────────────────────────────────────────────────

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


def _tree(report: Report, spans: Iterable[Span], glyphs: Glyphs, width: int, *, everything: bool) -> Iterator[Text]:
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

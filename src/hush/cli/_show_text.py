"""``screen``: what ``hush show`` prints, line by line: how it ended, what failed, where the time went, and the tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

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
        _under_way(report, glyphs, everything=everything),
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
    said = f"  {counted(done, 'item')}, {failed:,} failed; " if done else "  "
    said += counted(report.kept, "span")
    if run.left_out:
        said += f", {run.left_out:,} left out by sampling"
    if run.dropped:
        said += f", {run.dropped:,} dropped"
    yield Text(said, style="dim")


def _under_way(report: Report, glyphs: Glyphs, *, everything: bool) -> Iterator[Text]:
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
        doing = f"waiting for {shortened(', '.join(limits), 40)}" if limits else "calling"
        if those[0].kind in ("map", "for"):
            doing = "waiting for its source, or for other processes"
        elif not limits and any(call.attempts > 1 for call in those):
            doing += ", or between attempts"
        longest = "" if len(those) == 1 else "the longest "
        said = f"  {_below(report, path)}  {len(those):,} {doing}, {longest}for {duration(those[0].seconds)}"
        items = [item(call.items, call.key) for call in those if call.items]
        if items:
            shown = items if everything else items[:_FEW]
            said += f": {'item' if len(items) == 1 else 'items'} {', '.join(shown)}"
            said += f" and {len(items) - len(shown):,} more" if len(items) > len(shown) else ""
        yield Text(said)
    if len(alike) > _FEW and not everything:
        yield Text(f"  {glyphs.more} at {counted(len(alike) - _FEW, 'other place')}", style="dim")


# ── Where the time went ──────────────────────────────────────────────────────────────────────────────────────────────


def _time(report: Report, glyphs: Glyphs, width: int, *, everything: bool) -> Iterator[Text]:
    time = report.time
    if time.total_s <= 0:
        return
    yield Text("Where the time went", style="bold")
    at_once = f"{time.at_once:.1f}" if time.at_once >= 0.05 else "0"
    sums = f"{duration(time.total_s)} over all calls, {at_once} at once on average"
    yield Text(f"  {duration(time.wall_s)} by the clock; {sums}", style="dim")
    if not time.exact:
        yield Text("  of the spans that were kept only: the run has no totals of the others", style="yellow")
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
    wide = min(max(len(row[0]) for row in rows), max(20, width - 44))
    room = min(40, width - wide - 24)
    for said, seconds, style in rows:
        part = seconds / time.total_s
        length = max(1, round(part * room)) if room > 0 else 0
        label = said if len(said) <= wide else f"{said[: wide - 1]}…"
        yield Text.assemble(
            f"  {label:<{wide}}  {duration(seconds):>9}  {share(part):>6}  ", (glyphs.bar * length, style)
        )
    if time.again_s > 0:
        yield Text(f"  {duration(time.again_s)} of the calls were attempts that failed", style="dim")
    least_s = (1 - time.at_once) * time.wall_s  # not all calls can be placed, but no more than all can be side by side
    if time.idle_s is None and time.exact and least_s >= 0.01 * time.wall_s:
        yield Text(f"  by the clock no call was under way for at least {duration(least_s)}", style="dim")
    if time.idle_s is not None and time.idle_s >= 0.01 * time.wall_s:
        yield Text(f"  by the clock no call was under way for {duration(time.idle_s)}", style="dim")


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
        yield Text(f"    {shortened(one.first.message, max(40, width - 4))}", style="dim")
    if len(report.retried) > len(shown):
        yield Text(f"  {glyphs.more} {counted(len(report.retried) - len(shown), 'more reason')}", style="dim")


def _nodes(report: Report, glyphs: Glyphs, width: int, *, everything: bool) -> Iterator[Text]:
    nodes = [node for node in report.nodes if node.calls > node.skipped]
    if len(nodes) < 2 and not any(node.calls > 1 for node in nodes):
        return
    yield Text("Slowest nodes", style="bold")
    shown = nodes if everything else nodes[:_FEW]
    names = [_below(report, node.path) for node in shown]
    wide = min(max(len(one) for one in names), max(12, width - 60))
    yield Text(
        f"  {'':<{wide}}  {'calls':>9}  {'failed':>7}  {'all calls':>9}  {'mean':>8}  {'slowest':>8}", style="dim"
    )
    for label, node in zip(names, shown, strict=True):
        ran = node.calls - node.skipped
        label = label if len(label) <= wide else f"…{label[-wide + 1 :]}"
        failed = f"{node.failed:,}" if node.failed else ""
        yield Text.assemble(
            f"  {label:<{wide}}  {ran:>9,}  ",
            (f"{failed:>7}", "red"),
            f"  {duration(node.seconds):>9}  {duration(node.seconds / ran):>8}  {duration(node.slowest_s):>8}",
        )
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
        yield Text(f"  {name(model.name, 40)}  {counted(model.calls, 'call')}{failed}{cost}  {_used(model)}".rstrip())
    seen, made = report.generations
    if report.models and made > seen:
        yield Text(f"  of {seen:,} of {made:,} calls: the others left no span", style="dim")
    for one in report.rerouted:
        often = f"given up {counted(one.times, 'time')} for {_below(report, one.path)}"
        yield Text(f"  {name(one.resource, 40)}  {often}, first because of {shortened(one.first.type, 60)}")
        yield Text(f"    {shortened(one.first.message, max(60, width - 4))}", style="dim")


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

"""Where the time of a run went, as ``hush show`` says it: limits, tries, nodes, models, what the end waited for."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from hush.cli._prose import FEW, below, first_line, prose
from hush.cli._safe import shortened
from hush.cli._timeline import Glyphs
from hush.cli._words import counted, duration, item, money, name, share
from hush.observability._report import Report
from hush.observability._span import ModelUse
from hush.observability._stopped import Cause, Stopped

_SHORT_S = 0.001
# What a few calls wait for is a thread that has yet to begin, and no other call; and nobody's time is saved there.
_FEWEST_CALLS, _LEAST_WAIT_S = 20, 0.1
_WORTH_SAYING = 0.01  # of all time
_LONG = 'If they compute, fewer at a time end as soon, and executor="process" uses all processors'
_WHY_STOPPED: dict[Cause, str] = {
    "closed": "a refusal or a Retry-After had closed it",
    "window": "its window was used up",
    "others": "other runs had it",
    "processes": "they were being started",
    "busy": "the loop was too busy to let calls in",
}


def times(report: Report, glyphs: Glyphs, width: int, *, everything: bool) -> Iterator[Text]:
    time = report.time
    if time.total_s <= 0:
        return
    yield Text("Where the time went", style="bold")
    at_once = f"{time.at_once:.1f}" if time.at_once >= 0.05 else "0"
    said = (
        f"  {duration(time.wall_s)} by the clock; {duration(time.calls_s)} over all calls, {at_once} at once on average"
    )
    if time.ready_s >= _WORTH_SAYING * time.total_s:  # it is in the shares, but there was no call yet
        said += f", and before that {duration(time.ready_s)} ready, not yet started"
    yield from prose(said, width, "dim")
    if report.run.status == "crashed":
        yield from prose("  as far as it was written before its process was killed", width, "yellow")
    elif not time.exact and report.run.status != "running":
        yield from prose("  of the spans that were kept only: the run has no totals of the others", width, "yellow")
    rows: list[tuple[str, float, str]] = [
        (f"waiting for {name(one.name, 40)}", one.seconds, "yellow") for one in time.limits if one.seconds > 0
    ]
    rows += [(f"model: {below(report, one.name)}", one.seconds, "cyan") for one in time.models if one.seconds > 0]
    code = [one for one in time.code if one.seconds > 0]
    shown = code if everything else code[:FEW]
    rows += [(f"code: {below(report, one.name)}", one.seconds, "green") for one in shown]
    if len(code) > len(shown):
        rest = code[len(shown) :]
        rows.append((f"code: {counted(len(rest), 'more node')}", sum(one.seconds for one in rest), "green"))
    rows += [
        (said, seconds, style)
        for said, seconds, style in (
            ("between attempts", time.retries_s, "magenta"),
            ("waiting for identical calls", time.joined_s, "yellow"),
            ("ready, not yet started", time.ready_s, "bright_black"),
            ("to worker threads and back", time.thread_wait_s, "yellow"),
            ("engine, inside calls", max(0.0, time.inside_s - time.thread_wait_s), "bright_black"),
        )
        if seconds > 0
    ]
    rows.sort(key=lambda row: -row[1])
    wide = min(max(len(row[0]) for row in rows), max(16, width - 36))
    room = min(40, width - wide - 24)
    for said, seconds, style in rows:
        part = seconds / time.total_s
        length = max(1, round(part * room)) if room > 0 else 0
        label = said if len(said) <= wide else f"{said[: wide - 1]}…"
        text = Text(f"  {label:<{wide}}  {duration(seconds):>9}  {share(part):>6}  ")
        text.append(glyphs.bar * length, style)
        text.rstrip()
        yield text
    for said in _of_threads(report):
        yield from prose(f"  {said}", width, "yellow")
    for one in time.stopped:
        if one.seconds >= 0.02 * time.wall_s:
            yield from prose(f"  for {duration(one.seconds)} by the clock {_of_stopped(one)}", width, "yellow")
    if time.again_s > 0:
        least = "" if time.again_exact else "at least "
        yield from prose(f"  {least}{duration(time.again_s)} of the calls were attempts that failed", width, "dim")
    least_s = (1 - time.at_once) * time.wall_s  # not all calls can be placed, but no more than all can be side by side
    if time.idle_s is None and time.exact and least_s >= 0.01 * time.wall_s:
        said = f"  by the clock no call was under way for at least {duration(least_s)}"
        if any(node.kind == "item" for node in report.nodes):
            said += ": worker processes start then, and items go there and back"
        yield from prose(said + _of_sources(report), width, "dim")
    if time.idle_s is not None and time.idle_s >= 0.01 * time.wall_s:
        said = f"  by the clock no call was under way for {duration(time.idle_s)}"
        yield from prose(said + _of_sources(report), width, "dim")


def _of_stopped(stopped: Stopped) -> str:
    """Which limit let hardly anybody in, and why that may have been."""
    limit, half = name(stopped.name, 40), (stopped.most + 1) // 2
    few = "no call" if half == 1 else f"fewer than {half:,} calls"
    of = f", of {stopped.most:,} at most," if stopped.most > 1 else ""
    reasons = [_WHY_STOPPED[cause] for cause in stopped.causes]
    why = " or ".join([", ".join(reasons[:-1]), *reasons[-1:]]) if len(reasons) > 1 else "".join(reasons)
    which = "; which of these, the trace does not tell" if len(reasons) > 1 else ""
    return f"{limit} held {few}{of} though others waited: {why}{which}"


def _of_threads(report: Report) -> Iterator[str]:
    """What calls in worker threads waited for, and what helps, of the nodes for which that is most of their time."""
    for node in report.nodes:
        if node.threaded < _FEWEST_CALLS:
            continue
        if node.thread_wait_s < max(_LEAST_WAIT_S, 0.1 * report.time.total_s, node.thread_s):
            continue
        there_s, way_s = node.thread_s / node.threaded, node.thread_wait_s / node.threaded
        calls = f"{counted(node.threaded, 'call')} in worker threads took {duration(there_s)} each there"
        way = f"{duration(way_s)} to get there and back"
        why = "They wait for the interpreter, which one thread has at a time, and for the loop: mostly for each other"
        in_a_row = there_s < _SHORT_S and node.thread_s <= report.time.wall_s  # would take no longer
        helps = 'executor="inline" spares them the way' if in_a_row else _LONG
        yield f"{below(report, node.path)}: {calls}, and {way}. {why}. {helps}."


def _of_sources(report: Report) -> str:
    """What may have been at work while no call was."""
    maps = report.time.unsized
    if not maps:
        return ""
    named = ", ".join(below(report, path) for path in maps[:FEW])
    others = f" and {counted(len(maps) - FEW, 'more map')}" if len(maps) > FEW else ""
    return f", as while the items of {named}{others} are made"


def retried(report: Report, glyphs: Glyphs, width: int, *, everything: bool) -> Iterator[Text]:
    if not report.retried:
        return
    yield Text("Tried again because of", style="bold")
    shown = report.retried if everything else report.retried[:FEW]
    for one in shown:
        reason = (
            f"other reasons, the first {shortened(one.first.type, 60)}" if one.others else shortened(one.first.type, 60)
        )
        least = "" if one.exact else "at least "
        yield from prose(f"  {below(report, one.path)}  {reason}  {least}{counted(one.times, 'time')}", width)
        yield Text(f"    {shortened(first_line(one.first.message), max(40, width - 4))}", style="dim")
    if len(report.retried) > len(shown):
        yield Text(f"  {glyphs.more} {counted(len(report.retried) - len(shown), 'more reason')}", style="dim")


def nodes(report: Report, glyphs: Glyphs, width: int, *, everything: bool) -> Iterator[Text]:
    nodes = [node for node in report.nodes if node.calls > node.skipped]
    if len(nodes) < 2 and not any(node.calls > 1 for node in nodes):
        return
    yield Text("Slowest nodes", style="bold")
    shown = nodes if everything else nodes[:FEW]
    names = [below(report, node.path) for node in shown]
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
        calls = [f"{below(report, one.path)} [{item(one.items, one.key)}] {duration(one.seconds)}" for one in slow]
        said = ", ".join(calls)
        yield Text(f"  longest: {shortened(said, width - 11)}", style="dim")
    if report.cached:
        yield Text(f"  {counted(report.cached, 'call')} answered from a cache", style="dim")


def models(report: Report, width: int) -> Iterator[Text]:
    if report.models:
        yield Text("Models", style="bold")
    for model in report.models:
        cost = "" if model.cost is None else f"  {money(model.cost)}"
        if model.cost is not None and model.priced < model.calls:
            cost += f" for {model.priced:,} of them"
        failed = f", {model.failed:,} failed" if model.failed else ""
        said = f"  {name(model.name, 40)}  {counted(model.calls, 'call')}{failed}{cost}  {_used(model)}"
        yield from prose(said.rstrip(), width)
    seen, made = report.generations
    if report.models and made > seen:
        yield from prose(f"  of {seen:,} of {made:,} calls: the others left no span", width, "dim")
    for one in report.rerouted:
        least = "" if one.exact else "at least "
        often = f"given up {least}{counted(one.times, 'time')} for {below(report, one.path)}"
        resource = f"other resources, the first {name(one.resource, 40)}," if one.others else name(one.resource, 40)
        said = f"  {resource}  {often}, first because of {shortened(one.first.type, 60)}"
        yield from prose(said, width)
        yield Text(f"    {shortened(first_line(one.first.message), max(60, width - 4))}", style="dim")


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


def waited_for(report: Report, width: int) -> Iterator[Text]:
    links = report.waited_for
    if len(links) < 2 or report.seconds <= 0:
        return
    yield Text("What the end waited for", style="bold")
    said = [f"{below(report, link.path)} {duration(link.seconds)}" for link in links]
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

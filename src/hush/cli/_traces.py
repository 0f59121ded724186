"""``hush traces``: the runs in a file of traces, and ``hush traces prune``, which throws old ones away."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Protocol, TextIO, TypeAlias

from cyclopts import Parameter

from hush.cli._exit import Code, usage
from hush.cli._safe import is_unicode, safe_json, shortened
from hush.cli._show import Pages, Traces, store_at, told
from hush.cli._words import counted, duration, money, name, when
from hush.observability._causes import causes
from hush.observability._node_use import of_calls
from hush.observability._span import RunRecord, Span, called_off

Status: TypeAlias = Literal["running", "ok", "partial", "failed", "cancelled", "crashed"]

_MANY = 1_000
_LEAST = 16  # cells for a run's id, before columns go for it
_SHORT_DATE = 11
_STYLES = {"ok": "green", "partial": "yellow", "cancelled": "yellow", "failed": "red", "crashed": "red"}
_UNITS_S = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}
_UNITS_BYTES = {"": 1, "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12} | {
    unit: 1024**power for power, unit in enumerate(("ki", "mi", "gi", "ti"), 1)
}


class Store(Protocol):
    """What ``hush.observability.TraceStore`` has of which this makes use."""

    def runs(self, limit: int = 20, *, status: str | None = None, name: str | None = None) -> Iterable[RunRecord]:
        """The newest runs, the newest first."""
        ...

    def spans(self, trace: str, *, failed: bool = False) -> Iterable[Span]:
        """The spans of a run, or only those that failed."""
        ...


class Line(NamedTuple):
    """A run in the list.

    ``failed`` is how many failures there were, ``cost`` what models cost, as far as that is known, and ``unpriced`` of
    how many of their calls it is not.
    """

    run: RunRecord
    failed: int
    cost: float | None
    unpriced: int


def traces(
    *,
    limit: Annotated[int, Parameter(name=("--limit", "-n"), help="How many, the newest first. 20 if not given.")] = 20,
    status: Annotated[Status | None, Parameter(help="Only those.")] = None,
    name_: Annotated[str | None, Parameter(name="--name", metavar="GRAPH", help="Only runs of this graph.")] = None,
    json_: Annotated[bool, Parameter(name="--json", help="Print one document of JSON.")] = False,
    traces_: Annotated[Traces, Parameter(name="--traces")] = None,
) -> int:
    """List the runs that were recorded, the newest first."""
    if limit < 0:
        raise usage(f"--limit {limit}: it is a number of runs, 0 or more")
    with told():
        listed(store_at(traces_), sys.stdout, limit=limit, status=status, name=name_, as_json=json_)
    return Code.OK


def listed(
    store: Store,
    file: TextIO,
    *,
    limit: int = 20,
    status: str | None = None,
    name: str | None = None,
    as_json: bool = False,
    width: int | None = None,
) -> None:
    """Write the list to ``file``: a table, or one JSON document ``{"runs": [...]}``."""
    lines = [_line(store, run) for run in store.runs(limit, status=status, name=name)]
    if as_json:
        document = {"version": 1, "runs": [_json(line) for line in lines]}
        file.write(safe_json(json.dumps(document, indent=2, ensure_ascii=not is_unicode(file))) + "\n")
        return
    with Pages(file, width) as pages:
        for text in table(lines, pages.width):
            pages.line(text)


def _line(store: Store, run: RunRecord) -> Line:
    uses = [use for one in run.totals for use in one.models]
    priced = sum(use.priced for use in uses)
    cost = sum(use.cost or 0.0 for use in uses) if priced else None
    unpriced = max(0, sum(use.calls - use.failed for use in uses) - priced)
    return Line(run, _failed(store, run), cost, unpriced)


def _failed(store: Store, run: RunRecord) -> int:
    """How many failures there were, as `hush show` counts them: not again what fails because of what is in it."""
    told = sum(one.failed for one in run.totals if of_calls(one))
    if told > _MANY:
        return told  # one more or less does not matter, and there are too many spans to read for it
    spans = list(store.spans(run.trace, failed=True))
    groups, unseen = causes(run, spans, {span.id: span for span in spans})
    return sum(group.number for group in groups) + sum(one.number for one in unseen)


def _seconds(run: RunRecord) -> float | None:
    return None if run.ended_ns is None else (run.ended_ns - run.started_ns) / 1e9


def _json(line: Line) -> dict[str, Any]:
    from hush.observability._report_json import run_json

    spans = {"produced": line.run.produced, "left_out": line.run.left_out, "dropped": line.run.dropped}
    return run_json(line.run) | {
        "seconds": _seconds(line.run),
        "failed": line.failed,
        "items": {"done": line.run.items, "failed": line.run.items_failed},
        "cost": line.cost,
        "unpriced_calls": line.unpriced,
        "spans": spans,
        "error": None if line.run.failure is None else f"{line.run.failure.type}: {line.run.failure.message}",
    }


def table(lines: Sequence[Line], width: int) -> Iterable[Any]:
    """The list as lines of text, at most ``width`` cells wide: what fills the rest is a run's id, and why it failed.

    Columns of items and of what models cost are there if a run has any; where there is no room, less is shown of when
    a run began, and then one column after the other is left out.
    """
    from rich.text import Text

    if not lines:
        yield Text("no run")
        return
    columns = [
        _Column("run", [f"{name(line.run.trace, 32)[:8]:<8}" for line in lines], "cyan"),
        _Column("began", [when(line.run.started_ns) for line in lines], "dim"),
        _Column("graph", [name(line.run.name, 30) for line in lines], "bold"),
        _Column("status", [shortened(line.run.status, 9) for line in lines]),
        _Column("time", [_time(line.run) for line in lines], side=">"),
        _Column("failed", [f"{line.failed:,}" if line.failed else "" for line in lines], "red", ">"),
        _Column("cost", [_cost(line) for line in lines], side=">"),
        _Column("items failed", [_items(line.run) for line in lines], side=">"),
    ]
    columns = [one for one in columns if any(one.cells) or one.heading == "failed"]
    for heading in ("began", "cost", "items failed", "began", "time", "failed"):
        if width - sum(one.wide + 2 for one in columns) >= _LEAST:
            break
        found = next((number for number, one in enumerate(columns) if one.heading == heading), None)
        if found is not None and heading == "began" and columns[found].wide > _SHORT_DATE:
            columns[found] = _Column(heading, [cell[5:16] for cell in columns[found].cells], "dim")
        elif found is not None:
            del columns[found]
    head = Text("".join(f"{one.cell(one.heading)}  " for one in columns) + "request", style="dim")
    head.truncate(width, overflow="ellipsis")
    yield head
    for number, line in enumerate(lines):
        run = line.run
        text = Text()
        for one in columns:
            style = _STYLES.get(run.status, "") if one.heading == "status" else one.style
            text.append(f"{one.cell(one.cells[number])}  ", style)
        cancelled = called_off(run)
        text.append(shortened(run.request_id, 40), "" if run.failure is None or cancelled is not None else "bold")
        if cancelled is not None:
            text.append(f"  {shortened(cancelled, 200)}", "yellow")
        elif run.failure:
            why = f"{run.failure.type.rpartition('.')[2]}: {run.failure.message}"
            text.append(f"  {shortened(why, 200)}", "red")
        text.truncate(width, overflow="ellipsis")
        yield text


class _Column(NamedTuple):
    """The cells under their heading, all as wide as the widest."""

    heading: str
    cells: Sequence[str]
    style: str = ""
    side: str = "<"

    @property
    def wide(self) -> int:
        """How many cells it takes."""
        return max(len(self.heading), *map(len, self.cells))

    def cell(self, text: str) -> str:
        """A text of it, with what fills its place."""
        return f"{text:{self.side}{self.wide}}"


def _time(run: RunRecord) -> str:
    seconds = _seconds(run)
    return "" if seconds is None else duration(seconds)


def _items(run: RunRecord) -> str:
    return f"{run.items_failed:,} of {run.items:,}" if run.items else ""


def _cost(line: Line) -> str:
    """``+ ?`` where some calls that were answered have no price."""
    if line.cost is None:
        return ""
    return f"{money(line.cost)} + ?" if line.unpriced else money(line.cost)


# ── Pruning ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def prune(
    *,
    older_than: Annotated[
        str | None, Parameter(metavar="AGE", help="Runs that ended longer ago: 12h, 30d. 30d if nothing else is given.")
    ] = None,
    keep: Annotated[int | None, Parameter(metavar="RUNS", help="All but the newest so many.")] = None,
    max_size: Annotated[
        str | None, Parameter(metavar="SIZE", help="The oldest ones until the file is no larger: 500MB, 2GiB.")
    ] = None,
    traces: Traces = None,
) -> int:
    """Remove old runs from the file of traces; those under way stay."""
    if older_than is None and keep is None and max_size is None:
        older_than = "30d"
    with told():
        pruned = store_at(traces).prune(
            older_than_s=None if older_than is None else seconds_of(older_than),
            keep=keep,
            max_bytes=None if max_size is None else bytes_of(max_size),
        )
    runs, spans, freed = pruned
    sys.stdout.write(
        f"{counted(runs, 'run')} removed with {counted(spans, 'span')}; the file is {size(freed)} smaller\n"
    )
    return Code.OK


def seconds_of(text: str) -> float:
    """An age: a number and ``s``, ``m``, ``h``, ``d`` or ``w``; without a unit, days. Raises ``Stop``."""
    found = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*([a-z]*)\s*", text.lower(), re.ASCII)
    unit = _UNITS_S.get(found[2] or "d") if found else None
    if found is None or unit is None:
        raise usage(f"--older-than {text!r}: it is a number and a unit, such as 12h or 30d (s, m, h, d, w)")
    return float(found[1]) * unit


def bytes_of(text: str) -> int:
    """A size: a number and ``KB``, ``MB``, ``GB``, or ``KiB``, ``MiB``, ``GiB``; without a unit, bytes."""
    found = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*([a-z]*)\s*", text.lower(), re.ASCII)
    unit = _UNITS_BYTES.get(found[2] if found[2] in _UNITS_BYTES else found[2].removesuffix("b")) if found else None
    if found is None or unit is None:
        raise usage(f"--max-size {text!r}: it is a number and a unit, such as 500MB or 2GiB")
    return int(float(found[1]) * unit)


def size(count: int) -> str:
    """So many bytes in words."""
    number = float(count)
    for unit in ("bytes", "KB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" or number >= 99.5 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:,.1f} TB"

"""Maps that go through one another's columns, as data, and what a run of them must give.

The reference is right because it is dull: every map waits for the whole of what it reads. Streaming changes none of its
results, but for the order of what a map with `ordered=False` sees.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import MISSING, dataclass, field, fields
from itertools import zip_longest
from typing import Any, Literal

from kit.faults import Failure
from kit.values import Counts, flag, mix

COLUMNS = ("y", "z", "error")

Kind = Literal["literal", "range", "list", "generator", "async"]
Body = Literal["def", "async", "two"]  # inline, one that sleeps, two nodes of which the second sleeps
Place = Literal["root", "inner", "handled", "map", "loop"]


class _Terse:
    """Says what is not as usual; a report can be pasted into a test."""

    def __repr__(self) -> str:
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        usual = {each.name: each.default for each in fields(self) if each.default is not MISSING}
        said = [f"{name}={value!r}" for name, value in given.items() if usual.get(name, MISSING) != value]
        return f"{type(self).__name__}({', '.join(said)})"


@dataclass(frozen=True, repr=False)
class Feed(_Terse):
    """One `Each`: through a column of an earlier map, or, where `stage` is None, through a source of the map's own."""

    stage: int | None = None
    column: str = "y"
    bare: bool = True
    kind: Kind = "list"
    count: int = 0


@dataclass(frozen=True, repr=False)
class Stage(_Terse):
    """One map."""

    feeds: tuple[Feed, ...]
    body: Body = "def"
    fails: int = 0  # one in so many items fails, and none if it is 0
    flags: bool = False  # whether the body may report an `error` of its own
    slow: int = 0  # how many seconds an item may take
    batch: int | None = None
    first: int | None = None
    ordered: bool = True
    window: int | None = None
    concurrency: int = 1
    on_error: str | int = "collect"  # a number is that of failures that are tolerated
    wholes: tuple[int, ...] = ()  # stages of which it is handed what a CodeNode makes of a whole column
    after: tuple[int, ...] = ()  # stages with an explicit edge to it

    @property
    def most_unfinished(self) -> int:
        """How many of its items may be pulled and not finished."""
        return self.concurrency + 32 if self.window is None else self.window


@dataclass(frozen=True, repr=False)
class Pipeline(_Terse):
    """Maps, of which each may read from all before it."""

    stages: tuple[Stage, ...]
    read: tuple[tuple[int, str], ...]  # stage and column, for `PARENT`
    place: Place = "root"

    @property
    def rounds(self) -> int:
        """How often all of it is gone through in one run."""
        return 2 if self.place in ("map", "loop") else 1

    def tainted(self) -> list[bool]:
        """Of each stage whether the order of its items may differ: it, or one it reads, has `ordered=False`."""
        found: list[bool] = []
        for stage in self.stages:
            read = [feed.stage for feed in stage.feeds if feed.stage is not None]
            found.append(bool(read) and (not stage.ordered or any(found[each] for each in read)))
        return found


def name_of(place: int) -> str:
    """What the stage is called."""
    return "abcdefgh"[place]


@dataclass
class Expected:
    """What a run gives. If it fails, `columns` and `calls` are those of a run in which every failure is collected."""

    columns: list[dict[str, Any]] = field(default_factory=list)
    calls: list[Counter[int]] = field(default_factory=list)
    totals: list[int] = field(default_factory=list)
    failures: set[str] = field(default_factory=set)  # labels that a run may raise; it raises if there is one
    failed: int = 0  # items that failed of themselves
    raised: int = 0  # and of these, those whose body raised


@dataclass(frozen=True)
class Item:
    """What became of one item."""

    y: int | None = None
    z: int | None = None
    error: Any = None
    own: bool = False


def interpret(pipeline: Pipeline) -> Expected:
    """What one round must give."""
    expected = Expected()
    for place, stage in enumerate(pipeline.stages):
        items = _items(place, stage, expected)
        errors = [item.error for item in items if item.error is not None]
        expected.failed += sum(item.own for item in items)
        expected.raised += sum(item.own and isinstance(item.error, Failure) for item in items)
        expected.columns.append(
            {
                "y": [item.y for item in items],
                "z": [item.z for item in items],
                "error": [item.error for item in items],
                "iteration_metrics": Counts(
                    total_iterations=len(items), success_count=len(items) - len(errors), error_count=len(errors)
                ),
            }
        )
        expected.totals.append(total(expected.columns[-1]["y"]))
        if stage.on_error == "raise":
            for error in errors:
                expected.failures |= error.labels if isinstance(error, Failure) else {"ReportedError"}
        elif isinstance(stage.on_error, int) and len(errors) > stage.on_error:
            expected.failures.add(f"TooManyFailures {name_of(place)}")
    return expected


def _items(place: int, stage: Stage, expected: Expected) -> list[Item]:
    name, calls = name_of(place), Counter[int]()
    expected.calls.append(calls)
    columns = [source_of(feed, expected)[: stage.first] for feed in stage.feeds]
    if len({len(column) for column in columns}) > 1:
        expected.failures.add("SourceError")
    lengths = range(min(len(column) for column in columns))
    rows = [[column[at] for column in columns] for at in lengths]
    failed = [_failed_before(at, stage, expected) for at in lengths]
    wholes = [expected.totals[each] for each in stage.wholes]
    if stage.batch is not None:
        good = [row for row, error in zip(rows, failed, strict=True) if error is None]
        lists = [good[at : at + stage.batch] for at in range(0, len(good), stage.batch)]
        rows = [[[row[at] for row in each] for at in range(len(columns))] for each in lists]
        failed = [None] * len(rows)
    items = []
    for row, error in zip_longest(rows, failed):
        if error is not None:
            items.append(Item(error=error))
            continue
        calls[mix(name, *row, *wholes)] += 1
        items.append(call(name, stage, [*row, *wholes]))
    return items


def source_of(feed: Feed, expected: Expected) -> list[Any]:
    """All items of one `Each`."""
    return list(range(feed.count)) if feed.stage is None else expected.columns[feed.stage][feed.column]


def _failed_before(at: int, stage: Stage, expected: Expected) -> Any:
    """The error with which the item comes, if nobody asked for it: of several that of the first `Each`."""
    named = {feed.stage for feed in stage.feeds if feed.column == "error" and feed.bare}
    found = [
        expected.columns[feed.stage]["error"][at]
        for feed in stage.feeds
        if feed.stage is not None and feed.bare and feed.stage not in named
    ]
    return next((error for error in found if error is not None), None)


def call(name: str, stage: Stage, args: list[Any]) -> Item:
    """What the body makes of one item: a function of its arguments alone."""
    made = mix(name, *args)
    if stage.fails and made % stage.fails == 0:
        return Item(error=Failure(frozenset({f"{name} {made}"})), own=True)
    error = flag(name, *args) if stage.flags else None
    return Item(made, mix("z", made), error, own=error is not None)


def total(column: list[Any]) -> int:
    """What a CodeNode makes of a whole column, in whatever order it stands."""
    return mix(*sorted(map(str, column)))

"""A glimpse of a run under way: what its tasks and its maps are at, read off them when somebody asks.

Nothing has to be noted for it beforehand, so nobody pays until a run is asked why it stands still: then it costs some
microseconds for each task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any, NamedTuple, Protocol, runtime_checkable

from hush.core._expr._where import is_own
from hush.core._runtime._domain import Domain
from hush.core._runtime._fanout import Fanout
from hush.core._runtime._frame import Frame
from hush.core._runtime._strand import Strand

_AWAITS: CodeType = Strand.work.__code__
"""The coroutine in which a strand awaits a step; its variables ``frame`` and ``step`` say which."""


class Glimpse(NamedTuple):
    """One step that a task of a run is at: its path, its item in the maps around it, and the user's line it awaits."""

    path: str
    item: tuple[int, ...]
    at: str

    def __str__(self) -> str:
        item = f", item {'.'.join(map(str, self.item))}" if self.item else ""
        return f"{self.path}{item}{f' ({self.at})' if self.at else ''}"


class MapState(NamedTuple):
    """A map under way.

    Attributes:
        item: Where it stands in the maps around it.
        done: How many of its items have ended, ``failed`` of them badly, of ``total`` where that is known.
        at_work: How many items are at work.
        head: The first of them: with a reader that takes items in order, the one that holds up the others.
        waits_for: What it waits for before it takes more items, or nothing.
    """

    path: str
    item: tuple[int, ...]
    done: int
    failed: int
    total: int | None
    at_work: int = 0
    head: int | None = None
    waits_for: str = ""

    def __str__(self) -> str:
        item = f", item {'.'.join(map(str, self.item))}" if self.item else ""
        of = "" if self.total is None else f" of {self.total:,}"
        parts = [f"{self.done:,}{of} items done"]
        if self.failed:
            parts.append(f"{self.failed:,} of them failed")
        if self.at_work:
            parts.append(f"{self.at_work} at work, the first is item {self.head}")
        if self.waits_for:
            parts.append(f"waits for {self.waits_for}")
        return f"{self.path}{item}: {', '.join(parts)}"


@runtime_checkable
class Hired(Protocol):
    """A worker of a map, here or with a worker process."""

    def at_work(self) -> list[int]:
        """The items that it is at."""
        ...


def map_state(fanout: Fanout) -> MapState:
    """What a map is at."""
    items: list[int] = []
    for member in (fanout.first_worker, *fanout.domain.members):
        if isinstance(member, Hired):
            items += member.at_work()
    waits_for = ""
    tracing = fanout.run.tracing
    if fanout.full() or (fanout.channel is not None and fanout.channel.holds_back):
        reader = fanout.step.reader
        assert reader is not None
        waits_for = f"{fanout.frame.plan.steps[reader].name}, which streams from it"
    elif tracing is not None and tracing.held:
        waits_for = "whoever reads the run's events"
    elif fanout.feed.waits and not fanout.exhausted:
        waits_for = "items of the map that it streams from" if fanout.feed.channels else "its source"
    elif fanout.exhausted and not items and fanout.feed.channels:
        waits_for = "the end of the map that it streams from"
    path, around = fanout.step.path, fanout.frame.item
    head = min(items) if items else None
    return MapState(path, around, fanout.ended, fanout.columns.failed, fanout.said, len(items), head, waits_for)


def glimpses(domain: Domain, most: int) -> list[Glimpse]:
    """What up to ``most`` tasks of a run are at, whose outermost domain this is. On the loop's thread only."""
    found: list[Glimpse] = []
    for task in _tasks(domain):
        if len(found) == most:
            break
        one = _glimpse(task)
        if one is not None:
            found.append(one)
    return found


def task_count(domain: Domain) -> int:
    """How many tasks a run has."""
    return sum(1 for _ in _tasks(domain))


def _tasks(domain: Domain) -> Iterator[asyncio.Task[Any]]:
    seen: set[asyncio.Task[Any]] = set()
    todo = [domain]
    while todo:
        at = todo.pop()
        for task in (at.host, *[member.task for member in at.members]):
            if task is not None and task not in seen:
                seen.add(task)
                if not task.done():
                    yield task
        todo += at._inner


def _glimpse(task: asyncio.Task[Any]) -> Glimpse | None:
    """The innermost step that ``task`` awaits."""
    frame: Frame | None = None
    step: Any = None
    at = ""
    for one in _frames(task.get_coro()):
        if one.f_code is _AWAITS:
            frame, step, at = one.f_locals.get("frame"), one.f_locals.get("step"), ""
        elif step is not None and not at and not is_own(one.f_code.co_filename):
            at = f"{one.f_code.co_filename}:{one.f_lineno}"
    if frame is None or step is None or (step.body is not None and step.begin is not None):
        return None  # between two steps, or in a container whose own tasks tell more
    return Glimpse(step.path, frame.item, at)


def _frames(awaited: Any) -> Iterator[FrameType]:
    """The frames of a suspended coroutine and of those that it awaits, from outside in."""
    for _ in range(_DEEPEST):
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is None:
            return
        yield frame
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)


_DEEPEST = 200

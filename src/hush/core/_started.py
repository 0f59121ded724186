"""``RunHandle``: a run under way, as ``engine.start`` gives it: to await, to cancel, and to ask why it stands still."""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections.abc import Coroutine, Generator
from dataclasses import dataclass, field
from time import monotonic_ns
from typing import Any, NamedTuple

from hush.core._result import Result
from hush.core._runtime._tracing import Listener
from hush.core._spec._model import GraphSpec, MapSpec
from hush.core._spec._order import order_of
from hush.core._spec._reads import body_of
from hush.core.errors import UsageError
from hush.core.events import (
    Event,
    ItemFailed,
    ItemFinished,
    MapFinished,
    MapStarted,
    NodeFailed,
    NodeFinished,
    NodeReady,
    NodeSkipped,
    NodeStarted,
    RunFinished,
    RunStarted,
)

_Place = tuple[str, tuple[int, ...]]


class Doing(NamedTuple):
    """A node at work, or ready for it: its path, its item in the maps around it, and for how long."""

    path: str
    item: tuple[int, ...]
    seconds: float

    def __str__(self) -> str:
        at = f", item {'.'.join(map(str, self.item))}" if self.item else ""
        return f"{self.path}{at}: {self.seconds:.1f} s"


class MapState(NamedTuple):
    """A map under way: how many of its items have ended, and how many there are, where that is known."""

    path: str
    item: tuple[int, ...]
    done: int
    failed: int
    total: int | None

    def __str__(self) -> str:
        of = "" if self.total is None else f" of {self.total}"
        return f"{self.path}: {self.done}{of} items done, {self.failed} of them failed"


@dataclass(frozen=True, slots=True)
class Why:
    """What a run is doing at one instant.

    Attributes:
        status: ``"waiting"`` before its first node, ``"running"``, then ``"done"``, ``"failed"`` or ``"cancelled"``.
        seconds: How long it has been running, or ran.
        running: The nodes at work, those that have been longest first. Graphs and maps are not listed: their nodes are.
        ready: The nodes that could start, and wait for their turn.
        maps: The maps under way.
        waiting: Nodes outside maps that have not started, with the names of those that they wait for.
    """

    status: str
    seconds: float
    running: tuple[Doing, ...] = ()
    ready: tuple[Doing, ...] = ()
    maps: tuple[MapState, ...] = ()
    waiting: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{self.status} for {self.seconds:.1f} s" if self.status == "running" else self.status]
        for title, listed in (("at work", self.running), ("ready", self.ready), ("maps", self.maps)):
            if listed:
                lines.append(f"{title}:")
                lines += [f"  {one}" for one in listed[:_MOST_LINES]]
                lines += [f"  … and {len(listed) - _MOST_LINES} more"] * (len(listed) > _MOST_LINES)
        if self.waiting:
            lines.append("not started:")
            lines += [f"  {path} waits for {', '.join(names)}" for path, names in [*self.waiting.items()][:_MOST_LINES]]
        return "\n".join(lines)


_MOST_LINES = 20


class InFlight(Listener):
    """Keeps what a run is doing, from its events."""

    def __init__(self, spec: GraphSpec) -> None:
        self._spec = spec
        self._began_ns = 0
        self._ready: dict[_Place, int] = {}
        self._running: dict[_Place, int] = {}
        self._ended: set[str] = set()
        self._maps: dict[_Place, list[Any]] = {}
        self._finished: RunFinished | None = None

    def emit(self, event: Event, /) -> None:
        item = event.item
        place = (event.path, event.outer if item is None else (*event.outer, item))
        match event:
            case NodeReady():
                self._ready[place] = event.at_ns
            case NodeStarted():
                self._ready.pop(place, None)
                self._running[place] = event.at_ns
            case NodeFinished() | NodeFailed() | NodeSkipped():
                self._ready.pop(place, None)
                self._running.pop(place, None)
                if item is None:
                    self._ended.add(event.path)
            case MapStarted():
                self._maps[place] = [0, 0, event.total]
            case ItemFinished() | ItemFailed():
                state = self._maps.get((event.path, event.outer))
                if state is not None:
                    state[0] += 1
                    state[1] += isinstance(event, ItemFailed)
            case MapFinished():
                self._maps.pop(place, None)
            case RunStarted():
                self._began_ns = event.at_ns
            case RunFinished():
                self._finished = event._replace(error=None, result=None)
            case _:
                pass

    def why(self) -> Why:
        """What the run is doing now."""
        if not self._began_ns:
            return Why("waiting", 0.0)
        now_ns = monotonic_ns()
        leaves, waiting = self._not_ended()
        running = [
            Doing(path, item, (now_ns - at_ns) / 1e9)
            for (path, item), at_ns in sorted(self._running.items(), key=lambda pair: pair[1])
            if path in leaves
        ]
        ready = [Doing(path, item, (now_ns - at_ns) / 1e9) for (path, item), at_ns in self._ready.items()]
        maps = [MapState(path, item, *state) for (path, item), state in self._maps.items()]
        return Why("running", (now_ns - self._began_ns) / 1e9, tuple(running), tuple(ready), tuple(maps), waiting)

    def ended(self, *, cancelled: bool) -> Why:
        """How the run ended; one that was cancelled before its first step has told nothing."""
        if self._finished is None:
            return Why("cancelled" if cancelled else "failed", 0.0)
        status = self._finished.status
        return Why(status if status in ("failed", "cancelled") else "done", self._finished.seconds)

    def _not_ended(self) -> tuple[set[str], dict[str, tuple[str, ...]]]:
        """The paths of all leaves, and the nodes outside maps that have not started, with those they wait for."""
        leaves: set[str] = set()
        waiting: dict[str, tuple[str, ...]] = {}
        todo: list[tuple[str, GraphSpec, bool]] = [(self._spec.name, self._spec, False)]
        begun = {path for path, _ in (*self._running, *self._ready)} | self._ended
        while todo:
            around, graph, mapped = todo.pop()
            order = order_of(graph)
            paths = [around if graph.wraps else f"{around}/{step.name}" for step in graph.steps]
            for number, step in enumerate(graph.steps):
                body = body_of(step)
                if body is None:
                    leaves.add(paths[number])
                else:
                    todo.append((paths[number], body, mapped or isinstance(step, MapSpec)))
                if not mapped and paths[number] not in begun:
                    names = [graph.steps[one].name for one in order.before[number] if paths[one] not in self._ended]
                    if names:
                        waiting[paths[number]] = tuple(names)
        return leaves, waiting


_under_way: set[asyncio.Task[Result]] = set()  # a loop refers to its tasks weakly


class RunHandle:
    """A run under way. ``await handle`` gives its result, or raises what it raised; more than once, if you like.

    If the task that awaits it is cancelled, so is the run; ``await asyncio.shield(handle)`` leaves it running. A run
    whose handle nobody awaits goes on to its end; what it raises then only the loop's exception handler hears of.
    """

    def __init__(self, name: str, run: Coroutine[Any, Any, Result], watcher: InFlight) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            run.close()
            raise UsageError(
                "engine.start() needs a running loop; from code that is not async, use run_sync."
            ) from None
        self.name = name
        self._watcher = watcher
        self._task = loop.create_task(run)
        _under_way.add(self._task)
        self._task.add_done_callback(_under_way.discard)

    def __await__(self) -> Generator[Any, None, Result]:
        try:
            return (yield from self._task.__await__())
        except CancelledError:
            # The awaiting task was cancelled between the end of the run and its own turn: a failure is told even then.
            if self._task.done() and not self._task.cancelled():
                self._task.result()
            raise

    def cancel(self) -> bool:
        """Cancel the run and everything in it. Gives ``False`` if it has ended. ``await`` the handle to wait for it."""
        return self._task.cancel()

    def done(self) -> bool:
        """Whether the run has ended, well or not."""
        return self._task.done()

    def why(self) -> Why:
        """What the run is doing at this instant: what is at work and since when, what waits, and for what."""
        if not self._task.done():
            return self._watcher.why()
        return self._watcher.ended(cancelled=self._task.cancelled())

    def __repr__(self) -> str:
        return f"<run of {self.name!r}: {'done' if self._task.done() else 'under way'}>"

"""``Why``: what a run is doing, told by its handle, and by request of all runs when a signal comes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic_ns
from typing import IO, NamedTuple

from hush.core._admission._state import LimitState
from hush.core._runtime._glimpse import MapState, map_state
from hush.core._runtime._listening import Listener
from hush.core._runtime._pass import Pass, busy_passes
from hush.core._runtime._run import Run
from hush.core._runtime._stalls import limit_states, standing
from hush.core._runtime._tracing import Tracing
from hush.core._spec._model import GraphSpec, MapSpec
from hush.core._spec._order import order_of
from hush.core._spec._reads import body_of
from hush.core.errors import UsageError
from hush.core.events import (
    Event,
    ItemFailed,
    MapFinished,
    NodeAdmitted,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeQueued,
    NodeReady,
    NodeRetrying,
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


@dataclass(frozen=True, slots=True)
class Why:
    """What a run is doing at one instant.

    Attributes:
        status: ``"waiting"`` before its first node, ``"running"``, then ``"done"``, ``"failed"`` or ``"cancelled"``.
        seconds: How long it has been running, or ran.
        running: The nodes at work, those that have been longest first. Graphs and maps are not listed: their nodes are.
        ready: The nodes that could start, and wait for their turn.
        queued: The nodes that wait for a limit, those that have been longest first.
        retrying: The nodes that failed and wait for their next attempt; ``seconds`` is how long they still wait.
        limits: How the limits stand that anybody waits for, of those of the run's nodes.
        maps: The maps under way, with what they wait for: those that others read first, inner ones after the outer.
        waiting: Nodes outside maps that have not started, with the names of those that they wait for.
    """

    status: str
    seconds: float
    running: tuple[Doing, ...] = ()
    ready: tuple[Doing, ...] = ()
    queued: tuple[Doing, ...] = ()
    retrying: tuple[Doing, ...] = ()
    limits: tuple[LimitState, ...] = ()
    maps: tuple[MapState, ...] = ()
    waiting: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{self.status} for {self.seconds:.1f} s" if self.status == "running" else self.status]
        listings = (
            ("at work", self.running),
            ("ready", self.ready),
            ("waiting for a limit", self.queued),
            ("waiting for the next attempt", self.retrying),
            ("limits", self.limits),
            ("maps", self.maps),
        )
        for title, listed in listings:
            if listed:
                lines.append(f"{title}:")
                most = _MOST_QUEUED if listed is self.queued else _MOST_LINES
                lines += [f"  {one}" for one in listed[:most]]
                lines += [f"  … and {len(listed) - most} more"] * (len(listed) > most)
        if self.waiting:
            lines.append("not started:")
            lines += [f"  {path} waits for {', '.join(names)}" for path, names in [*self.waiting.items()][:_MOST_LINES]]
        return "\n".join(lines)


_MOST_LINES = 20
_MOST_QUEUED = 5  # how long the line is, its limit tells


def _longest_first(since_ns: dict[_Place, int], now_ns: int) -> tuple[Doing, ...]:
    ordered = sorted(since_ns.items(), key=lambda pair: pair[1])
    return tuple([Doing(path, item, (now_ns - at_ns) / 1e9) for (path, item), at_ns in ordered])


class InFlight(Listener):
    """Keeps what a run is doing, from its events."""

    def __init__(self, spec: GraphSpec) -> None:
        self._spec = spec
        self._began_ns = 0
        self._ready: dict[_Place, int] = {}
        self._running: dict[_Place, int] = {}
        self._queued: dict[_Place, int] = {}
        self._retrying: dict[_Place, int] = {}  # until when
        self._ended: set[str] = set()
        self._tables = self._ready, self._running, self._queued, self._retrying
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
            case NodeQueued():
                self._move(place, self._queued, event.at_ns)
            case NodeAdmitted():
                self._move(place, self._running, event.at_ns)
            case NodeRetrying():
                self._move(place, self._retrying, event.at_ns + int(event.wait_s * 1e9))
            case NodeFinished() | NodeFailed() | NodeCancelled() | NodeSkipped():
                for table in self._tables:
                    table.pop(place, None)
                if item is None:
                    self._ended.add(event.path)
            case ItemFailed():
                self._forget(f"{event.path}/", place[1])
            case MapFinished():
                self._forget(f"{event.path}/", place[1])
            case RunStarted():
                self._began_ns = event.at_ns
            case RunFinished():
                self._finished = event._replace(error=None, result=None)
            case _:
                pass

    def _move(self, place: _Place, to: dict[_Place, int], at_ns: int) -> None:
        for table in self._tables:
            table.pop(place, None)
        to[place] = at_ns

    def _forget(self, inside: str, item: tuple[int, ...]) -> None:
        """What was cancelled inside a map, or an item of it, has no event of its own."""
        for table in self._tables:
            for path, at in [place for place in table if place[0].startswith(inside) and place[1][: len(item)] == item]:
                del table[path, at]

    def attach(self, tracing: Tracing, run: Run) -> None:
        """The run begins."""
        super().attach(tracing, run)
        self._run = run

    def why(self) -> Why:
        """What the run is doing now."""
        if not self._began_ns:
            return Why("waiting", 0.0)
        now_ns = monotonic_ns()
        leaves, waiting = self._not_ended()
        at_work = {place: at_ns for place, at_ns in self._running.items() if place[0] in leaves}
        at_work |= {place: until_ns for place, until_ns in self._retrying.items() if until_ns <= now_ns}
        retrying = {place: 2 * now_ns - until_ns for place, until_ns in self._retrying.items() if until_ns > now_ns}
        return Why(
            "running",
            (now_ns - self._began_ns) / 1e9,
            running=_longest_first(at_work, now_ns),
            ready=_longest_first(self._ready, now_ns),
            queued=_longest_first(self._queued, now_ns),
            retrying=_longest_first(retrying, now_ns),
            limits=tuple(limit_states(self._run)),
            maps=self._maps(),
            waiting=waiting,
        )

    def _maps(self) -> tuple[MapState, ...]:
        states = [map_state(one) for one in self._run.maps]
        if len(states) > 1:
            place = {path: number for number, path in enumerate(_in_order(self._spec))}
            states.sort(key=lambda state: (place[state.path], state.item))
        return tuple(states)

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
        begun = {path for table in self._tables for path, _ in table} | self._ended
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


def _in_order(root: GraphSpec) -> Iterator[str]:
    """The paths of all steps in a topological order, each with what is in it before those that come after it."""
    todo: list[tuple[str, GraphSpec | None]] = [(root.name, root)]
    while todo:
        path, graph = todo.pop()
        yield path
        if graph is not None:
            steps = [graph.steps[number] for number in reversed(order_of(graph).topological)]
            todo += [(path if graph.wraps else f"{path}/{step.name}", body_of(step)) for step in steps]


def tell_on_signal(number: int | None, file: IO[str] | None) -> None:
    """Print what all runs of the process are at whenever the signal comes: see ``hush.core.why_on_signal``."""
    import signal

    if number is None:
        number = getattr(signal, "SIGUSR1", None)
        if number is None:
            raise UsageError("this system has no SIGUSR1: give the number of another signal.")

    def tell(*_: object) -> None:
        out = sys.stderr if file is None else file
        busy = busy_passes()
        if not busy:
            print("hush: no run is under way", file=out, flush=True)
        for budget in busy:
            loop = budget.of()
            if budget.at is not None and budget.deadline_ns:
                print(f"hush: {budget.at.path} runs on the event loop now ({budget.at.where})", file=out, flush=True)
            if loop is not None and not loop.is_closed():
                loop.call_soon_threadsafe(_tell, budget, out)

    signal.signal(number, tell)


def _tell(budget: Pass, out: IO[str]) -> None:
    for run in tuple(budget.runs):
        lines = "\n".join(standing(run))
        print(f"hush: {run.name} (run {run.id})\n{lines}", file=out, flush=True)

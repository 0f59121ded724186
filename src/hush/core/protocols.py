"""The seams: what Hush expects of objects that others bring, and the slots by which lower layers call higher ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:  # imported when a run first has a tracer
    from hush.core.events import Event, NodeStarted

__all__ = (
    "CallTracer",
    "EnteringTracer",
    "RunTracer",
    "SamplingTracer",
    "TerseTracer",
    "Tracer",
    "Wanted",
    "lot",
    "run_alone",
    "run_waiting",
)

NONE_SLOW = 2**63
"""Nanoseconds that nothing takes."""


@runtime_checkable
class Tracer(Protocol):
    """Whatever is told of a run.

    ``emit`` is called in the order of events, on the loop's thread, and must not block. A tracer that raises is
    dropped for the rest of the run and logged once; the run goes on.
    """

    def emit(self, event: Event, /) -> None:
        """Take one event."""
        ...


class CallTracer(Tracer, Protocol):
    """A tracer that is also told what nodes read and gave. A run with one is slower: a microsecond or so a node.

    Attributes:
        sees_calls: ``True``.
    """

    sees_calls: bool


class TerseTracer(CallTracer, Protocol):
    """A tracer that takes one ``NodeRan`` in place of four events for most calls, if all tracers of the run do.

    It hears of such a call when that has ended, and of readiness only when a node starts. So it is given a function
    that says what is under way of which nobody was told. What an event holds is one for all tracers, and not to be
    changed. One that has ``ran`` too is given the fields of a ``NodeRan`` there, by position, in place of the event in
    ``emit``.

    Attributes:
        terse: ``True``.
    """

    terse: bool

    def attach(self, under_way: Callable[[int, int], Sequence[NodeStarted]]) -> None:
        """The run begins.

        ``under_way(before_ns, most)`` gives the ``NodeStarted`` of at most so many calls that began before an instant,
        oldest first; it may be called in any thread.
        """
        ...


class Wanted(NamedTuple):
    """Which items of a map a tracer wants to be told of one by one, of those that ended well and were one quick call.

    Attributes:
        slow_ns: Those that took longer; below 0 all of them.
        seed: Of the lots of the others.
        share: Of these it wants so many in 2**32: those whose ``lot(seed, index)`` is below.
        first: So many that end first.
        slowest: Those that, when they end, are among the slowest so many of the others.
        slowest_share: So many are this share of all items that have ended, once that is more.
    """

    slow_ns: int = -1
    seed: int = 0
    share: int = 0
    first: int = 0
    slowest: int = 0
    slowest_share: float = 0.0


class SamplingTracer(TerseTracer, Protocol):
    """A terse tracer that does without most items of large maps, if all tracers of the run do.

    It is told of those that it does not want in sums, as ``ItemsRan``, of others by one ``NodeRan`` that ends the item;
    of each item in which there was more than one call on the loop, or that did not end well, it is told as ever.
    """

    def wants(self, path: str, items: tuple[int, ...], /) -> Wanted | None:
        """Which items of the map at ``path``, in these items of the maps around it; ``None`` for those of no map.

        It is asked when the map has begun, in the run's thread. That an item was told of does not say that it was
        wanted: other tracers may want others.
        """
        ...


def lot(seed: int, index: int) -> int:
    """The lot that an item draws: evenly from 0 to 2**32, the same in each process."""
    return hash((seed, index)) & 0xFFFFFFFF


class RunTracer(Tracer, Protocol):
    """A tracer that has one of its own for each run."""

    def for_run(self) -> Tracer:
        """What hears one run, and no other: it is asked for as the run begins."""
        ...


class EnteringTracer(Tracer, Protocol):
    """A tracer that prepares the context in which functions are called, so that code in them knows where it is."""

    def enter(self, event: Event, /) -> Callable[[], object]:
        """A node is called: set context variables; what is given back undoes that.

        It is called in the context of the call, which may be in a worker thread: for a ``def`` in its own copy, which
        is thrown away after it has been left, for an ``async def`` in the task that awaits it. ``event`` is its
        ``NodeCalled``.
        It is called for the sources of a map too, with a ``NodeCalled`` of the map that nobody is told: once in the
        context in which a source is pulled, and each time that an async one is awaited.
        It must not raise. A tracer that is terse too may have ``place()``, which gives a ``Place``: it is used instead
        for calls that are told of by ``NodeRan``.
        """
        ...


class Place(Protocol):
    """The context of one call after the other: there is one for each that is under way at a time."""

    def enter(self, number: int, /) -> None:
        """A node is called, with the number of its start: set context variables. It must not raise."""
        ...

    def leave(self) -> object:
        """The call has ended: undo that, in the same context.

        What it gives is true if the call is to be told of, whatever else is left out (``SamplingTracer``): code in it
        has asked where it is, and goes by the answer.
        """
        ...


class _Slot:
    """A call that a module of a higher layer answers, so that a lower one can make it without knowing it.

    Attributes:
        call: What answers; the module puts it here when it is imported.
    """

    __slots__ = ("_module", "call")

    def __init__(self, module: str) -> None:
        self._module = module
        self.call: Callable[..., Any] | None = None

    def __call__(self, *given: Any) -> Any:
        if self.call is None:
            from importlib import import_module

            import_module(self._module)
        assert self.call is not None
        return self.call(*given)


run_alone = _Slot("hush.core._engine")
"""``run_alone(node, inputs)``: the outputs of a node that runs by itself, for ``node(x=1)``."""

run_waiting = _Slot("hush.core._background")
"""``run_waiting(make)``: run the coroutine that ``make`` gives on the background loop, and wait for it."""

without_secrets = _Slot("hush.core._resources._named")
"""``without_secrets(text)``: ``text`` without the secrets that this process has read, and what has their shape."""

kept_open: set[str] = set()
"""The files that Hush keeps open between runs, as a cache does: they, and those beside them, are no leaks."""

guard_codes: set[Any] = set()
"""The code of the async generators that stand guard over what is open on a loop, and end with it: no leaks either."""

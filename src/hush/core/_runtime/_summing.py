"""``Summing``: the items of one map whose body is one quick call; of most of them tracers are told in sums."""

from __future__ import annotations

from asyncio import TimerHandle
from time import monotonic_ns
from typing import Any, Protocol

from hush.core import events
from hush.core._plan._model import UNGATED, MapPlan, Plan, StepPlan
from hush.core._runtime._choice import Choice
from hush.core._runtime._columns import Columns
from hush.core._runtime._frame import Ready
from hush.core._runtime._pace import EVERY_S
from hush.core._runtime._quick import Begun, QuickCalls
from hush.core._runtime._run import Run
from hush.core._runtime._telling import CLOCK_NS
from hush.core._spec._model import ERROR
from hush.core.protocols import Wanted

_NodeRan = events.NodeRan
_new: Any = tuple.__new__  # a NamedTuple's own constructor costs twice as much


def is_one_call(body: Plan) -> bool:
    """Whether a body is one call without policies, of which it shows at its end whether its item has ended well."""
    if len(body.steps) != 1:
        return False
    step = body.steps[0]
    if step.bind is None or (step.begin is not None and step.gate is UNGATED):
        return False
    return step.gives is None or all(key != ERROR for key, _ in step.gives.computed)


def _error_keys(step: StepPlan) -> list[str]:
    """The keys of what the call gives that may say that its item has failed."""
    return [] if step.gives is None else [copy.key for copy in step.gives.writes if copy.to == ERROR]


class Teller(Protocol):
    """What tells a run's tracers of all else: ``Tracing``, as it is known here."""

    def tell(self, event: events.Event) -> None: ...

    def wanted(self, path: str, around: tuple[int, ...]) -> Wanted: ...

    def tell_item(self, step: StepPlan, around: tuple[int, ...], index: int, at_ns: int) -> None: ...

    def items_ran(
        self,
        step: StepPlan,
        around: tuple[int, ...],
        node: str,
        sums: tuple[int, int, int, int],
        count: tuple[int, int],
    ) -> None: ...


class Activation(Protocol):
    """One activation of a map: ``Fanout``, as it is known here."""

    around: tuple[int, ...]
    body: Plan
    columns: Columns
    done: int
    plan: MapPlan
    run: Run
    step: StepPlan
    taken_keys: frozenset[str]


class Summing:
    """Of one activation of a map, where all tracers of its run do without being told of each item.

    It stands between strands and ``QuickCalls``. When the one call of an item has ended, there is nothing more to come
    but the item's own end. So it is decided then: those that tracers want are told of at once, call and item, the rest
    is added up, and told at most 0.1 s later. Such an item begins when its call does, and ends with it. Of items that
    may fail though their call ended well it is told as ever.

    Attributes:
        direct: Whether nothing is to be done around a call.
        decided: Items whose call has ended and been told of, which have not been settled: whether they are in a sum.
        items: How many such have ended since that was last told.
    """

    __slots__ = (
        "_calls",
        "_choice",
        "_ended_ns",
        "_enter",
        "_error_keys",
        "_fanout",
        "_free",
        "_needed",
        "_odd",
        "_quick",
        "_slowest_ns",
        "_taken",
        "_timer",
        "_took_ns",
        "_tracing",
        "begin",
        "decided",
        "direct",
        "items",
        "note_ready",
        "tell_begun",
    )

    def __init__(self, tracing: Teller, quick: QuickCalls, fanout: Activation) -> None:
        self._tracing = tracing
        self._quick = quick
        self._fanout = fanout
        self._error_keys = _error_keys(fanout.body.steps[0])
        # The keys with which an item surely does not fail for want of one; those of the columns may become more.
        self._needed = None if fanout.plan.named else fanout.columns.keys
        self._taken = frozenset[str]() if fanout.plan.named else fanout.taken_keys
        self._odd = bool(self._error_keys or self._needed is not None or self._taken)  # whether an item may be
        self.direct = quick.is_direct(fanout.body.steps[0])
        self._enter = quick.enter_number(fanout.body.steps[0])
        self.begin = quick.begin
        self.note_ready = quick.note_ready
        self.tell_begun = quick.tell_begun
        self._free = quick.free
        self._timer: TimerHandle | None = None
        self.decided: dict[int, bool] = {}
        self._ended_ns: dict[int, int] = {}  # when the calls of others ended
        self.items = self._calls = self._took_ns = self._slowest_ns = 0
        self._choice = Choice(tracing.wanted(fanout.step.path, fanout.around))

    # --- as ``Quick`` says ----------------------------------------------------------------------------------
    def call(self, begun: Begun) -> Any:
        """Make it."""
        if self._enter is None:
            return self._quick.call(begun)
        out = begun.step.call(begun.frame.slots)
        begun.leave = self._enter(begun.number)
        return out

    def ended(self, begun: Begun, out: dict[str, Any], ready: Ready, at_ns: int) -> int | None:
        """It has ended well."""
        frame, item, started_ns = begun.frame, begun.item, begun.started_ns
        if self._odd and self._may_fail(out):
            self._quick.ended(begun, out, ready, at_ns)
            self._ended_ns[item[-1]] = at_ns + CLOCK_NS
            return None
        if begun.leave is not None:
            begun.leave()
            begun.leave = None
        took_ns, index, choice = at_ns - started_ns, item[-1], self._choice
        drawn = hash((choice.seed, index)) & 0xFFFFFFFF < choice.share  # ``protocols.lot``, without the call
        told = drawn or took_ns > choice.slow_ns
        step, number, inputs = begun.step, begun.number, begun.reads() if told else None
        frame.settle(step, out, ready)
        begun.started_ns = 0  # as ``QuickCalls`` does, and before it is told of: what was told of is not asked for
        begun.frame = begun.inputs = None
        self._free.append(begun)
        self.decided[index] = not told
        if told:
            run, since_ns = self._fanout.run.id, started_ns + CLOCK_NS
            about = (run, step.path, index, at_ns + CLOCK_NS, item[:-1], since_ns, since_ns, inputs, out, number, True)
            self._tracing.tell(_new(_NodeRan, about))
            choice.told(took_ns, self._fanout.done + 1, drawn=drawn)
        else:
            self._calls += 1
            self._took_ns += took_ns
            if took_ns > self._slowest_ns:
                self._slowest_ns = took_ns
        if self._timer is None:
            self._set_timer()
        return None

    def _may_fail(self, out: dict[str, Any]) -> bool:
        """Whether an item may fail that gave this: it reports an error, or lacks a key."""
        if self._error_keys and any(out.get(key) is not None for key in self._error_keys):
            return True
        if self._needed is not None and not out.keys() >= self._needed and self._fanout.columns.lacks(out):
            return True
        return bool(self._taken) and not out.keys() >= self._taken

    # --- items ----------------------------------------------------------------------------------------------
    def item_finished(self, index: int) -> None:
        """Tell of an item that has ended well, and was not decided before."""
        fanout = self._fanout
        at_ns = self._ended_ns.pop(index, 0) or monotonic_ns()
        self._tracing.tell_item(fanout.step, fanout.around, index, at_ns)
        if self._timer is None:
            self._set_timer()

    def forget(self, index: int) -> None:
        """An item has failed, though its call ended well."""
        self._ended_ns.pop(index, None)

    def _set_timer(self) -> None:
        self._timer = self._fanout.run.loop.call_later(EVERY_S, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._flush()

    def _flush(self) -> None:
        """Tell of what has been added up, and how far the map is."""
        fanout = self._fanout
        sums = self.items, self._calls, self._took_ns, self._slowest_ns
        self.items = self._calls = self._took_ns = self._slowest_ns = 0
        count = fanout.done, fanout.columns.failed
        self._tracing.items_ran(fanout.step, fanout.around, fanout.body.steps[0].path, sums, count)

    def close(self) -> None:
        """The map has ended: tell of the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._flush()
        # A kept failure of an item holds its strand, and that this, which must hold no value of the map any more.
        del self._fanout, self._needed

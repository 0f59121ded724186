"""``Summing``: the items of one map whose body is one quick call; of most of them tracers are told in sums."""

from __future__ import annotations

from asyncio import TimerHandle
from collections.abc import Mapping, Set
from time import monotonic_ns
from typing import Any, Protocol

from hush.core._plan._model import AWAITED, UNGATED, MapPlan, Plan, StepPlan
from hush.core._runtime._choice import Choice
from hush.core._runtime._columns import Columns
from hush.core._runtime._frame import Frame, Ready
from hush.core._runtime._pace import EVERY_S
from hush.core._runtime._quick import Begun, QuickCalls
from hush.core._runtime._reading import reading_of
from hush.core._runtime._run import Run
from hush.core._runtime._telling import CLOCK_NS
from hush.core._spec._model import ERROR
from hush.core.protocols import Wanted

_NO_KEYS: Set[str] = frozenset()


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

    def tell_ran(self, told: tuple[Any, ...]) -> None: ...

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

    When the one call of an item has ended, there is nothing more to come but the item's own end. So it is decided then:
    those that tracers want are told of at once, call and item, the rest is added up, and told at most 0.1 s later. Such
    an item begins when its call does, and ends with it. Of items that may fail though their call ended well it is told
    as ever.

    Attributes:
        calls: How many are added up since that was last told, which took ``took_ns``, the slowest ``slowest_ns``.
        items: How many items are.
        summed: The item whose call was the last to be added up, until it is settled; then -1.
        decided: Others whose call has ended and that have not been settled: whether they are in a sum.
        timed: Whether it is about to be told.
    """

    __slots__ = (
        "_ended_ns",
        "_fanout",
        "_quick",
        "_timer",
        "_tracing",
        "calls",
        "choice",
        "decided",
        "items",
        "slowest_ns",
        "summed",
        "timed",
        "took_ns",
    )

    def __init__(self, tracing: Teller, quick: QuickCalls, fanout: Activation) -> None:
        self._tracing = tracing
        self._quick = quick
        self._fanout = fanout
        self._timer: TimerHandle | None = None
        self._ended_ns: dict[int, int] = {}  # when the calls of items ended that are told of one by one
        self.timed = False
        self.decided: dict[int, bool] = {}
        self.summed = -1
        self.items = self.calls = self.took_ns = self.slowest_ns = 0
        self.choice = Choice(tracing.wanted(fanout.step.path, fanout.around))

    @property
    def done(self) -> int:
        """How many items of the map have ended."""
        return self._fanout.done

    def line(self) -> Line:
        """That of one more worker."""
        return Line(self, self._quick, self._fanout)

    # --- calls ----------------------------------------------------------------------------------------------
    def tell(
        self, begun: Begun, inputs: Mapping[str, Any] | None, out: dict[str, Any], at_ns: int, took_ns: int
    ) -> None:
        """Tell of a call that ended well after so long, and of its item."""
        item = begun.item
        ended_ns = at_ns + CLOCK_NS
        since_ns = ended_ns - took_ns
        call = self._fanout.run.id, begun.step.path, item[-1], ended_ns, item[:-1], since_ns, since_ns, inputs, out
        self._tracing.tell_ran((*call, begun.number, True))
        self.decided[item[-1]] = False
        if not self.timed:
            self.set_timer()

    # --- items ----------------------------------------------------------------------------------------------
    def may_fail(self, index: int, at_ns: int) -> None:
        """The call of an item that may fail nevertheless has ended, and was told of."""
        self._ended_ns[index] = at_ns + CLOCK_NS

    def item_finished(self, index: int) -> None:
        """Tell of an item that has ended well, and was not decided before."""
        fanout = self._fanout
        at_ns = self._ended_ns.pop(index, 0) or monotonic_ns()
        self._tracing.tell_item(fanout.step, fanout.around, index, at_ns)
        if not self.timed:
            self.set_timer()

    def forget(self, index: int) -> None:
        """An item has failed, though its call ended well."""
        self._ended_ns.pop(index, None)

    # --- sums -----------------------------------------------------------------------------------------------
    def set_timer(self) -> None:
        """Tell soon what is added up."""
        self.timed = True
        self._timer = self._fanout.run.loop.call_later(EVERY_S, self._flush)

    def _flush(self) -> None:
        """Tell of what has been added up, and how far the map is."""
        self.timed = False
        fanout = self._fanout
        sums = self.items, self.calls, self.took_ns, self.slowest_ns
        self.items = self.calls = self.took_ns = self.slowest_ns = 0
        count = fanout.done, fanout.columns.failed
        self._tracing.items_ran(fanout.step, fanout.around, fanout.body.steps[0].path, sums, count)

    def close(self) -> None:
        """The map has ended: tell of the rest."""
        if self.timed and self._timer is not None:
            self._timer.cancel()
            self._flush()
        # A kept failure of an item holds its strand, and that this, which must hold no value of the map any more.
        del self._fanout


class Line(Begun):
    """What stands between one worker's strand and ``QuickCalls``: the ``Begun`` of its calls, one at a time.

    Attributes:
        direct: Whether nothing is to be done around a call.
        numbers: Of calls that begin.
    """

    __slots__ = (
        "_columns",
        "_enters",
        "_error_keys",
        "_needed",
        "_quick",
        "_summing",
        "_taken",
        "_tells",
        "direct",
        "numbers",
    )

    def __init__(self, summing: Summing, quick: QuickCalls, fanout: Activation) -> None:
        super().__init__()
        self._summing = summing
        self._quick = quick
        self.numbers = quick.numbers
        self._columns: Columns | None = fanout.columns
        self.step = fanout.body.steps[0]
        self.ready_ns = 0  # it is ready when its worker comes to it
        self.direct = quick.is_direct(self.step)
        quick.place(self)
        # Whether all that is to be done around a call is to enter its place before it is awaited.
        self._enters = not self.direct and self.step.gate.mode == AWAITED and reading_of(self.step).slots is not None
        self._error_keys = _error_keys(self.step)
        # The keys with which an item surely does not fail for want of one; those of the columns may become more.
        self._needed = _NO_KEYS if fanout.plan.named else fanout.columns.keys
        self._taken = frozenset[str]() if fanout.plan.named else fanout.taken_keys
        self._tells = bool(self._error_keys or self._taken)  # whether an item may fail for another reason
        quick.lines.add(self)

    def close(self) -> None:
        """Its worker has ended: let go of the map."""
        self._quick.lines.discard(self)
        self._columns, self._needed = None, _NO_KEYS

    # --- as ``Quick`` says ----------------------------------------------------------------------------------
    def spare(self) -> Begun:
        """Itself."""
        return self

    def give_back(self, begun: Begun) -> None:
        """It remains what it is."""

    def call(self, begun: Begun) -> Any:
        """Make it."""
        if not self._enters:
            return self._quick.call(begun)
        out = self.step.call(self.frame.slots)
        self.place.enter(self.number)  # type: ignore[union-attr]
        self.entered = True
        return out

    def ended(self, begun: Begun, out: dict[str, Any], ready: Ready, at_ns: int) -> int | None:
        """It has ended well."""
        summing, index = self._summing, self.item[-1]
        if (not out.keys() >= self._needed or self._tells) and self._may_fail(out):
            handed_on = self._handed_on()
            try:
                self._quick.ended(handed_on, out, ready, at_ns)
            except BaseException:  # what it gave cannot be taken, and so it has failed
                self._quick.tell_begun(handed_on)
                raise
            finally:
                self._quick.give_back(handed_on)
            summing.may_fail(index, at_ns)
            return None
        if self.entered:
            self.leave()
        choice, frame, took_ns = summing.choice, self.frame, at_ns - self.started_ns
        drawn = hash((choice.seed, index)) & 0xFFFFFFFF < choice.share  # ``protocols.lot``, without the call
        if drawn or took_ns > choice.slow_ns or self.seen:
            drawn, self.seen = drawn or bool(self.seen), False
            inputs = self.reads()
            frame.settle(self.step, out, ready)
            self.started_ns = 0  # before it is told of: what was told of is not asked for
            summing.tell(self, inputs, out, at_ns, took_ns)
            choice.told(took_ns, summing.done + 1, drawn=drawn)
        else:
            frame.settle(self.step, out, ready)
            self.started_ns = 0  # not before: if that raises, there is more to tell
            summing.calls += 1
            summing.took_ns += took_ns
            if took_ns > summing.slowest_ns:
                summing.slowest_ns = took_ns
            if summing.summed >= 0:
                summing.decided[summing.summed] = True
            summing.summed = index
            if not summing.timed:
                summing.set_timer()
        self.frame = self.inputs = None
        return None

    def note_ready(self, frame: Frame, step: StepPlan, at_ns: int) -> None:
        """It is the only one of its item."""
        self._quick.note_ready(frame, step, at_ns)

    def tell_begun(self, begun: Begun) -> None:
        """More came of it than an end."""
        if self.started_ns:
            handed_on = self._handed_on()
            self._quick.tell_begun(handed_on)
            self._quick.give_back(handed_on)

    def _handed_on(self) -> Begun:
        """The same call as one of the run's: from here on it is told of as they are."""
        self.leave()
        started_ns, self.started_ns = self.started_ns, 0
        begun = self._quick.spare()
        begun.begin(self.frame, self.step, self.number, started_ns, 0)
        begun.inputs = self.inputs
        self.frame = self.inputs = None
        return begun

    def _may_fail(self, out: dict[str, Any]) -> bool:
        """Whether an item may fail that gave this: it reports an error, or lacks a key."""
        if self._error_keys and any(out.get(key) is not None for key in self._error_keys):
            return True
        if not out.keys() >= self._needed and self._columns is not None and self._columns.lacks(out):
            return True
        return bool(self._taken) and not out.keys() >= self._taken

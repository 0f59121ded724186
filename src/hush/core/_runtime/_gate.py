"""``AutoGate``: the rule that decides whether a ``def`` runs on the loop or in a worker thread.

A pure class that is fed durations:

1. calls run in a thread;
2. after three calls in a row under 0.2 ms it runs inline;
3. an inline call over 5 ms sends it back to threads, and the row it then needs doubles: 6, 12, … 96;
4. inline calls that add up to a second without a slow one set it back to three: without forgiveness a busy machine
   would drive everything into threads for good.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from time import monotonic_ns
from typing import Any
from weakref import WeakKeyDictionary, ref

from hush.core._logs import logger
from hush.core._plan._model import IN_THREAD, INLINE, PINNED, WATCHED

QUICK_NS = 200_000
SLOW_NS = 5_000_000
FORGIVEN_NS = 1_000_000_000
FIRST_ROW = 3
LONGEST_ROW = 96
_LOG_EVERY_NS = 60_000_000_000

log = logger("hush.executor")


class AutoGate:
    """What is known of how long one function takes.

    Attributes:
        mode: How its next call is made: in a thread, or on the loop. After a slow call there, each one that follows
            is told to the gate until it is forgiven.
        row: How many quick calls in a row it needs to run on the loop.
    """

    __slots__ = ("__weakref__", "_inline_ns", "_logged_ns", "_quick", "mode", "row")

    def __init__(self) -> None:
        self.mode = IN_THREAD
        self.row = FIRST_ROW
        self._quick = 0
        self._inline_ns = 0
        self._logged_ns = 0

    @property
    def inline(self) -> bool:
        """Whether its next call runs on the loop."""
        return self.mode != IN_THREAD

    def ran_in_thread(self, took_ns: int) -> None:
        """Learn of a call in a thread, measured inside the call."""
        if took_ns >= QUICK_NS:
            self._quick = 0
            return
        self._quick += 1
        if self._quick >= self.row:
            self.mode = INLINE if self.row == FIRST_ROW else WATCHED
            self._quick = 0
            self._inline_ns = 0

    def ran_inline(self, took_ns: int) -> bool:
        """Learn of a call on the loop; while it is ``INLINE``, the quick ones need not be told.

        Whether it was slow and that is to be logged (``log_slow``), by whoever knows whose call it was: the gate is
        that of a function, which many nodes and runs may share.
        """
        if took_ns > SLOW_NS:
            self.mode = IN_THREAD
            self.row = min(self.row * 2, LONGEST_ROW)
            self._quick = 0
            return self._may_be_logged()
        if self.mode == WATCHED:
            self._inline_ns += took_ns
            if self._inline_ns >= FORGIVEN_NS:
                self.row = FIRST_ROW
                self.mode = INLINE
        return False

    def _may_be_logged(self) -> bool:
        now_ns = monotonic_ns()
        if self._logged_ns and now_ns - self._logged_ns < _LOG_EVERY_NS:
            return False
        self._logged_ns = now_ns
        return True


def log_slow(who: str, took_ns: int, fields: dict[str, Any]) -> None:
    """Log of the call ``who`` that it goes back to threads; ``fields`` are those of ``about``."""
    log.info(
        '%s held up the event loop for %.1f ms and goes back to worker threads; executor="thread" keeps it there.',
        who,
        took_ns / 1e6,
        extra=fields,
    )


class PinnedGate:
    """The gate of ``executor="inline"``: always open. Such a function sees the running loop."""

    __slots__ = ()
    mode = PINNED
    inline = True

    def ran_inline(self, took_ns: int) -> bool:
        """Nothing to learn."""
        return False


class InlineGate:
    """The gate of a ``def`` under ``"auto"`` in a worker process: on the loop, in which nothing else waits."""

    __slots__ = ()
    mode = INLINE
    inline = True

    def ran_inline(self, took_ns: int) -> bool:
        """Nothing to learn: there is no better place."""
        return False


INLINE_GATE = InlineGate()
PINNED_GATE = PinnedGate()

_by_code: dict[int, tuple[ref[types.CodeType], AutoGate]] = {}  # by identity: equal code may call other functions
_by_function: WeakKeyDictionary[Any, AutoGate] = WeakKeyDictionary()


def gate_of(fn: Callable[..., Any]) -> AutoGate:
    """What is remembered of ``fn``: by its code, if it closes over nothing, else by the function itself.

    Graphs that are rebuilt for each request make their functions anew, but not their code. A bound method counts as
    its function.
    """
    while isinstance(fn, types.MethodType):
        fn = fn.__func__
    try:
        if type(fn) is types.FunctionType and not fn.__closure__ and "__wrapped__" not in fn.__dict__:
            return gate_of_code(fn.__code__)
        found = _by_function.get(fn)
        if found is None:
            found = _by_function[fn] = AutoGate()
        return found
    except TypeError:  # neither hashable nor weakly referable: nothing can be remembered of it
        return AutoGate()


def gate_of_code(code: types.CodeType) -> AutoGate:
    """What is remembered of a code object."""
    known = _by_code.get(id(code))
    if known is not None and known[0]() is code:
        return known[1]
    gate, number = AutoGate(), id(code)
    _by_code[number] = ref(code, lambda dead: _forget(number, dead)), gate
    return gate


def _forget(number: int, dead: ref[types.CodeType]) -> None:
    known = _by_code.get(number)
    if known is not None and known[0] is dead:
        del _by_code[number]

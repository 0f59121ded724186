"""``ItemEnds``: how the items of one activation of a map end: what is kept and told of each, and what fails the map."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from hush.core._plan._model import MapPlan, StepPlan
from hush.core._runtime._channel import Channel
from hush.core._runtime._columns import Columns
from hush.core._runtime._domain import Domain, is_ordinary
from hush.core._runtime._frame import Frame
from hush.core._runtime._metrics import Latencies
from hush.core._runtime._run import KEPT_ERRORS, Collected
from hush.core._runtime._strand import Strand
from hush.core._spec._model import ERROR, METRICS
from hush.core.errors import MissingKeyError, NodeTimeout, ReportedError, TooManyFailures, missing_key

if TYPE_CHECKING:  # imported when a run first has a tracer
    from hush.core._runtime._summing import Summing


class ItemEnds:
    """The half of a ``Fanout`` that is concerned with items which have ended.

    Whether an item lacks a key that others have is known when all have ended. One of which it is to be expected is
    *undecided* until then: nobody is told of it. A key of which nobody knew may show up in a late item, when those
    before it have been told of as ended well: their failure corrects that. A map that fails before all have ended does
    not look: what is undecided has ended well then. So ``done`` is at any time how many items have been told of.

    Attributes:
        domain: Of the workers.
        columns: What the items gave; ``channel``: where they go, if another map streams from this one.
        latencies: How long they took, if somebody asks.
        total: The number of items, where it is known before.
        exhausted: Whether no more items are pulled.
        done: How many items have ended and are decided.
        plain: Whether nothing but the body is to be done for an item: no name, no clock, no limit.
        bare: Whether, besides, nobody is told of it.
        summing: What tells of its items, if tracers do without each of them.
        taken_keys: Those that the map takes which streams from this one.
        ran: Of the item that is being settled, if it ran in another process: how long it took, and when it ended there.
    """

    __slots__ = (
        "_failures",
        "_keys",
        "_lacked",
        "_undecided",
        "around",
        "bare",
        "channel",
        "columns",
        "domain",
        "done",
        "exhausted",
        "frame",
        "latencies",
        "plain",
        "plan",
        "ran",
        "run",
        "step",
        "summing",
        "taken_keys",
        "total",
    )

    def __init__(self, strand: Strand, frame: Frame, step: StepPlan) -> None:
        assert step.map is not None
        self.frame, self.step = frame, step
        self.around = frame.item
        self.plan: MapPlan = step.map
        self.run = strand.run
        measured = step.measured or self.run.keeps
        self.domain = Domain(self.run.loop, strand.task, strand.domain, fatal=True, around=frame)
        self.columns = Columns(step, everything=self.run.keeps)
        self.channel: Channel | None = None
        self.latencies = Latencies() if measured else None
        self.total: int | None = None
        self.exhausted = False
        self.done = 0
        self.plain = not (measured or self.plan.key is not None or self.plan.item_timeout_s is not None)
        self.bare = False
        self.summing: Summing | None = None
        self.taken_keys: frozenset[str] = frozenset()
        self.ran: tuple[int, ...] = ()
        self._failures = Collected() if self.plan.tolerate is not None else None
        self._keys: dict[int, str] = {}
        self._lacked: set[str] = set()
        self._undecided: dict[int, tuple[Mapping[str, Any], tuple[int, ...]]] = {}  # what is told of them, and ``ran``

    @property
    def ended(self) -> int:
        """How many items have ended, decided or not."""
        return self.done + len(self._undecided)

    def forget_items(self) -> None:
        """The map has ended: let go of what they gave."""
        self._keys.clear()
        self._undecided.clear()
        del self.frame, self.columns

    # --- what they are called, and what is asked of them ------------------------------------------------------
    def item(self, index: int) -> tuple[int, ...]:
        """Where an item stands in this map and those around it."""
        return (*self.around, index)

    def name(self, index: int, values: Any) -> BaseException | None:
        """Note how the item is called in errors and events; what the key function raised, if it did."""
        key = self.plan.key
        assert key is not None
        try:
            self._keys[index] = str(copy_context().run(key, values if len(self.plan.each) == 1 else values[0]))
        except Exception as exc:
            exc.add_note(f"Hush: while asking key= of {self.step.path} for the name of an item")
            self.run.locate(exc, self.item(index), self.step)
            return exc
        return None

    def wanted(self) -> frozenset[str] | None:
        """The keys of what an item gives that somebody reads; ``None`` if that may be any."""
        wanted = self.columns.wanted()
        return None if wanted is None or self._tells_outputs else wanted | self.taken_keys | {ERROR}

    @property
    def timed(self) -> bool:
        """Whether somebody asks how long each item took, and when."""
        tracing = self.run.tracing
        return self.latencies is not None or (tracing is not None and tracing.sees_calls)

    @property
    def _tells_outputs(self) -> bool:
        """Whether somebody is told what each item gave."""
        tracing = self.run.tracing
        return tracing is not None and tracing.items_of == self.step.path

    # --- one that ends well -----------------------------------------------------------------------------------
    def finish(self, index: int, out: dict[str, Any], by: asyncio.Task[Any]) -> None:
        """An item's body is complete, and has given ``out``."""
        self.taken(index, out, self.columns.put(index, out), by)

    def taken(self, index: int, out: dict[str, Any], error: Any, by: asyncio.Task[Any]) -> None:
        """The columns have what an item gave, with the ``error`` that it wrote by itself."""
        self.done += 1
        if error is not None:
            if self.channel is not None:
                self.channel.put(index, out, error)
            # One that has failed a node, or an item of a map before, has been counted there.
            self._failed(index, error, by, collects=True, travelled=self.run.has_located(error))
            return
        if self.bare:
            return
        if self.channel is not None:
            if not out.keys() >= self.taken_keys:
                self.done -= 1
                self.fail(index, self._lacking(index, out), by)
                return
            self.channel.put(index, out, None)
        summing = self.summing
        if summing is not None:
            if summing.summed == index:
                summing.summed = -1
                summing.items += 1
                return
            summed = summing.decided.pop(index, None)
            if summed is not None:
                summing.items += summed
                return
        if (self.run.tracing is not None or self._keys) and self.columns.lacks(out):
            self.done -= 1
            self._undecided[index] = (out if self._tells_outputs else {}, self.ran)
            return
        if summing is not None:
            summing.item_finished(index)
        elif self.run.tracing is not None:
            count = self.done, self.columns.failed
            key = self._keys.get(index) if self._keys else None
            self.run.tracing.item_finished(self.step, self.around, index, key, out, count, *self.ran)
        if self._keys and not self.columns.learns:
            self._keys.pop(index, None)

    def finish_run(self, first: int, count: int, keys: Sequence[str], given: Mapping[str, list[Any]]) -> None:
        """Items in a row have ended well, and gave these columns, and no ``error``.

        Only where nobody is told of each of them.
        """
        self.columns.put_run(first, count, keys, given)
        self.done += count

    def outputs(self) -> dict[str, Any]:
        """The columns, and the metrics if somebody reads them."""
        out: dict[str, Any] = self.columns.lists()
        if self.latencies is not None:
            failed = self.columns.failed
            out[METRICS] = self.latencies.metrics(self.done - failed, failed)
        return out

    # --- one that fails ---------------------------------------------------------------------------------------
    def fail(self, index: int, error: Any, by: asyncio.Task[Any] | None, *, travelled: bool = False) -> None:
        """An item failed, or had failed in a map before if its failure ``travelled``: collect it, or end the map."""
        self.columns.fail(index, error)
        self.done += 1
        if self.channel is not None:
            self.channel.put(index, None, error)
        collects = not isinstance(error, BaseException) or is_ordinary(error)
        self._failed(index, error, by, collects=collects, travelled=travelled)

    def _failed(
        self,
        index: int,
        error: Any,
        by: asyncio.Task[Any] | None,
        *,
        collects: bool,
        travelled: bool = False,
        corrects: bool = False,
    ) -> None:
        item = self.item(index)
        key = self._keys.pop(index, None) if self._keys else None
        if isinstance(error, BaseException):
            self.run.note_round(error, self.domain.round(self.frame))
            if key is not None:
                self.run.note_key(error, index, key)
        if collects and not self.plan.fail_fast:
            self.run.partial = True
            if not travelled:  # else it has been counted where it failed
                self.run.collect(error, self.step.path, item, partial=True)
        if self.summing is not None:
            self.summing.forget(index)
        tracing = self.run.tracing
        if tracing is not None and corrects:
            tracing.item_corrected(self.step, item, key, error)
        elif tracing is not None:
            tracing.item_failed(self.step, item, key, error, (self.done, self.columns.failed), *self.ran)
        if not collects or self.plan.fail_fast:
            self.domain.fail(self._reported(index, error), by)
        elif self._failures is not None:
            self._failures.add(error, item)
            if self.total is not None or self.plan.tolerate.fraction is None:  # type: ignore[union-attr]
                failure = self.too_many(self.total)
                if failure is not None and not self.domain.closing:
                    self.exhausted = True
                    self.domain.fail(failure, by)

    def _reported(self, index: int, error: Any) -> BaseException:
        """The exception for an item that failed, or that reported an error as a value."""
        failure = error if isinstance(error, BaseException) else ReportedError(error)
        self.run.locate(failure, self.item(index), self.step)
        return failure

    def _lacking(self, index: int, out: Mapping[str, Any]) -> MissingKeyError:
        """The error of an item that lacks a key which the map that streams from this one takes."""
        lacked = sorted(self.taken_keys - out.keys())
        self._lacked.update(lacked)
        error = missing_key(f"item {index} of {self.step.path}", lacked[0], out)
        self.run.locate(error, self.item(index), self.step)
        return error

    def timed_out(self, index: int) -> NodeTimeout:
        """The error of an item that took longer than ``item_timeout_s``."""
        error = NodeTimeout(
            f"item {index} of {self.step.path} took longer than item_timeout_s={self.plan.item_timeout_s:g} "
            f"({self.step.where})"
        )
        self.run.locate(error, self.item(index), self.step)
        return error

    def too_many(self, total: int | None) -> TooManyFailures | None:
        """The failure of a map in which more items failed than it tolerates, of ``total`` where that is known."""
        tolerate, failures = self.plan.tolerate, self._failures
        if tolerate is None or failures is None or not failures.total:
            return None
        count, fraction, failed = tolerate.count, tolerate.fraction, failures.total
        if count is not None and failed > count:
            bound = f"count={count}"
        elif fraction is not None and total is not None and failed / total > fraction:
            bound = f"fraction={fraction:g}"
        else:
            return None
        errors = [error for _, _, error in failures.kept]
        of = total if total is not None else self.columns.count
        error = TooManyFailures(
            f"{failed} of {of} items of {self.step.path} failed, more than Tolerate({bound}) allows; the first: "
            f"{type(errors[0]).__name__}: {errors[0]} ({self.step.where})",
            failed,
            of,
            errors[:KEPT_ERRORS],
        )
        error.__cause__ = errors[0]
        return error

    # --- all of them ------------------------------------------------------------------------------------------
    def decide(self, failure: BaseException | None) -> BaseException | None:
        """At the end of a map that was not cancelled, with what it failed with: decide what is undecided.

        If all its items have ended, those that lack a key that others have fail. Gives what the map fails with.
        """
        if failure is None:
            failure = self._fail_lacking()
        for index, (out, ran) in self._undecided.items():
            self.done += 1
            if self.summing is not None:
                self.summing.item_finished(index)
            elif self.run.tracing is not None:
                count, key = (self.done, self.columns.failed), self._keys.get(index)
                self.run.tracing.item_finished(self.step, self.around, index, key, out, count, *ran)
        self._undecided.clear()
        return failure

    def _fail_lacking(self) -> BaseException | None:
        columns = self.columns
        failure: BaseException | None = columns.not_given(self._lacked)
        for index, error in columns.lacking():
            self.run.locate(error, self.item(index), self.step)
            columns.fail(index, error)
            undecided = self._undecided.pop(index, None)
            if undecided is not None:
                self.done += 1
                self.ran = undecided[1]
            # The map that streams from this one has taken it already, as it was.
            self._failed(index, error, self.domain.host, collects=True, corrects=undecided is None)
            self.ran = ()
            if self.plan.fail_fast and failure is None:
                failure = error
        return failure

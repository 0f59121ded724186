"""``Sums``: all calls of one node in a run, added up as they end, those that are left out of the trace included."""

from __future__ import annotations

from collections.abc import Mapping

from hush.observability._attempts import AttemptSums, gave_up
from hush.observability._model_use import ModelSums
from hush.observability._span import CONTAINERS, Generation, Status, Totals
from hush.observability._under_way import UnderWay


class Sums:
    """The sums of one node. Times are nanoseconds until they are asked for."""

    __slots__ = (
        "_attempts",
        "_attempts_failed",
        "_cached",
        "_called_ns",
        "_calls",
        "_failed",
        "_is_leaf",
        "_joined_ns",
        "_kind",
        "_models",
        "_path",
        "_ready_ns",
        "_retry_s",
        "_skipped",
        "_slowest_ns",
        "_thread_ns",
        "_thread_wait_ns",
        "_threaded",
        "_took_ns",
        "_waited_ns",
    )

    def __init__(self, path: str, kind: str) -> None:
        self._path = path
        self._kind = kind
        self._is_leaf = kind not in CONTAINERS
        self._calls = self._failed = self._skipped = self._cached = self._attempts = 0
        self._ready_ns = self._took_ns = self._called_ns = self._slowest_ns = 0
        self._threaded = self._thread_ns = self._thread_wait_ns = self._joined_ns = 0
        self._retry_s = 0.0
        self._waited_ns: dict[str, int] | None = None
        self._models: ModelSums | None = None
        self._attempts_failed: AttemptSums | None = None

    @property
    def calls(self) -> int:
        """How many calls have ended."""
        return self._calls

    @property
    def has_asked(self) -> bool:
        """Whether a model, or another resource, was asked."""
        return self._models is not None

    def add(self, one: UnderWay, status: Status, at_ns: int) -> None:
        """``one`` has ended at ``at_ns``."""
        self._calls += 1
        if status == "skipped":
            self._skipped += 1
            return
        if status in ("failed", "handled"):
            self._failed += 1
        took_ns = at_ns - one.started_ns
        self._took_ns += took_ns
        if took_ns > self._slowest_ns:
            self._slowest_ns = took_ns
        if one.ready_ns is not None:
            self._ready_ns += one.started_ns - one.ready_ns
        self._attempts += one.attempts
        if one.cached is not None:
            self._cached += 1
            if one.cached == "joined":
                self._joined_ns += took_ns
        self._retry_s += one.paused_s(at_ns)
        if one.tries is not None or one.rerouted:
            self._add_attempts(one, status, at_ns)
        if self._is_leaf and one.called_ns is not None and one.cached != "joined":
            self._add_call(one, one.called_ns, status, at_ns)
        if one.waits is not None:
            if self._waited_ns is None:
                self._waited_ns = {}
            for wait in one.waits:
                name = ", ".join(wait.limits)
                waited_ns = (at_ns if wait.admitted_ns is None else wait.admitted_ns) - wait.queued_ns
                self._waited_ns[name] = self._waited_ns.get(name, 0) + waited_ns

    def _add_call(self, one: UnderWay, began_ns: int, status: Status, at_ns: int) -> None:
        """What its function took, or the model, since ``began_ns``."""
        tries = one.tries
        if tries is None:
            called_ns = at_ns - began_ns
        else:
            called_ns = sum((at_ns if each.ended_ns is None else each.ended_ns) - each.began_ns for each in tries)
        if one.thread_ns is None:
            self._called_ns += called_ns
        else:
            self._called_ns += one.thread_ns
            self._threaded += 1
            self._thread_ns += one.thread_ns
            self._thread_wait_ns += max(0, called_ns - one.thread_ns)
        if tries is not None and one.resource is not None:
            # Such a call has a list of tries, so that others pay nothing for this.
            if self._models is None:
                self._models = ModelSums()
            asked = one.generation or Generation()
            self._models.add(asked, one.resource, failed=status in ("failed", "handled"))

    def _add_attempts(self, one: UnderWay, status: Status, at_ns: int) -> None:
        """Those of its attempts that failed, and the resources that it asked in vain."""
        failed = [each for each in one.attempted(at_ns) if each[1] is not None]
        if not failed and not one.rerouted:
            return
        sums = self._attempts_failed
        if sums is None:
            sums = self._attempts_failed = AttemptSums()
        for each, failure, ended_ns in failed:
            assert failure is not None
            again = not gave_up(each.number, one.attempts, status)
            sums.failed(failure, each.began_ns, ended_ns, again=again)
        for resource, failure in one.rerouted:
            sums.in_vain(resource, failure, one.started_ns)

    def add_quick(self, ready_ns: int | None, started_ns: int, at_ns: int) -> None:
        """A call has ended well that nothing came between."""
        self._calls += 1
        self._attempts += 1
        took_ns = at_ns - started_ns
        self._took_ns += took_ns
        if self._is_leaf:
            self._called_ns += took_ns
        if took_ns > self._slowest_ns:
            self._slowest_ns = took_ns
        if ready_ns is not None:
            self._ready_ns += started_ns - ready_ns

    def add_sums(self, calls: int, took_ns: int, slowest_ns: int) -> None:
        """So many such calls have ended, each of which was called as soon as it was ready."""
        self._calls += calls
        self._attempts += calls
        self._took_ns += took_ns
        self._called_ns += took_ns
        self._slowest_ns = max(self._slowest_ns, slowest_ns)

    def record(self) -> Totals:
        """The sums until now."""
        return Totals(
            path=self._path,
            kind=self._kind,
            calls=self._calls,
            failed=self._failed,
            skipped=self._skipped,
            cached=self._cached,
            attempts=self._attempts,
            ready_s=self._ready_ns / 1e9,
            seconds=self._took_ns / 1e9,
            waited_s={name: ns / 1e9 for name, ns in (self._waited_ns or {}).items()},
            retry_s=self._retry_s,
            called_s=self._called_ns / 1e9,
            slowest_s=self._slowest_ns / 1e9,
            models=() if self._models is None else self._models.uses(),
            threaded=self._threaded,
            thread_s=self._thread_ns / 1e9,
            thread_wait_s=self._thread_wait_ns / 1e9,
            joined_s=self._joined_ns / 1e9,
            failed_attempts=() if self._attempts_failed is None else self._attempts_failed.attempts(),
            in_vain=() if self._attempts_failed is None else self._attempts_failed.resources(),
        )


def records_of(sums: Mapping[str, Sums], *, every: bool) -> tuple[Totals, ...]:
    """Of each node by path, or of those of which no one span says it all, and that asked a model."""
    return tuple(one.record() for _, one in sorted(sums.items()) if every or one.calls > 1 or one.has_asked)

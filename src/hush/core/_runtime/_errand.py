"""``Errand``: one chunk of items on its way to a worker process and back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from time import perf_counter_ns
from typing import Any, NamedTuple

from hush.core._runtime._crew import Chunk, Crew
from hush.core._runtime._fanout import Fanout
from hush.core._runtime._parcels import Parcel, pack, unpack_error
from hush.core._runtime._processes import WorkerProcess
from hush.core._runtime._rows import Loaded, load_rows
from hush.core._runtime._telling import CLOCK_NS


class Outcome(NamedTuple):
    """What has become of some items of a chunk, those that come next.

    Attributes:
        times: How long each took and when it ended, by this process's ``monotonic_ns``, if somebody asks.
        errors: By place among them.
        loaded: What the others gave, in their order.
        told: What the run has noted in the worker besides.
    """

    done: int
    times: list[tuple[int, int]]
    errors: dict[int, BaseException]
    loaded: Loaded
    told: tuple[Any, ...] | None


class Errand:
    """One chunk on its way. ``pack``, ``request`` and ``hear`` are called in worker threads.

    Attributes:
        indexes: The items that could be pickled, with their ``values``; the first ``ended`` of them have ended.
        refused: Those that could not, with the reason.
        heard_ns: When the process was last heard, by ``perf_counter_ns``.
    """

    def __init__(self, crew: Crew, fanout: Fanout, chunk: Chunk, *, in_columns: bool) -> None:
        self.chunk = chunk
        self.indexes, self.values = chunk.indexes, chunk.values
        self.ended = 0
        self.refused: list[tuple[int, Any, Exception]] = []
        self._crew = crew
        self._fanout = fanout
        self._in_columns = in_columns
        self._fresh = False
        self._behind = False
        self._parcel = Parcel(b"", [], {})
        self.heard_ns = self._began_ns = self._work_ns = self._spent_ns = self._bytes = 0

    def left(self) -> Sequence[int]:
        """The items that have not ended."""
        return self.indexes[self.ended :]

    def rest(self, *, again: bool) -> Chunk:
        """The items that have not ended, as a chunk."""
        return Chunk(self.indexes[self.ended :], self.values[self.ended :], again)

    def pack(self) -> None:
        """Pickle the items."""
        indexes, values, _ = self.chunk
        self._parcel = parcel = pack(values)
        refused = parcel.refused
        if refused:
            self.refused = [(indexes[place], values[place], why) for place, why in refused.items()]
            self.indexes = [index for place, index in enumerate(indexes) if place not in refused]
            self.values = [value for place, value in enumerate(values) if place not in refused]
        self._bytes = len(parcel.data)

    def request(self, process: WorkerProcess) -> tuple[Any, ...]:
        """What is sent: the items, and what they are all given if this process does not know it yet."""
        self._fresh = process.knows is not self._crew
        base = self._crew.base(self._fanout) if self._fresh else None
        process.knows = self._crew
        self._behind = process.busy
        parcel, self._parcel = self._parcel, Parcel(b"", [], {})
        ends = parcel.ends
        if ends is not None and parcel.refused:
            ends = [end for place, end in enumerate(ends) if place not in parcel.refused]
        indexes = self.indexes
        if indexes and indexes[-1] - indexes[0] == len(indexes) - 1:
            indexes = range(indexes[0], indexes[-1] + 1)  # a few bytes, however many they are
        self._began_ns = perf_counter_ns()
        return "items", base, indexes, parcel.data, ends, self.chunk.again

    def hear(self, message: tuple[Any, ...]) -> tuple[Any, ...]:
        """What has come back: ``("items", outcome, last)``."""
        self.heard_ns = perf_counter_ns()
        if message[0] != "items":
            return message
        _, done, work_ns, spent_ns, times, parcels, rows, told, last = message
        self._work_ns += work_ns
        self._spent_ns = spent_ns
        self._bytes += len(rows.data)
        loaded = load_rows(rows)
        if loaded.columns is not None and (parcels or not self._in_columns):
            loaded = Loaded(loaded.number, (), None, loaded.one_by_one())  # here, not on the loop
        if told is not None:
            failures, partial, tags = told
            told = (
                [(at, [(item, unpack_error(parcel)) for item, parcel in kept], total) for at, kept, total in failures],
                partial,
                tags,
            )
        errors = {place: unpack_error(parcel) for place, parcel in parcels.items()}
        return "items", Outcome(done, self._placed(times), errors, loaded, told), last

    def _placed(self, times: tuple[int, list[int]] | None) -> list[tuple[int, int]]:
        """How long each item took, and when it ended: they ran one right after the other, up to the first of ``times``.

        That is an instant of the worker's ``perf_counter_ns``, which Python says is one clock for all processes. Where
        it is not, the worker's time lies outside that of the request; then the last ended when the message came.
        """
        if times is None:
            return []
        ended_ns, took_ns = times
        whole_ns = sum(took_ns)
        if ended_ns > self.heard_ns or ended_ns - whole_ns < self._began_ns:
            ended_ns = self.heard_ns
        ends = accumulate(took_ns, initial=ended_ns - whole_ns + CLOCK_NS)
        next(ends)  # where the first began
        return list(zip(took_ns, ends, strict=True))

    def learn(self) -> None:
        """The process has done with it: tell the rule what it took."""
        if self.chunk.again:
            return
        # One that lay ready in the process was not waited for: then only what its worker did besides the work counts.
        whole_ns = self._spent_ns if self._behind else self.heard_ns - self._began_ns
        transport_ns = max(0, whole_ns - self._work_ns)
        self._crew.rule.learn(self.ended, self._work_ns, None if self._fresh else transport_ns, self._bytes)

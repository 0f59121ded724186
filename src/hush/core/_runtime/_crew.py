"""``Crew``: what the workers of one activation of a process map share, and ``Chunk``, what they hand to each other."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from hush.core._plan._compile import Policies
from hush.core._plan._model import Plan, StepPlan
from hush.core._runtime._chunks import ChunkRule
from hush.core._runtime._fanout import Fanout
from hush.core._runtime._frame import Frame
from hush.core._runtime._parcels import culprit, dumps, pack, reason
from hush.core._runtime._process_items import Given, Items
from hush.core._runtime._process_pool import pool_of
from hush.core._runtime._run import Run
from hush.core.errors import TransportError


class Chunk(NamedTuple):
    """Items to be run by one process, one after the other.

    Attributes:
        indexes: Ascending.
        again: Whether a process died with them. Then each is told of as it ends, so that the next to kill one is known,
            and they are no measure for other chunks.
    """

    indexes: Sequence[int]
    values: Sequence[Any]
    again: bool = False


class Crew:
    """What the workers of one activation of a process map share.

    Attributes:
        returned: Chunks that a process has handed back, for whoever is free.
        most_workers: How many workers there are at most.
        most_items: How many items each pulls at once at most, if there is a bound.
        fill_s: How long the source took the last time.
    """

    def __init__(self, run: Run, frame: Frame, step: StepPlan, policies: Policies) -> None:
        assert step.map is not None
        self.run = run
        self.step = step
        self.around = frame.item
        self._policies = policies
        most = step.map.max_concurrency
        self.pool = pool_of(run, step.path, most, self._setup)
        self.rule = ChunkRule(most)
        # A window of the user's is shared out: then whoever is free may pull, and it is never passed.
        window = step.map.window
        self.most_workers = 2 * most if window is None else min(2 * most, window)
        self.most_items = None if window is None else window // self.most_workers
        self.returned: deque[Chunk] = deque()
        self.fill_s = 0.0
        self._once = not frame.item and frame.round() is None
        self._base: bytes | None = None

    def _setup(self) -> bytes:
        assert self.step.map is not None
        assert self.step.map.apart is not None
        try:
            return dumps(partial(Items, self.step.map.apart, self._policies))
        except Exception as exc:
            raise TransportError(
                f"the body of {self.step.path} cannot be sent to a worker process: {reason(exc)} ({self.step.where})"
            ) from exc

    def base(self, fanout: Fanout) -> bytes:
        """What every item is given, as it is sent to a process that does not know it yet."""
        if self._base is None:
            body: Plan = fanout.body
            named = {key: fanout.base[slot] for key, slot in body.inputs.items() if slot not in fanout.slots}
            passed = {key: fanout.base[slot] for key, slot in body.imports.items()}
            each = fanout.plan.item_timeout_s is not None
            given = Given(named, passed, self.around, self.run.id, each, fanout.wanted(), fanout.timed)
            parcel = pack([given])
            if parcel.refused:
                told = {**named, **{f"{source.name}[{key!r}]": value for (source, key), value in passed.items()}}
                raise TransportError(
                    f"{self.step.path} cannot send its inputs to a worker process: {culprit(told, 'input')} "
                    f"({self.step.where})"
                )
            self._base = parcel.data
        return self._base

    def take_back(self, chunk: Chunk) -> None:
        """A process has had enough: others may do what it has left."""
        self.returned.append(chunk)

    def again(self, most: int) -> Chunk | None:
        """Up to ``most`` items that a process has handed back."""
        if not self.returned:
            return None
        chunk = self.returned.popleft()
        if len(chunk.indexes) > most:
            self.returned.appendleft(chunk._replace(indexes=chunk.indexes[most:], values=chunk.values[most:]))
            chunk = chunk._replace(indexes=chunk.indexes[:most], values=chunk.values[:most])
        return chunk

    def items_returned(self) -> int:
        """How many items wait to be taken ``again``."""
        return sum(len(chunk.indexes) for chunk in self.returned)

    async def close(self) -> None:
        """The map has ended. In another map or a loop it may come again: there its processes live on with the run."""
        if self._once:
            await self.pool.close()

"""``ChunkRule``: how many items of a map go to a worker process at once.

A pure class that is fed durations. Handing a chunk over costs a fixed time, and some more for each item. Large chunks
make the fixed part small against the work; small ones let the workers finish together, and keep little at stake when
one dies. So: as many items as make 100 ms of work, more only where handing over would else take more than a tenth of
it, never more than 200 ms or 16 MB; towards the end of a list no more than half of each worker's share of what is left.

A short chunk may wait in the process for the one before it, so that its worker need not wait for the parent. A chunk
that takes longer than it should is not brought to its end: what is left of it is handed back.
"""

from __future__ import annotations

TARGET_NS = 100_000_000
MOST_NS = 200_000_000
ENOUGH_NS = 2 * MOST_NS
"""A chunk that has taken so long is ended, and what is left of it handed back: the items are not like those before."""
MOST_BYTES = 16_000_000
SHARE = 10
"""The work of a chunk is to be at least this many times what handing it over costs."""
LEAST_TRANSPORT_NS = 100_000
"""Handing a chunk over is taken to cost so much at least: not all of it is seen where it is measured."""
_GROWTH = 16
"""A chunk is at most so many times the largest before: the first items may not be like the others."""


class ChunkRule:
    """The chunks of one map, for ``workers`` processes.

    Attributes:
        work_ns: The work of all chunks so far, as measured in the workers.
        transport_ns: What handing them over has cost besides.
    """

    __slots__ = (
        "_above_ns",
        "_bytes",
        "_fixed_ns",
        "_item_ns",
        "_items",
        "_largest",
        "_workers",
        "transport_ns",
        "work_ns",
    )

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._item_ns = 0.0
        # What chunks have cost above the fixed part, and how many items they had, each halved by the next.
        self._above_ns = self._items = 0.0
        self._fixed_ns: float | None = None
        self._bytes = 0.0
        self._largest = 0
        self.work_ns = self.transport_ns = 0

    def learn(self, items: int, work_ns: int, transport_ns: int | None, size_bytes: int) -> None:
        """A chunk has come back. ``transport_ns`` is ``None`` where it was not like that of others, as of the first."""
        if items < 1:
            return
        weight = 0.5 if self._largest else 1.0  # the latest half: items may change along the list
        self._item_ns += weight * (max(work_ns, 1) / items - self._item_ns)
        self._bytes += weight * (size_bytes / items - self._bytes)
        self._largest = max(self._largest, items)
        self.work_ns += work_ns
        if transport_ns is None:
            return
        transport_ns = max(transport_ns, LEAST_TRANSPORT_NS)
        self.transport_ns += transport_ns
        # The cheapest chunk tells best what the fixed part is: the others had to wait for the processor, too.
        if self._fixed_ns is None or transport_ns < self._fixed_ns:
            self._fixed_ns = float(transport_ns)
        # Large chunks tell best what each item costs: of a small one it is nothing beside the wait for the processor.
        self._above_ns = (1 - weight) * self._above_ns + (transport_ns - self._fixed_ns)
        self._items = (1 - weight) * self._items + items

    def least(self) -> int:
        """The fewest items whose work makes handing them over a tenth of it; as many as are allowed if none do."""
        if not self._largest:
            return 1
        most = max(1, int(MOST_NS / self._item_ns))
        gain_ns = self._item_ns - SHARE * (self._above_ns / self._items if self._items else 0.0)
        if gain_ns <= 0:
            return most
        return min(most, max(1, -int(-SHARE * (self._fixed_ns or 0.0) // gain_ns)))

    def is_short(self, items: int) -> bool:
        """Whether a chunk of so many may wait in a process for the one before it, as far as is known.

        Handing over costs nothing then that is seen, but nobody else can take what lies there, should that one last.
        """
        return self._largest > 0 and items * self._item_ns <= TARGET_NS

    def size(self, left: int | None) -> int:
        """How many items the next chunk is to have, of ``left`` where that is known."""
        if not self._largest:
            return 1
        least = self.least()
        size = max(int(TARGET_NS / self._item_ns), least, 1)
        if left is not None:
            # Half of a worker's share, or what handing over wants, but never more than the whole share.
            size = min(size, max(-(-left // (2 * self._workers)), min(least, -(-left // self._workers))))
        size = min(size, _GROWTH * self._largest)
        if self._bytes:
            size = min(size, int(MOST_BYTES / self._bytes))
        return max(1, size)

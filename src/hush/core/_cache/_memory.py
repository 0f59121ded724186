"""The cache in memory: one for the process, bounded, in which what has not been used for longest goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict

from hush.core._cache._values import Packed

MAX_ENTRIES = 10_000
MAX_BYTES = 256 * 1024 * 1024
_OVERHEAD = 300
"""What an entry takes besides its text: its key, the objects around it."""


class MemoryStore:
    """Packed values by key. Safe in threads."""

    name = "memory"

    def __init__(self, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._entries: OrderedDict[bytes, Packed] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> Packed | None:
        """What is kept under ``key``, which counts as used now."""
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
            return found

    def put(self, key: bytes, packed: Packed) -> bool:
        """Keep ``packed``, and drop what no longer fits. ``False`` if it alone is too large."""
        size = len(packed.data) + _OVERHEAD
        if size > self._max_bytes:
            return False
        with self._lock:
            old = self._entries.pop(key, None)
            if old is not None:
                self.bytes -= len(old.data) + _OVERHEAD
            self._entries[key] = packed
            self.bytes += size
            while len(self._entries) > self._max_entries or self.bytes > self._max_bytes:
                _, gone = self._entries.popitem(last=False)
                self.bytes -= len(gone.data) + _OVERHEAD
        return True

    def forked(self) -> None:
        """This process was forked off, maybe while a thread was in the middle of something here: begin anew."""
        self._lock = threading.Lock()
        self._entries = OrderedDict()
        self.bytes = 0

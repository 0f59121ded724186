"""``in_short_turns``: meanwhile whoever waits for the interpreter has it after half a millisecond, and not after five.

Each statement of SQLite lets the interpreter go, and beside a busy loop Python gives it back after 5 ms. So a
transaction of one millisecond took a hundred, in which no other process could write to the file.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock

_SHORT_S = 0.0005  # not what others set for good, as ``hush.cli._signals`` does: this alone is put back
_lock = Lock()
_inside = 0
_before_s = 0.0


@contextmanager
def in_short_turns() -> Generator[None]:
    """In any number of threads at once; the last one puts back what was there, unless somebody else has changed it."""
    global _inside, _before_s  # noqa: PLW0603  # the interval is the process's too
    with _lock:
        if not _inside:
            _before_s = sys.getswitchinterval()
            if _before_s > _SHORT_S:
                sys.setswitchinterval(_SHORT_S)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside and sys.getswitchinterval() == _SHORT_S:
                sys.setswitchinterval(_before_s)

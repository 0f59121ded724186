"""Tells threads that are left running from those that only wait for work of the pool they belong to."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from hush.testing._left import Leak
from hush.testing._tasks import is_users, place

# Pools that live as long as the process or their event loop: Hush's own threads and the default executors of asyncio's
# and uvloop's loops. Their threads are left behind only while they are at work.
_POOLS = ("hush", "asyncio_", "uvloop_")


def is_loop_of_hush(loop: Any) -> bool:
    """Whether it is run by one of Hush's own threads, which live as long as the process."""
    mine = [each for each in threading.enumerate() if each.name.startswith("hush")]
    return any(getattr(frame.f_locals.get("self"), "loop", None) is loop for each in mine for frame in _frames(each))


def is_idle(thread: threading.Thread) -> bool:
    """Whether it belongs to such a pool and does not run the user's code."""
    return thread.name.startswith(_POOLS) and _at(thread) is None


def _frames(thread: threading.Thread) -> Iterator[FrameType]:
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _at(thread: threading.Thread) -> FrameType | None:
    return next((f for f in _frames(thread) if is_users(f.f_code.co_filename)), None)


def as_leak(thread: threading.Thread) -> Leak:
    """The record of a thread that is left running."""
    target: Any = getattr(thread, "_target", None)
    code = getattr(target, "__code__", None)
    places = [f"runs {target.__qualname__}() of {place(code.co_filename, code.co_firstlineno)}"] if code else []
    if (frame := _at(thread)) is not None:
        places.append(f"is at {place(frame.f_code.co_filename, frame.f_lineno)}")
    return Leak(
        "thread",
        f"{thread.name!r} is running",
        ", ".join(places),
        "Tell it to end and join() it; use an executor in a block: with ThreadPoolExecutor() as pool: ...",
    )

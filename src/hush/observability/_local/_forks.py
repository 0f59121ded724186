"""Files of traces are closed before this process is forked, so that parent and child each open them for themselves.

SQLite counts in the process's memory which locks it holds, and a fork copies the count but not the locks: a child that
opened the file while the parent's connection is in its memory would take itself for safe, and whoever closes the file
next would delete the log that the child writes to: https://www.sqlite.org/howtocorrupt.html
"""

from __future__ import annotations

import os
from threading import Lock, RLock
from typing import Protocol
from weakref import ref


class Closable(Protocol):
    """A file that can be closed at any time while its lock is held, and is opened again when it is needed."""

    lock: Lock

    def let_go(self) -> None:
        """Close it."""
        ...


_WAIT_S = 5.0  # a transaction under way takes milliseconds, or waits for another process
_all: list[ref[Closable]] = []
_forking = RLock()  # two threads may fork at once, and a signal's function while its thread does
_held: list[list[Closable]] = []  # by the forks that are under way


def close_before_forks(file: Closable) -> None:
    """Close ``file`` before each fork, from now on."""
    _all[:] = [each for each in _all if each() is not None]
    _all.append(ref(file))


def _there() -> list[Closable]:
    return [file for file in (each() for each in list(_all)) if file is not None]


def _before() -> None:
    _forking.acquire()
    held: list[Closable] = []
    _held.append(held)
    for file in _there():
        if file.lock.acquire(timeout=_WAIT_S):
            held.append(file)
            file.let_go()


def _after_in_parent() -> None:
    for file in _held.pop():
        file.lock.release()
    _forking.release()


def _after_in_child() -> None:
    global _forking  # noqa: PLW0603  # the one place that makes it anew
    _forking = RLock()
    _held.clear()
    for file in _there():
        file.lock = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)

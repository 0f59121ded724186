"""The stores of this process: one in memory, and one for each file, however its path is spelt."""

from __future__ import annotations

import atexit
import os
import threading
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from hush.core._cache._file import FileStore
from hush.core._cache._memory import MemoryStore

Store: TypeAlias = MemoryStore | FileStore

_memory = MemoryStore()
_files: dict[str, FileStore] = {}
_lock = threading.Lock()


_of_test_loops: WeakKeyDictionary[Any, MemoryStore] = WeakKeyDictionary()


def memory_of(loop: Any) -> MemoryStore:
    """The store in memory for runs on ``loop``: a loop of the test kit has one of its own, so that its seed decides."""
    if getattr(loop, "runs_inline", None) is None:
        return _memory
    found = _of_test_loops.get(loop)
    if found is None:
        found = _of_test_loops[loop] = MemoryStore()
    return found


def store_of(cache: str) -> Store:
    """The store that ``cache=`` names. A path counts from the working directory of now."""
    if cache == "memory":
        return _memory
    path = os.path.normcase(os.path.realpath(os.path.expanduser(cache)))
    with _lock:
        found = _files.get(path)
        if found is None:
            found = _files[path] = FileStore(path)
        return found


def _close_all() -> None:
    for store in tuple(_files.values()):
        store.close()


atexit.register(_close_all)


_forking = threading.RLock()  # two threads may fork at once, and a signal's function while its thread does
_closed: list[list[FileStore]] = []  # by the forks that are under way


def _before_fork() -> None:
    _forking.acquire()
    closed: list[FileStore] = []
    _closed.append(closed)
    closed.extend(store for store in tuple(_files.values()) if store.before_fork())


def _after_in_parent() -> None:
    for store in _closed.pop():
        store.after_fork()
    _forking.release()


def _after_in_child() -> None:
    global _forking, _lock  # the one place that makes them anew
    _forking, _lock = threading.RLock(), threading.Lock()
    _memory.forked()
    for store in _files.values():
        store.forked(closed=store in _closed[-1])
    _closed.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)

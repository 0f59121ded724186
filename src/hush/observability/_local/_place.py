"""Where the file of traces lies, and how it is made so that nobody else can read it."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from hush.core.errors import UsageError

VARIABLE = "HUSH_TRACES_DB"
DEFAULT = os.path.join("~", ".hush", "traces.db")


def traces_file(path: Any, who: str) -> str:
    """The whole path that ``who(path)`` means: what is given, else ``HUSH_TRACES_DB``, else ``~/.hush/traces.db``.

    Links are followed, so that one file has one name. Raises ``UsageError`` for what cannot be a file's path; the file
    need not be there.
    """
    if path is None:
        given: Any = os.environ.get(VARIABLE) or DEFAULT
        said = f"{VARIABLE}={given!r}" if os.environ.get(VARIABLE) else f"{who}()"
    else:
        given, said = path, f"{who}({path!r})"
    try:
        text = os.fsdecode(os.fspath(given))
    except TypeError:
        raise UsageError(f'{said}: it is the path of a file, such as "traces.db".') from None
    if not text or "\0" in text:
        raise UsageError(f'{said}: it is the path of a file, such as "traces.db".')
    if text == ":memory:" or text.startswith("file:"):
        raise UsageError(f"{said}: traces are kept in a file, which several processes may read; write its path.")
    text = os.path.realpath(os.path.expanduser(text))
    if os.path.isdir(text):
        raise UsageError(f"{said}: it is a folder. Write {os.path.join(text, 'traces.db')!r}.")
    return text


def identity_at(path: str) -> tuple[int, int] | None:
    """Which file lies at ``path`` now: another one if it was replaced; ``None`` if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def make_file(path: str) -> None:
    """Make an empty file that only its owner can read, in a folder of the same kind, unless they are there.

    What another database of this name has left beside it goes, or SQLite would take it for this one's. Processes that
    do so at the same time wait for each other. Raises ``OSError``.
    """
    if os.path.exists(path):
        return
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with _alone_in(folder):
        if os.path.exists(path):
            return
        for rest in ("-wal", "-shm", "-journal"):
            try:
                os.unlink(path + rest)
            except FileNotFoundError:
                pass
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


@contextmanager
def _alone_in(folder: str) -> Generator[None]:
    """No other process makes a file here. Where folders cannot be locked, open files cannot be deleted either."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            pass  # not on this disk
        yield
    finally:
        os.close(descriptor)

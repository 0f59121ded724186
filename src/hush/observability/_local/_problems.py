"""What is wrong with a file of traces, in words: ``TraceError``, and what SQLite's errors mean for its user."""

from __future__ import annotations

import os
import sqlite3
from typing import NamedTuple

from hush.core.errors import HushError


class TraceError(HushError):
    """Raised when a file of traces cannot be read, or has no such run; the message says which there are."""


class Problem(NamedTuple):
    """A failure of the file: in words, whether the same may go well in a moment, and whether to open it anew."""

    message: str
    again: bool
    reopen: bool


class Unusable(Exception):
    """The file is something else than this version of Hush can read and write; the message is for the user."""


class Damaged(Exception):
    """A record in the file is none that any Hush has written; the message says which, and what is wrong with it."""


_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_PASSING = (*_BUSY, "SQLITE_PROTOCOL", "SQLITE_INTERRUPT")
_DAMAGED = ("SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_FORMAT")
_ELSEWHERE = "or name another file: HUSH_TRACES_DB, or LocalTracer(path)"


def problem_of(exc: BaseException, path: str) -> Problem:
    """What ``exc``, which came of using the file at ``path``, means and how it is mended."""
    if isinstance(exc, Unusable):
        return Problem(str(exc), again=False, reopen=True)
    name = str(getattr(exc, "sqlite_errorname", "") or type(exc).__name__)
    if isinstance(exc, Damaged):
        return Problem(f"{path} is damaged ({exc}): move it away, {_ELSEWHERE}.", again=False, reopen=True)
    if name.startswith(_PASSING):
        return Problem(f"the traces in {path} are kept locked by somebody else ({exc}).", True, False)
    if name.startswith("SQLITE_FULL"):
        return Problem(f"no room to write traces to {path} ({exc}): make some, {_ELSEWHERE}.", False, False)
    if name.startswith(_DAMAGED):
        return Problem(
            f"{path} is damaged, or no file of traces ({exc}): move it away, {_ELSEWHERE}.", again=False, reopen=True
        )
    if name.startswith("SQLITE_READONLY") or isinstance(exc, PermissionError):
        return Problem(
            f"traces cannot be written to {path} ({exc}): allow this user to write the file and its folder, "
            f"{_ELSEWHERE}.",
            again=False,
            reopen=True,
        )
    if name.startswith("SQLITE_CANTOPEN") and os.path.exists(path) and not os.access(path, os.R_OK):
        return Problem(
            f"{path} is not one that this user can read ({exc}): traces are for their owner alone; ask as that user, "
            f"{_ELSEWHERE}.",
            again=False,
            reopen=True,
        )
    if name.startswith("SQLITE_CANTOPEN") or isinstance(exc, OSError):
        return Problem(
            f"{path} cannot be opened ({exc}): see that its folder {os.path.dirname(path)} is one that this user can "
            f"write to, {_ELSEWHERE}.",
            again=False,
            reopen=True,
        )
    if name.startswith("SQLITE_IOERR"):
        return Problem(
            f"the disk refused to write traces to {path} ({name}: {exc}): see whether it is full, or has a bound, "
            f"{_ELSEWHERE}.",
            again=False,
            reopen=True,
        )
    return Problem(f"traces cannot be kept in {path} ({name}: {exc}).", again=False, reopen=True)


def is_busy(exc: BaseException) -> bool:
    """Whether another process is writing the file, or keeps it locked."""
    return str(getattr(exc, "sqlite_errorname", "")).startswith(_BUSY)


def is_sqlite(exc: BaseException) -> bool:
    """Whether it tells of the file, and not of a mistake of ours."""
    return isinstance(exc, sqlite3.Error | OSError | Unusable | Damaged)

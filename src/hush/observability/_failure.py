"""``failure_of``: an exception as a record: what it says, without secrets, and where it was raised, without values."""

from __future__ import annotations

from collections import deque
from typing import Any

from hush.core.errors import FailureInfo
from hush.core.extend import without_named_secrets
from hush.observability._kinds import issubclass_of
from hush.observability._look import attribute, attributes, full_name
from hush.observability._preview import clean, exact, parts_of, said, shown
from hush.observability._span import Failure, Frame

_MESSAGE = 4_000
_NOTES = 20
_FRAMES = 50
_PARTS = 20
_DEPTH = 4
_MOST = 200
"""Records of all causes and parts of one error together: groups of groups may hold any number."""

_cause: Any = BaseException.__dict__["__cause__"].__get__
_context: Any = BaseException.__dict__["__context__"].__get__
_suppressed: Any = BaseException.__dict__["__suppress_context__"].__get__
_trace: Any = BaseException.__dict__["__traceback__"].__get__


def failure_of(error: Any) -> Failure:
    """The record of ``error``, which a body may also have written as a value that is no exception.

    Lines of source are not read here, since that may block, and of the user's code only the error's ``__str__`` runs.
    Causes are those it was raised from, or while handling which it was raised, unless that is suppressed; then the
    parts of a group.
    """
    return _failure_of(error, 0, [_MOST])


def described(error: BaseException) -> str:
    """An error in a line, for the log."""
    return f"{full_name(type(error))}: {said(error)}"


def _failure_of(error: Any, depth: int, left: list[int]) -> Failure:
    left[0] -= 1
    kind = type(error)
    if not issubclass_of(kind, BaseException):
        return Failure("reported", clean(str(shown(error)), _MESSAGE, without_named_secrets))
    causes: list[Failure] = []
    if depth < _DEPTH:
        cause = _cause(error)
        if cause is None and not _suppressed(error):  # by identity: an error may say of itself that it is not true
            cause = _context(error)
        found = [] if cause is None or cause is error else [cause]
        for each in (*found, *parts_of(error)[:_PARTS]):
            if left[0] > 0:
                causes.append(_failure_of(each, depth + 1, left))  # noqa: PERF401  # ``left`` changes meanwhile
    return Failure(
        type=full_name(kind),
        message=clean(said(error), _MESSAGE, without_named_secrets),
        frames=_frames(error),
        notes=_notes(error),
        causes=tuple(causes),
        path=_path(error),
    )


def _path(error: BaseException) -> str | None:
    info = attributes(error).get("hush")
    path = attribute(info, "path") if type(info) is FailureInfo else None
    return clean(path, _MESSAGE) if type(path) is str else None


def _notes(error: BaseException) -> tuple[str, ...]:
    notes = attributes(error).get("__notes__")
    if type(notes) is not list and type(notes) is not tuple:
        return ()
    return tuple(
        clean(exact(note), _MESSAGE, without_named_secrets) for note in notes[:_NOTES] if issubclass_of(type(note), str)
    )


def _frames(error: BaseException) -> tuple[Frame, ...]:
    first: list[Frame] = []
    last: deque[Frame] = deque(maxlen=_FRAMES // 2)  # of a deep recursion: where it began, and where it ended
    trace = _trace(error)
    while trace is not None:
        code = trace.tb_frame.f_code
        file, function = code.co_filename, code.co_qualname
        if not _is_plain(file) or not _is_plain(function):
            file, function = clean(file, _MESSAGE), clean(function, _MESSAGE)
        (first if len(first) < _FRAMES // 2 else last).append(Frame(file, trace.tb_lineno or 0, function))
        trace = trace.tb_next
    return (*first, *last)


def _is_plain(name: str) -> bool:
    return name.isascii() and len(name) <= _MESSAGE and "\0" not in name

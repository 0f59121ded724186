"""``failure_of``: an exception as a record: what it says, without secrets, and where it was raised, without values."""

from __future__ import annotations

from collections import deque
from typing import Any

from hush.core.extend import without_named_secrets
from hush.observability._preview import clean, parts_of, said, shown
from hush.observability._span import Failure, Frame

_MESSAGE = 4_000
_NOTES = 20
_FRAMES = 50
_CAUSES = 5
_PARTS = 20
_DEPTH = 4


def failure_of(error: Any, depth: int = 0) -> Failure:
    """The record of ``error``, which a body may also have written as a value that is no exception.

    Lines of source are not read here, since that may block. Causes are those it was raised from, or while handling
    which it was raised, unless that is suppressed; then the parts of a group.
    """
    if not isinstance(error, BaseException):
        return Failure("reported", clean(str(shown(error)), _MESSAGE))
    kind = type(error)
    name = (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )
    notes = [note for note in getattr(error, "__notes__", ()) if isinstance(note, str)]
    causes: list[Failure] = []
    if depth < _DEPTH:
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is not None and cause is not error:
            causes.append(failure_of(cause, depth + 1))
        causes += [failure_of(part, depth + 1) for part in parts_of(error)[:_PARTS]]
    return Failure(
        type=name,
        message=clean(said(error), _MESSAGE, without_named_secrets),
        frames=_frames(error),
        notes=tuple(clean(note, _MESSAGE, without_named_secrets) for note in notes[:_NOTES]),
        causes=tuple(causes),
    )


def _frames(error: BaseException) -> tuple[Frame, ...]:
    first: list[Frame] = []
    last: deque[Frame] = deque(maxlen=_FRAMES // 2)  # of a deep recursion: where it began, and where it ended
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        (first if len(first) < _FRAMES // 2 else last).append(
            Frame(code.co_filename, trace.tb_lineno, code.co_qualname)
        )
        trace = trace.tb_next
    return (*first, *last)

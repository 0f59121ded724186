"""What failed, as the command tells it: short, with the user's lines, and without Hush's own."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Sequence
from traceback import FrameSummary, TracebackException, extract_tb
from typing import Any

from hush.cli._places import shown_path
from hush.cli._safe import safe, shortened
from hush.cli._words import counted
from hush.core.errors import FailureInfo, TooManyFailures
from hush.core.extend import without_named_secrets

_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_IMPORTING = ("<frozen importlib", "<frozen runpy", os.path.dirname(importlib.__file__) + os.sep)
_NOTE = "Hush: raised in"
_MOST_SHOWN = 5
_MOST_CAUSES = 10
_LONGEST_LINE = 200
_LONGEST_CAUSE = 80
_LONGEST = 2000


def failure_text(error: BaseException, *, whole: bool = False) -> str:
    """What a run failed with: a line for each failure, what it had gone on after before, then the traceback.

    ``whole`` with Hush's own frames and all causes. Without secrets, and safe for a terminal.
    """
    located = list(_located(error))
    lines = [_line(one) for one in located[:_MOST_SHOWN]]
    if len(located) > _MOST_SHOWN:
        lines.append(f"  and {len(located) - _MOST_SHOWN} more")
    info = info_of(error)
    if info is not None and info.errors.total:
        head = _head(info.errors, info.errors.total)
        lines += [f"{head} before it, which the run had gone on after:", *_grouped(info.errors)]
    else:
        for one in located[:_MOST_SHOWN]:
            lines += _tolerated(one)
    if whole or any(own_frames(one) for one in _chain(error)):
        lines += ["", traceback_of(error, whole=whole)]
    return "\n".join(lines)


def failures_text(errors: Sequence[Any], total: int) -> str:
    """What a run went on without: failures with the same cause together, as ``hush show`` has them, most at the top."""
    return "\n".join([f"partial: the run went on without {_head(errors, total)}", *_grouped(errors)])


def _head(errors: Sequence[Any], total: int) -> str:
    kept = len(errors)
    return counted(total, "failure") + (f" ({kept:,} of them kept)" if kept < total else "")


def _grouped(errors: Iterable[Any]) -> list[str]:
    from hush.observability._causes import fewer, key_of
    from hush.observability._failure import failure_of

    alike: dict[tuple[Any, ...], list[Any]] = {}
    for error in errors:
        path = str(getattr(info_of(error), "path", ""))
        alike.setdefault(key_of(path, failure_of(error), "collected"), []).append(error)
    groups = [[error for key in keys for error in alike[key]] for keys in fewer(alike).values()]
    groups.sort(key=len, reverse=True)
    lines = [_group(group) for group in groups[:_MOST_SHOWN]]
    left = groups[_MOST_SHOWN:]
    if left:
        lines.append(f"  and {counted(sum(map(len, left)), 'failure')} of {counted(len(left), 'other kind')}")
    return lines


def _group(errors: list[Any]) -> str:
    infos = [info_of(error) for error in errors]
    path = str(getattr(infos[0], "path", ""))
    where = f"{safe(path)}: " if path else ""
    messages = {_message(error) for error in errors}
    such_as = ": " if len(messages) == 1 else ", such as: "
    items = sorted((info for info in infos if info is not None and info.item is not None), key=_place)
    shown = [_item(info) for info in items[:_MOST_SHOWN]]
    first = next((error for error in errors if info_of(error) is (items or infos)[0]), errors[0])
    said = f"{type(first).__name__}{such_as}{_message(first)}"
    if isinstance(cause := getattr(first, "__cause__", None), BaseException):
        said += f", from {type(cause).__name__}: {shortened(_message(cause), _LONGEST_CAUSE)}"
    return f"  {len(errors):,} × {where}{said}{_items(shown, len(errors))}"


def in_short(error: BaseException) -> str:
    """Where and with what a run failed, in one line, without secrets and safe for a terminal."""
    first = next(iter(_located(error)), error)
    path = getattr(info_of(first), "path", "")
    others = sum(1 for _ in _located(error)) - 1
    said = f"{safe(path)}: " if path else ""
    return f"{said}{type(first).__name__}: {_message(first)}" + (f", and {others} more" if others > 0 else "")


def info_of(error: BaseException) -> FailureInfo | None:
    """What Hush has noted on a failure; nothing of an attribute of that name that is the user's."""
    info = error.__dict__.get("hush")
    return info if isinstance(info, FailureInfo) else None


def _place(info: Any) -> tuple[int, ...]:
    return (*info.outer, info.item)


def traceback_of(error: BaseException, *, whole: bool = False) -> str:
    """The traceback as Python prints it, without secrets.

    Unless ``whole``, without the frames of Hush and of importing, and of long messages only the beginning.
    """
    told = TracebackException.from_exception(error, compact=True, max_group_width=_MOST_SHOWN, max_group_depth=4)
    if not whole:
        _without_own(told)
        _without_the_middle(told)
    text = "".join(told.format() if whole else map(_beginning, told.format()))
    return safe(without_named_secrets(text.rstrip("\n")), lines=True)


def _beginning(part: str) -> str:
    """What of a message, or a line, does not push all else off the screen."""
    if len(part) <= _LONGEST:
        return part
    return f"{without_named_secrets(part)[:_LONGEST]}…\n"  # half a secret would not be known as one


def own_frames(error: BaseException) -> list[FrameSummary]:
    """The lines of the user, and of what he calls, that the failure passed through."""
    return [frame for frame in extract_tb(error.__traceback__) if not _is_ours(frame.filename)]


def as_data(error: BaseException) -> dict[str, Any]:
    """A failure for a line of JSON."""
    info = info_of(error)
    found = {"type": type(error).__qualname__, "message": without_named_secrets(_text(error))}
    if info is None:
        return found
    return {**found, "path": info.path, "item": info.item, "file": info.file, "line": info.line, "run": info.run}


def _is_ours(file: str) -> bool:
    return file.startswith(_OWN) or file.startswith(_IMPORTING)


def _without_own(told: TracebackException) -> None:
    seen: set[int] = set()
    todo = [told]
    while todo:  # a chain of causes may be longer than the stack is deep
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        one.stack[:] = [frame for frame in one.stack if not _is_ours(frame.filename)]
        # The line above the traceback says where it was; notes of the user stay.
        notes = getattr(one, "__notes__", None)
        if notes:
            one.__notes__ = [note for note in notes if not str(note).startswith(_NOTE)]
        todo += [other for other in (one.__cause__, one.__context__, *(one.exceptions or ())) if other is not None]


def _without_the_middle(told: TracebackException) -> None:
    """Of a long chain of causes leave the last that were raised, and the first, where it began."""
    chain = [told]
    while (before := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(before)
    left_out = len(chain) - 2 * _MOST_CAUSES
    if left_out <= 0:
        return
    last, first = chain[_MOST_CAUSES - 1], chain[-_MOST_CAUSES]
    if last.__cause__ is not None:
        last.__cause__ = first
    else:
        last.__context__ = first
    note = f"({counted(left_out, 'exception')} between these two left out; --traceback shows all)"
    first.__notes__ = [*(getattr(first, "__notes__", None) or ()), note]


def _located(error: BaseException) -> Iterable[BaseException]:
    if isinstance(error, BaseExceptionGroup) and info_of(error) is None:
        for one in error.exceptions:
            yield from _located(one)
    elif isinstance(error, BaseExceptionGroup):
        parts = [part for one in error.exceptions for part in _located(one)]
        yield from parts if all(info_of(part) is not None for part in parts) else [error]
    else:
        yield error


def _chain(error: BaseException) -> Iterable[BaseException]:
    seen: set[int] = set()
    todo = [error]
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        todo += [other for other in (one.__cause__, one.__context__) if other is not None]
        if isinstance(one, BaseExceptionGroup):
            todo += one.exceptions


def _line(error: BaseException) -> str:
    info = info_of(error)
    message = shortened_lines(without_named_secrets(_text(error)))
    said = f"{type(error).__name__}: {message}".replace("\n", "\n  ")
    if info is None:
        return f"failed: {said}"
    item = f", item {at}" if (at := _item(info)) else ""
    again = f", attempt {info.attempt}" if info.attempt > 1 else ""
    turn = f", round {info.round}" if info.round is not None else ""
    place = safe(f"{shown_path(info.file)}:{info.line}")
    return f"failed: {safe(info.path)}{item}{turn}{again} ({place})\n  {said}"


def _items(shown: list[str], count: int) -> str:
    if not shown:
        return ""
    more = ", …" if len(shown) < count else ""
    return f" ({'item' if count == 1 else 'items'} {', '.join(shown)}{more})"


def _item(info: Any) -> str:
    if info is None or info.item is None:
        return ""
    numbers = ".".join(str(number) for number in (*info.outer, info.item))
    return f"{numbers} ({shortened(str(info.key), 60)})" if info.key is not None else numbers


def _message(error: Any) -> str:
    return shortened(without_named_secrets(_text(error)), _LONGEST_LINE)


def _text(error: Any) -> str:
    try:
        return str(error) or "(no message)"
    except Exception as exc:  # the class is the user's
        return f"its message cannot be read: {type(exc).__name__}"


def shortened_lines(text: str) -> str:
    """The first lines of a long text, safe for a terminal."""
    return safe(text, lines=True) if len(text) <= _LONGEST else f"{safe(text[:_LONGEST], lines=True)}…"


def _tolerated(error: BaseException) -> list[str]:
    """The first of the failures that were too many for a map of another run, inside a function."""
    if not isinstance(error, TooManyFailures):
        return []
    shown = [one for one in error.errors if isinstance(one, BaseException)][:3]
    lines = []
    for one in shown:
        at = _item(info_of(one))
        lines.append(f"    {f'item {at}: ' if at else ''}{type(one).__name__}: {_message(one)}")
    return lines

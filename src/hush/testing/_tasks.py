"""Says of a task what it runs, where it stands and where it was made, in the lines of the user's own code."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

from hush.testing._left import Leak

# Frames in these folders are machinery: what the user can mend stands elsewhere.
_HUSH = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
_STDLIB = os.path.join(os.path.dirname(os.path.abspath(os.__file__)), "")
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def is_users(filename: str) -> bool:
    """Whether code of this file may be the user's: it is neither Hush's nor the standard library's."""
    if filename.startswith(("<frozen", _HUSH)):
        return False
    return not filename.startswith(_STDLIB) or any(folder in filename for folder in _INSTALLED)


def place(filename: str, line: int) -> str:
    """``file:line``, the file as seen from the working directory if it lies in it."""
    here = os.path.join(os.getcwd(), "")
    return f"{filename.removeprefix(here)}:{line}"


def place_of_caller() -> str:
    """The nearest line of user's code that led to this call, or nothing."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            return place(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return ""


def _frames(awaited: Any) -> Iterator[FrameType]:
    """The suspended frames of a coroutine, outermost first."""
    while awaited is not None:
        for kind in ("cr", "gi", "ag"):
            frame = getattr(awaited, f"{kind}_frame", None)
            if frame is not None:
                yield frame
                awaited = getattr(awaited, "gi_yieldfrom" if kind == "gi" else f"{kind}_await", None)
                break
        else:
            return


def standing(task: asyncio.Task[Any]) -> str:
    """The innermost line of user's code that the task waits at, or nothing."""
    found = [frame for frame in _frames(task.get_coro()) if is_users(frame.f_code.co_filename)]
    return place(found[-1].f_code.co_filename, found[-1].f_lineno) if found else ""


def _made(task: asyncio.Task[Any]) -> str:
    made_at = getattr(task.get_loop(), "made_at", None)  # a virtual loop knows
    if made_at is not None:
        return str(made_at(task))
    # Other loops know in debug mode: `PYTHONASYNCIODEBUG=1`.
    frames = [f for f in getattr(task, "_source_traceback", None) or () if is_users(f.filename)]
    return place(frames[-1].filename, frames[-1].lineno) if frames else ""


def _called(coro: Any) -> str:
    code = getattr(coro, "cr_code", None) or getattr(coro, "gi_code", None)
    name = getattr(coro, "__qualname__", None) or repr(coro)
    return f"{name}()" if code is None else f"{name}() of {place(code.co_filename, code.co_firstlineno)}"


def as_leak(task: asyncio.Task[Any]) -> Leak:
    """The record of a task that is still alive."""
    made, at = _made(task), standing(task)
    places = [f"made at {made}" if made else "", f"waits at {at}" if at else ""]
    return Leak(
        "task",
        f"{task.get_name()} is alive, running {_called(task.get_coro())}",
        ", ".join(filter(None, places)),
        "Await it, or make it in an asyncio.TaskGroup; after task.cancel() it must be awaited too.",
    )


def alive_on(loop: asyncio.AbstractEventLoop) -> list[Leak]:
    """A record for each task of the loop that is not done."""
    return sorted((as_leak(task) for task in asyncio.all_tasks(loop)), key=str)

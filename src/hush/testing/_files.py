"""Finds the files, sockets and event loops that are open in this process, and says what they are."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import socket
import tracemalloc
import warnings
from collections.abc import Iterable
from typing import Any

from hush.core.protocols import kept_open
from hush.testing._left import Leak
from hush.testing._tasks import is_users, place

_LISTING = next((path for path in ("/proc/self/fd", "/dev/fd") if os.path.isdir(path)), None)

# Of the objects over one descriptor the outermost is the one that the user opened.
_KINDS = (socket.socket, io.TextIOBase, io.BufferedIOBase, io.IOBase)


def open_files() -> dict[int, str]:
    """Descriptor → what it is. Empty where the system does not tell, as on Windows.

    Those that Hush keeps open from one run to the next are left out.
    """
    found: dict[int, str] = {}
    for name in os.listdir(_LISTING) if _LISTING else ():
        try:
            number = int(name)
            identity = _identity(number)
            if not identity.startswith(tuple(kept_open)):
                found[number] = identity
        except OSError:
            pass  # the listing's own descriptor is closed by now
    return found


def _identity(number: int) -> str:
    if _LISTING == "/proc/self/fd":
        return os.readlink(f"/proc/self/fd/{number}")
    stat = os.fstat(number)
    return f"device {stat.st_dev}, inode {stat.st_ino}"


def as_leak(number: int, identity: str) -> Leak:
    """The record of one descriptor, with the object that holds it and where that was made, if it can be found."""
    holder = _holder(number)
    what = f"{identity} (descriptor {number})" if holder is None else f"{holder!r} (descriptor {number})"
    trace = tracemalloc.get_object_traceback(holder) if holder is not None else None
    frames = [frame for frame in trace or () if is_users(frame.filename)] or list(trace or ())
    where = f"opened at {place(frames[-1].filename, frames[-1].lineno)}" if frames else ""
    mend = "Close it, or open it in a block: with open(...) as file: ..."
    if identity.startswith("socket:"):
        mend = "Close it; after writer.close() comes await writer.wait_closed()."
    if not tracemalloc.is_tracing():
        mend += " Run python with -X tracemalloc=9 to be told where it was opened."
    return Leak("file", what, where, mend)


def _holder(number: int) -> Any:
    found: list[tuple[int, Any]] = []
    for each in gc.get_objects():
        kind = type(each)
        rank = next((rank for rank, known in enumerate(_KINDS) if issubclass(kind, known)), None)
        if rank is None:
            continue
        try:
            if each.fileno() == number:
                found.append((rank, each))
        except (OSError, ValueError, AttributeError):
            pass  # it is closed, or is no file of the system's
    return min(found, key=lambda pair: pair[0])[1] if found else None


# --- event loops ------------------------------------------------------------------------------------------------------
def open_loops(objects: Iterable[Any]) -> list[Any]:
    """The event loops among the objects that are not closed."""
    return [each for each in objects if issubclass(type(each), asyncio.AbstractEventLoop) and not each.is_closed()]


def may_be_of_a_loop(identity: str) -> bool:
    """Whether a loop that does not tell its descriptors, such as uvloop's, may have opened one like this for itself."""
    return identity.startswith(("anon_inode:", "pipe:", "/dev/null"))


def may_be_spare(number: int, identity: str) -> bool:
    """Whether such a loop may have opened it with its first server, to have one to close when there are no more."""
    return identity == "/dev/null" and _holder(number) is None


def is_silent(loop: Any) -> bool:
    """Whether it does not tell which descriptors it needs."""
    return not isinstance(loop, asyncio.BaseEventLoop)


def files_of(loop: Any) -> set[int]:
    """The descriptors that an event loop needs for itself."""
    found: set[int] = set()
    for part in ("_selector", "_ssock", "_csock"):
        try:
            found.add(getattr(loop, part).fileno())
        except (AttributeError, OSError, ValueError):
            pass  # another kind of loop, or it is being closed
    return found


def loop_of_policy() -> Any:
    """The loop that asyncio keeps for this thread while none runs, which libraries make and leave there; or none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # policies are on their way out
        try:
            policy = asyncio.get_event_loop_policy()  # pyright: ignore[reportDeprecated]  # there is no other way yet
            return getattr(getattr(policy, "_local", None), "_loop", None)
        except AttributeError:
            return None


def loop_as_leak(loop: Any) -> Leak:
    """The record of an event loop that is open."""
    mend = "Close it: loop.close(), or let asyncio.run() or asyncio.Runner make it."
    return Leak("event loop", f"{loop!r} is open", mend=mend)

"""The worker processes that are there, by what the system says, not by what the engine believes."""

from __future__ import annotations

import os
import select
from contextvars import ContextVar
from pathlib import Path

HAVE_PROC = Path("/proc/self/stat").exists()


def workers() -> list[int]:
    """The pids of the processes that this one has started, also of dead ones that nobody has waited for.

    The trackers that the standard library and loky keep, one each for as long as Python runs, do not count, nor do the
    servers of the kit, which live as long as the session.
    """
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue  # it has ended meanwhile
        if parent == os.getpid() and b"resource_tracker" not in command and b"kit.llama_process" not in command:
            found.append(int(entry.name))
    return found


def descriptors() -> int:
    """How many files, pipes and sockets this process has open."""
    return len(os.listdir("/proc/self/fd"))


def has_ended(pid: int, within_s: float = 20.0) -> bool:
    """Whether a process has ended, also if nobody has waited for it yet, or ends in time. Only on Linux."""
    try:
        end = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([end], [], [], within_s)[0])  # the system says so when it ends
    finally:
        os.close(end)


variable: ContextVar[int] = ContextVar("variable", default=0)
"""For functions in worker processes, which import it: a context variable cannot be sent there."""

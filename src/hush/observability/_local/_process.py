"""Which process writes a run, and whether it is still there: so that a run that was killed is told from a slow one."""

from __future__ import annotations

import os
import socket
import sys
from typing import NamedTuple

SILENT_NS = 60_000_000_000
"""A process that cannot be looked up is taken for dead when it has written nothing for so long."""


class Identity(NamedTuple):
    """One process among all that ever were: ``began`` tells it from a later one with its number.

    ``boot`` and ``space`` say where the number means something: since which start of which system, and in which
    namespace, since each container counts its processes anew.
    """

    host: str
    boot: str
    space: str
    pid: int
    began: str


def this_process() -> Identity:
    """The one that asks; a fork is another one."""
    pid = os.getpid()
    return Identity(socket.gethostname(), _boot(), _space(), pid, began_of(pid) or "")


def is_gone(process: Identity, beat_ns: int, *, here: Identity, now_ns: int) -> bool:
    """Whether ``process``, which last wrote at ``beat_ns``, has ended, as far as the process ``here`` can know."""
    if process == here:
        return False
    if process.boot and (process.boot, process.space) == (here.boot, here.space):
        began = began_of(process.pid)
        if began is not None:
            return bool(process.began) and began != process.began
    return now_ns - beat_ns > SILENT_NS


def began_of(pid: int) -> str | None:
    """When the process with this number began; ``""`` if there is none, ``None`` if that cannot be found out."""
    if sys.platform == "win32":
        return None
    if os.path.exists("/proc/self/stat"):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                # Its name, the second field, may hold blanks and brackets: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
                fields = file.read().rpartition(")")[2].split()
            return "" if fields[0] in "ZX" else fields[19]  # dead, and waited for by nobody yet
        except (OSError, IndexError):
            return "" if not _is_there(pid) else None
    return _by_ps(pid)


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # another user's
    return True


def _by_ps(pid: int) -> str | None:
    import subprocess

    try:
        done = subprocess.run(
            ["ps", "-o", "stat=,lstart=", "-p", str(pid)], check=False, capture_output=True, text=True, timeout=2
        )
    except (OSError, subprocess.SubprocessError):
        return None
    state, _, began = done.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else began.strip()


def _boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return socket.gethostname() if sys.platform == "darwin" else ""


def _space() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""

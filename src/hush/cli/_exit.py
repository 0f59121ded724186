"""What the command exits with, and how a part of it ends the whole."""

from __future__ import annotations

import sys
from enum import IntEnum

from hush.cli._safe import safe


class Code(IntEnum):
    """What scripts can rely on. Above 100 they are what shells and ``timeout(1)`` use."""

    OK = 0
    FAILED = 1
    USAGE = 2
    PARTIAL = 3
    PROBLEMS = 4
    TIMEOUT = 124
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


MEANINGS = {
    Code.OK: "it worked",
    Code.FAILED: "the run failed; a resource does not work",
    Code.USAGE: "wrong arguments or inputs; a file or graph is not there or cannot be loaded",
    Code.PARTIAL: "partial: something failed and the run went on; of several runs, some failed",
    Code.PROBLEMS: "the graph has problems, which are all listed; nothing was run",
    Code.TIMEOUT: "the run took longer than --timeout",
    Code.INTERRUPTED: "Ctrl-C (SIGINT)",
    Code.BROKEN_PIPE: "whoever read the results went away",
    Code.TERMINATED: "SIGTERM",
}


class Stop(Exception):
    """Ends the command: with a code, and a message for standard error, whose lines are safe for a terminal."""

    def __init__(self, code: Code, message: str = "") -> None:
        super().__init__(message)
        self.code = code


def usage(message: str) -> Stop:
    """The end of a command that was not asked rightly."""
    return Stop(Code.USAGE, f"hush: {safe(message, lines=True)}")


def say(text: str) -> None:
    """Write to standard error; ``text`` is safe for a terminal. That nobody may read it is no failure."""
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # closed, or a pipe whose reader is gone

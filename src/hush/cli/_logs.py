"""What is logged during a command, where the user's own code has not said where logs go."""

from __future__ import annotations

import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TextIO

from hush.cli._safe import safe
from hush.core.extend import without_named_secrets


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return safe(without_named_secrets(super().format(record)), lines=True)


class _Shown(logging.StreamHandler[TextIO]):
    """Writes warnings and errors to standard error, but not what the command tells in its own words.

    That is that a run went on without something, and at the end of the process, of what a trace has lost, how much it
    was once more: why it was stands there already.
    """

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setLevel(logging.WARNING)
        self.setFormatter(_Plain("%(levelname)s %(name)s: %(message)s"))
        self.is_last = False
        self._reasons: set[object] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write it."""
        if record.name == "hush.run" and record.funcName == "warn":
            return False
        if record.name == "hush.tracing" and isinstance(record.args, tuple) and record.args:
            if self.is_last and record.args[0] in self._reasons:
                return False
            self._reasons.add(record.args[0])
        return bool(super().filter(record))


_latest: list[_Shown] = []


@contextmanager
def logs_shown() -> Generator[None]:
    """While the block runs, warnings and errors go to standard error, without secrets and what steers a terminal.

    Handlers that the user's code adds to the root logger take their place.
    """
    shown = _Shown()
    before, logging.lastResort = logging.lastResort, shown
    _latest[:] = [shown]
    try:
        yield
    finally:
        logging.lastResort = before


def show_logs_to_the_end() -> None:
    """The process ends: what is logged then goes the same way, if a block has shown logs."""
    for shown in _latest:
        shown.is_last = True
        logging.lastResort = shown

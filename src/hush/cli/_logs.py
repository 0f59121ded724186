"""What is logged during a command, where the user's own code has not said where logs go."""

from __future__ import annotations

import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager

from hush.cli._safe import safe
from hush.core.extend import without_named_secrets


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return safe(without_named_secrets(super().format(record)), lines=True)


def _is_told(record: logging.LogRecord) -> bool:
    """Whether the command tells it in its own words: that a run went on without something."""
    return record.name == "hush.run" and record.funcName == "warn"


@contextmanager
def logs_shown() -> Generator[None]:
    """While the block runs, warnings and errors go to standard error, without secrets and what steers a terminal.

    Handlers that the user's code adds to the root logger take their place.
    """
    shown = logging.StreamHandler(sys.stderr)
    shown.setLevel(logging.WARNING)
    shown.setFormatter(_Plain("%(levelname)s %(name)s: %(message)s"))
    shown.addFilter(lambda record: not _is_told(record))
    before, logging.lastResort = logging.lastResort, shown
    try:
        yield
    finally:
        logging.lastResort = before

"""``results_only``: standard output is for results; whatever else is printed meanwhile goes to standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

from hush.cli._logs import logs_shown
from hush.cli._safe import is_unicode, safe, safe_json


class Results:
    """Where the results go. Each is there when its call returns: nothing is buffered.

    Attributes:
        is_terminal: Whether somebody looks at them.
        unicode: Whether all characters can be written.
    """

    def __init__(self, stream: TextIO, descriptor: int | None) -> None:
        self._stream = stream
        self._descriptor = descriptor
        self.is_terminal = stream.isatty()
        self.unicode = is_unicode(stream)

    def text(self, text: str) -> None:
        """Write lines, without what steers terminals."""
        self._write(f"{safe(text, lines=True)}\n")

    def json(self, document: Any, *, compact: bool = False) -> None:
        """Write a document of JSON, in one line if ``compact``. It holds nothing but what JSON knows."""
        text = json.dumps(
            document,
            indent=None if compact else 2,
            ensure_ascii=not self.unicode,
            allow_nan=False,
            check_circular=False,
        )
        self._write(f"{safe_json(text)}\n")

    def _write(self, text: str) -> None:
        if self._descriptor is None:
            self._stream.write(text)
            self._stream.flush()
            return
        left = memoryview(text.encode(self._stream.encoding, "backslashreplace"))
        while left:
            left = left[os.write(self._descriptor, left) :]


@contextmanager
def results_only() -> Generator[Results]:
    """While the block runs, what anybody else prints goes to standard error, worker processes and programs too.

    Raises:
        BrokenPipeError: Out of a call that writes a result, when nobody reads them any more.
    """
    out = sys.stdout
    if os.name != "posix" or not _is(out, 1) or not _is(sys.stderr, 2):
        with redirect_stdout(sys.stderr), logs_shown():
            yield Results(out, None)
        return
    out.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        try:
            with redirect_stdout(sys.stderr), logs_shown():
                yield Results(out, kept)
        finally:
            out.flush()  # what was printed past ``sys.stdout`` is no result either
            os.dup2(kept, 1)
    finally:
        os.close(kept)


def _is(stream: Any, number: int) -> bool:
    try:
        return bool(stream.fileno() == number)
    except (OSError, ValueError, AttributeError):
        return False

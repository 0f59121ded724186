"""``SourceLines``: the text of the lines that a traceback names, read when it is shown."""

from __future__ import annotations

import os
import stat
import tokenize

from hush.core.extend import without_named_secrets
from hush.observability._span import Frame

_MOST_BYTES = 4_000_000
_LONGEST = 200


class SourceLines:
    """Lines of source files, each file read once. They are without secrets and without the blanks around them.

    A trace says whatever whoever wrote it wanted: only Python files are read, and of a file that has changed since
    ``before_ns`` nothing is shown, since other lines may be at the same numbers now.

    Attributes:
        changed: The files that have.
    """

    def __init__(self, before_ns: int) -> None:
        self._before_ns = before_ns
        self._files: dict[str, list[str] | None] = {}
        self.changed: set[str] = set()

    def line(self, frame: Frame) -> str | None:
        """The line's text; ``None`` if the file is not there, has changed, or is no Python file."""
        if frame.file not in self._files:
            self._files[frame.file] = self._read(frame.file)
        lines = self._files[frame.file]
        if lines is None or not 1 <= frame.line <= len(lines):
            return None
        return without_named_secrets(lines[frame.line - 1], code=True).strip()[:_LONGEST] or None

    def _read(self, file: str) -> list[str] | None:
        if not file.endswith((".py", ".pyw")):
            return None
        try:
            found = os.stat(file)
            if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
                return None
            if found.st_mtime_ns > self._before_ns:
                self.changed.add(file)
                return None
            with tokenize.open(file) as source:
                return source.read().splitlines()
        except (OSError, SyntaxError, ValueError):  # gone, not ours to read, in no encoding, or a name with a zero
            return None

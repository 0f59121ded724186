"""The place in the user's code that a record or an error names."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep


class Where(NamedTuple):
    """A file and a line of the user's code."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def caller() -> Where:
    """The nearest line up the stack that is not Hush's own."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith(_PACKAGE) and frame.f_back is not None:
        frame = frame.f_back
    return Where(frame.f_code.co_filename, frame.f_lineno)


def is_own(file: str) -> bool:
    """Whether ``file`` is one of Hush's own modules."""
    return file.startswith(_PACKAGE)

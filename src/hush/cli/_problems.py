"""Problems as the command tells them: a line with file and line first, so that editors can jump there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hush.cli._failures import own_frames
from hush.cli._places import shown_path
from hush.cli._safe import safe
from hush.core import GraphError, Problem
from hush.core.extend import without_secrets


def problems_of(error: GraphError) -> Sequence[Problem]:
    """What a graph error tells; one that has no list of problems is one itself, at the user's line."""
    if error.problems:
        return error.problems
    frames = own_frames(error)
    file, line = (frames[-1].filename, frames[-1].lineno or 0) if frames else ("", 0)
    return [Problem("", file, line, str(error))]


def line_of(problem: Problem) -> str:
    """A problem as text: where it is, what it is, and indented, how to mend it."""
    numbers = [str(one) for one in (problem.line, problem.column) if one]
    place = ":".join([part for part in (shown_path(problem.file), *numbers) if part])
    head = ": ".join(safe(part) for part in (place, problem.path) if part)
    said = f"{head}: {safe(problem.message, lines=True)}" if head else safe(problem.message, lines=True)
    mend = f"\n    {safe(problem.mend, lines=True)}" if problem.mend else ""
    return without_secrets(said + mend)


def lines_of(problems: Iterable[Problem]) -> str:
    """All of them, and how many there are."""
    lines = [line_of(one) for one in problems]
    return "\n".join([*lines, counted(len(lines))])


def counted(number: int) -> str:
    """How many problems there are, in words."""
    return "1 problem" if number == 1 else f"{number} problems"


def as_data(problem: Problem) -> dict[str, Any]:
    """A problem for ``--json``."""
    return {
        "path": problem.path,
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "message": without_secrets(problem.message),
        "mend": without_secrets(problem.mend),
    }

"""``LineReport``: what became of the runs of a file with one run a line, so that it can be read.

Of ten thousand runs a hundred may fail, mostly for one reason: the first is told whole, with its traceback, those after
it in a line each, and at the end there is a count.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from hush.cli._exit import Code
from hush.cli._failures import failure_text, in_short, info_of
from hush.cli._words import counted

_MOST_KINDS = 1_000
_MOST_SHOWN = 5
_ENDS = {
    Code.OK: "ok",
    Code.PARTIAL: "partial",
    Code.FAILED: "failed",
    Code.TIMEOUT: "out of time",
    Code.USAGE: "not run",
}


class _Kind:
    """Failures with one cause: the lines of the first of them, and what was said of the very first."""

    def __init__(self, line: int, said: str) -> None:
        self.lines, self.said, self.count, self.differ = [line], said, 1, False

    def add(self, line: int, said: str) -> None:
        self.count += 1
        self.differ |= said != self.said
        if len(self.lines) < _MOST_SHOWN:
            self.lines.append(line)

    def __str__(self) -> str:
        more = ", …" if self.count > len(self.lines) else ""
        such_as = ", such as" if self.differ else ""
        at = f"{'line' if self.count == 1 else 'lines'} {', '.join(map(str, self.lines))}{more}"
        return f"  {self.count:,} ×{such_as} {self.said} ({at})"


class LineReport:
    """Counts runs by their ends, and failures by their causes.

    Args:
        whole: Tell each failure whole, with the frames of Hush.
    """

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole
        self._ends: Counter[Code] = Counter()
        self._kinds: dict[Any, _Kind] = {}

    def add(self, code: Code) -> None:
        """The run of another line has ended."""
        self._ends[code] += 1

    def failed(self, line: int, error: BaseException) -> str:
        """What is to be said of a run that failed."""
        said, key = in_short(error), _cause(error)
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) < _MOST_KINDS:
                self._kinds[key] = _Kind(line, said)
            return failure_text(error, whole=self._whole)
        kind.add(line, said)
        if self._whole:
            return failure_text(error, whole=True)
        return f"failed: {said}; as on line {kind.lines[0]}"

    def code(self) -> Code:
        """One code for all runs: theirs, if it is the same for all, else that some failed."""
        return Code.OK if not self._ends else next(iter(self._ends)) if len(self._ends) == 1 else Code.PARTIAL

    def summary(self) -> str:
        """How many ended how, and why most of those that failed did; empty where there is nothing to sum up."""
        total = self._ends.total()
        if total < 2 or self._ends[Code.OK] == total:
            return ""
        lines = [
            f"{total:,} lines: "
            + ", ".join(f"{self._ends[end]:,} {word}" for end, word in _ENDS.items() if self._ends[end])
        ]
        kinds = sorted(self._kinds.values(), key=lambda one: -one.count)
        lines += [str(one) for one in kinds[:_MOST_SHOWN]]
        if len(kinds) > _MOST_SHOWN:
            rest = kinds[_MOST_SHOWN:]
            lines.append(
                f"  and {counted(sum(one.count for one in rest), 'failure')} of {counted(len(rest), 'other kind')}"
            )
        return "\n".join(lines)


def _cause(error: BaseException) -> Any:
    """What failures with the same cause have in common: where, what, and what from; not what they say."""
    from hush.observability._causes import key_of
    from hush.observability._failure import failure_of

    path, kind, place, _, outcome, origins = key_of(
        str(getattr(info_of(error), "path", "")), failure_of(error), "raised"
    )
    return path, kind, place, outcome, origins

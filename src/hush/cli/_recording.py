"""``Recording``: the tracer of ``--trace``, how to look at its runs, and how to close one that does not end."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from shlex import quote
from time import monotonic_ns
from typing import Any

from hush.cli._exit import say
from hush.cli._safe import is_unicode, safe

_PLAIN = re.compile(r"\w(?:[\w .:@/+=,-]{0,98}[\w.:@/+=,-])?")


@dataclass(slots=True)
class _Begun:
    """A run that has begun, which one whose inputs are refused has not."""

    id: str
    recorder: Any
    began_ns: int
    has_ended: bool = False


class Recording:
    """A ``LocalTracer`` that is told of one run after the other.

    Args:
        path: Its file; ``None`` for the usual one.

    Raises:
        UsageError: ``path`` cannot be the path of a file.
    """

    def __init__(self, path: str | None) -> None:
        from hush.observability import LocalTracer

        self._tracer: Any = LocalTracer() if path is None else LocalTracer(path)
        self._path = path
        self._id = ""  # of the run that is about to begin
        self._count = 0
        self._last: _Begun | None = None

    def begin(self, request_id: str | None) -> str:
        """A run is about to begin; give its id."""
        from secrets import token_hex

        self._id = request_id if request_id is not None else token_hex(6)
        return self._id

    def for_run(self) -> Any:
        """What hears the run; the engine calls it, when the inputs are right."""
        self._count += 1
        self._last = _Begun(self._id, self._tracer.for_run(), monotonic_ns())
        return self._last.recorder

    def emit(self, event: Any, /) -> None:
        """Take one event of any run."""
        self._tracer.emit(event)

    def end(self) -> None:
        """The run has ended, and has told so."""
        if self._last is not None:
            self._last.has_ended = True

    def close(self, name: str, signal: str) -> None:
        """Close the trace of a run of the graph ``name`` that is left behind: it was cancelled, and does not end."""
        last = self._last
        if last is None or last.has_ended:
            return
        from asyncio import CancelledError

        from hush.core import RunFinished

        now_ns = monotonic_ns()
        error = CancelledError(f"by {signal}; something in the run did not end, and was left behind")
        seconds = (now_ns - last.began_ns) / 1e9
        last.recorder.emit(RunFinished(last.id, name, None, now_ns, "cancelled", seconds, error))

    def flush(self, timeout_s: float) -> None:
        """See to it that what was recorded is there, and say how to look at it, or that it is not all there."""
        in_time = self._tracer.flush(timeout_s)
        counts = self._tracer.counts
        if lost := counts.dropped + counts.pending:
            why = "" if in_time else " in time"
            say(f"hush: the trace is not complete: {lost} of {counts.produced} spans could not be written{why}")
        if self._last is None or (lost and not counts.exported):
            return
        file = "" if self._path is None else f" --traces {quote(safe(self._path))}"
        last = f"hush show {_name(self._last)}{file}"
        say(f"trace: {last}" if self._count == 1 else f"traces of {self._count} runs: hush traces{file}; last: {last}")


def _name(run: _Begun) -> str:
    """What opens the run: its id, or its trace's where a shell or ``hush show`` may read it otherwise."""
    from hush.observability._local._reader import WORDS

    trace, can_be_written = run.recorder.trace, run.id.isascii() or is_unicode(sys.stderr)
    if trace and (run.id in WORDS or _PLAIN.fullmatch(run.id) is None or not can_be_written):
        return str(trace)
    return quote(safe(run.id))

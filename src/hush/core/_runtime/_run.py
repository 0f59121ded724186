"""``Run``: what one call of ``engine.run`` knows everywhere in it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from types import FrameType
from typing import TYPE_CHECKING, Any

from hush.core._expr._where import Where, is_own
from hush.core._logs import logger
from hush.core._plan._model import StepPlan
from hush.core._runtime._domain import Domain, parts_of
from hush.core._runtime._pass import Pass
from hush.core._spec._policies import Limit
from hush.core._spec._signature import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from hush.core.errors import NO_ERRORS, Errors, FailureInfo, HushError, OutputError, ReportedError

if TYPE_CHECKING:  # imported when a run first has a tracer
    from hush.core._runtime._tracing import Tracing

log = logger("hush.run")

KEPT_ERRORS = 100
"""How many failures of one node or map are kept, the first by item; the rest is counted."""

_NOTE = "Hush: raised in"
_process = os.urandom(5).hex()
_numbers = count(1)


def _after_fork() -> None:
    global _process  # noqa: PLW0603  # the one place that makes it anew
    _process = os.urandom(5).hex()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Raised:
    """An outcome that is an exception, where raising it inside a coroutine would change it."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Run:
    """One run of an engine.

    Attributes:
        id: The request id: as it was given, else made.
        budget: The inline work that a pass of the loop may do.
        tracing: Tells tracers; ``None`` if there are none.
        inline_only: Whether every ``def`` runs on the loop, as under the test kit's.
        partial: Whether something failed that nobody named.
        keeps: Whether it keeps what all nodes gave.
        maps: The maps under way, for those who ask what it is at.
        domain: Its outermost domain, once it has begun.
        limits: The limits of its nodes, with their names.
        stall_s: After how many seconds without a move it is told of; ``seen`` is what it was last seen at.
        processes: The pools of worker processes by the path of their step, once there are any.
    """

    __slots__ = (
        "_collected",
        "_tags",
        "budget",
        "domain",
        "grace_s",
        "id",
        "inline_only",
        "keeps",
        "limits",
        "loop",
        "maps",
        "name",
        "partial",
        "processes",
        "seen",
        "stall_s",
        "tracing",
    )

    def __init__(
        self, name: str, loop: asyncio.AbstractEventLoop, budget: Pass, grace_s: float, request_id: str | None
    ) -> None:
        self.name = name
        self.loop = loop
        self.grace_s = grace_s
        self.budget = budget
        self.inline_only = budget.endless
        self.tracing: Tracing | None = None
        self._tags: dict[str, tuple[str, tuple[int, ...]]] | None = None  # by each the first place, not all of them
        self.partial = False
        self.keeps = False
        self.id = request_id if request_id is not None else f"{_process}-{next(_numbers):x}"
        self._collected: dict[str, Collected] | None = None
        self.maps: set[Any] = set()
        self.domain: Domain | None = None
        self.limits: tuple[tuple[str, Limit], ...] = ()
        self.stall_s: float | None = None
        self.seen: Any = None
        self.processes: dict[str, Any] | None = None

    def tag(self, step: StepPlan, item: tuple[int, ...], tags: Any) -> None:
        """Add what ``step`` returned under ``"$tags"``."""
        found = [tags] if isinstance(tags, str) else tags
        if not isinstance(found, Iterable) or isinstance(found, Mapping | bytes):
            raise OutputError(f'{step.path} returned "$tags": {tags!r}. Tags are a string or a list of strings.')
        for tag in found:
            self.tag_at(step.path, item, str(tag))

    def tag_at(self, path: str, item: tuple[int, ...], tag: str) -> None:
        """Add a tag, which a step may have returned elsewhere."""
        if self._tags is None:
            self._tags = {}
        place = path, item
        self._tags[tag] = min(place, self._tags.get(tag, place))

    def tags(self) -> tuple[str, ...]:
        """The tags, each once, in order of path and item."""
        if self._tags is None:
            return ()
        return tuple(tag for _, tag in sorted((place, tag) for tag, place in self._tags.items()))

    # --- failures -----------------------------------------------------------------------------------------
    def locate_root(self, exc: BaseException, where: Where, nodes: Mapping[str, Mapping[str, Any]] | None) -> None:
        """Note on what the run ends with where it came from, if no node raised it, and what there was before."""
        self._locate_root(exc, where, nodes, self.errors())

    def _locate_root(
        self, exc: BaseException, where: Where, nodes: Mapping[str, Mapping[str, Any]] | None, before: Errors
    ) -> None:
        info = exc.__dict__.get("hush")
        if not isinstance(info, FailureInfo):
            info = FailureInfo(self.name, None, (), None, 1, self.id, where.file, where.line)
            exc.__dict__["hush"] = info
        info.nodes = nodes
        info.errors = before
        for part in parts_of(exc):
            self._locate_root(part, where, nodes, before)

    def locate(
        self, exc: BaseException, item: tuple[int, ...], step: StepPlan, attempt: int = 1, bound: str = ""
    ) -> None:
        """Note on ``exc`` where it came from, unless it says so already, and what kept it from being tried again."""
        known = exc.__dict__.get("hush")
        if isinstance(known, FailureInfo) and known.run == self.id:
            return
        for part in parts_of(exc):  # what a timer or a source failed with does not know yet
            self.locate(part, item, step, attempt, bound)
        info = FailureInfo(
            path=step.path,
            item=item[-1] if item else None,
            outer=item[:-1],
            key=None,
            attempt=attempt,
            run=self.id,
            file=step.where.file,
            line=step.where.line,
        )
        at = f", item {'.'.join(map(str, item))}" if item else ""
        # Past a class's own __setattr__: a frozen exception is located like any other.
        exc.__dict__["hush"] = info
        old = _NOTE if isinstance(known, FailureInfo) and known.path == step.path else None
        notes = [note for note in exc.__dict__.get("__notes__", ()) if not (old and str(note).startswith(old))]
        tried = f", attempt {attempt}" if attempt > 1 or bound else ""
        last = f", not tried again: {bound}" if bound else ""
        notes.append(f"{_NOTE} {step.path}{at} ({step.where}), run {self.id}{tried}{last}")
        if type(exc).__module__ == "sqlite3" and "thread" in str(exc) and not any("pull=" in note for note in notes):
            notes.append(
                'Hush: this connection belongs to one thread: executor="inline" keeps its calls on the loop\'s.'
            )
        exc.__dict__["__notes__"] = notes
        trim(exc)

    def has_located(self, error: Any) -> bool:
        """Whether ``error`` is an exception that something in this run has failed with."""
        info = error.__dict__.get("hush") if isinstance(error, BaseException) else None
        # Another graph's run, inside a function, may have been given the same id.
        return isinstance(info, FailureInfo) and info.run == self.id and info.path.partition("/")[0] == self.name

    def notes_before(self, exc: BaseException) -> list[str]:
        """The notes on ``exc`` without the one on where it came from in this run, if it has that already."""
        notes = list(exc.__dict__.get("__notes__", ()))
        info = exc.__dict__.get("hush")
        if isinstance(info, FailureInfo) and info.run == self.id:
            own = [at for at, note in enumerate(notes) if str(note).startswith(f"{_NOTE} {info.path}")]
            for at in own[-1:]:
                del notes[at]
        return notes

    def note_round(self, exc: BaseException, number: int | None) -> None:
        """Note on ``exc`` in which round of the innermost loop around it that was."""
        if number is None:
            return
        for one in (exc, *parts_of(exc)):
            info = one.__dict__.get("hush")
            if isinstance(info, FailureInfo) and info.round is None:
                info.round = number
                one.add_note(f"Hush: that was round {number} of the loop; the first is round 0")

    def note_key(self, exc: BaseException, index: int, key: str) -> None:
        """Note on ``exc`` how its item is called in the innermost map that names its items."""
        for one in (exc, *parts_of(exc)):
            info = one.__dict__.get("hush")
            if isinstance(info, FailureInfo) and info.key is None:
                info.key = key
                one.add_note(f"Hush: item {index} is {key!r}")

    def collect(self, error: Any, path: str, item: tuple[int, ...], *, partial: bool) -> None:
        """Keep a failure that the run goes on without, but not the values in its frames."""
        if isinstance(error, BaseException):
            forget_frames(error)
        if partial:
            self.partial = True
        if self._collected is None:
            self._collected = {}
        found = self._collected.get(path)
        if found is None:
            found = self._collected[path] = Collected()
        found.add(error, item)

    def collect_all(
        self, path: str, kept: Iterable[tuple[tuple[int, ...], BaseException]], total: int, *, partial: bool
    ) -> None:
        """Keep failures that were collected elsewhere: the first of them, ``kept``, and the count of all."""
        more = total
        for item, error in kept:
            self.collect(error, path, item, partial=partial)
            more -= 1
        if more and self._collected is not None:
            self._collected[path].total += more

    def errors(self) -> Errors:
        """All failures that the run went on without, in order of path and item."""
        if self._collected is None:
            return NO_ERRORS
        kept: list[BaseException] = []
        total = 0
        for path in sorted(self._collected):
            collected = self._collected[path]
            total += collected.total
            for _, _, error in collected.kept:
                if not any(error is other for other in kept[-KEPT_ERRORS:]):
                    kept.append(error)
        return Errors(kept, total)

    def warn(self) -> None:
        """Log once what items failed in maps of this run."""
        if self._collected is None or not self.partial:
            return
        errors = self.errors()
        if errors:
            first = errors[0]
            info = first.__dict__.get("hush")
            at = f" in {info.path}" + ("" if info.item is None else f", item {info.item}") if info else ""
            log.warning(
                "%s: %d failed and the run went on; first%s: %s: %s",
                self.name,
                errors.total,
                at,
                type(first).__name__,
                first,
                extra={"run": self.id, "node": info.path if info else None, "item": info.item if info else None},
            )


class Collected:
    """The failures of one node or map: the first ones by item, and the count of all."""

    __slots__ = ("_order", "kept", "total")

    def __init__(self) -> None:
        self.kept: list[tuple[tuple[int, ...], int, BaseException]] = []
        self.total = 0
        self._order = count()

    def add(self, error: Any, item: tuple[int, ...]) -> None:
        """Count a failure, and keep it if it is among the first."""
        self.total += 1
        if len(self.kept) >= KEPT_ERRORS and item >= self.kept[-1][0]:
            return
        from bisect import insort  # not before something has failed

        if not isinstance(error, BaseException):
            error = ReportedError(error)
        insort(self.kept, (item, next(self._order), error))
        del self.kept[KEPT_ERRORS:]


def trim(exc: BaseException) -> None:
    """Leave out of the traceback the engine's own frames above the user's code, and the values they hold."""
    trace = exc.__traceback__
    while trace is not None and is_own(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    if trace is not None or isinstance(exc, HushError):
        exc.with_traceback(trace)


_DEEPEST_TRACE = 64
"""Frames that a kept exception's traceback may have: one that is raised again and again grows with each time."""
_SUSPENDS = CO_COROUTINE | CO_GENERATOR | CO_ASYNC_GENERATOR


def forget_frames(exc: BaseException) -> None:
    """Drop the local variables that a kept exception holds through its traceback, and those of its causes.

    Clearing the frame of a coroutine that is only suspended would close it, and a traceback can lead to such frames: an
    exception that was wrapped, or raised again, remembers where it was before. Before Python 3.12 nothing tells of a
    coroutine whether it has ended; of users' ones only the first is cleared then, the node's own, which just has.
    """
    if isinstance(exc, HushError) and exc.__suppress_context__:
        exc.__context__ = None  # how the engine found out, which nobody is shown
    for one in _chain(exc):
        trace = one.__traceback__
        first, depth = one is exc, 0
        while trace is not None and is_own(trace.tb_frame.f_code.co_filename):
            _clear(trace.tb_frame)
            trace = trace.tb_next
        if trace is not None:
            _forget_callers(trace.tb_frame.f_back)
        while trace is not None:
            _clear(trace.tb_frame, ended=first)
            first = False
            depth += 1
            if depth == _DEEPEST_TRACE:
                trace.tb_next = None
            trace = trace.tb_next


def _forget_callers(frame: FrameType | None) -> None:
    """The engine's own frames that led to the function: a frame keeps who called it, though no traceback shows it.

    From Python 3.12 on that goes for coroutines too. Those that have not ended yet empty themselves.
    """
    while frame is not None and is_own(frame.f_code.co_filename) and _clear(frame):
        frame = frame.f_back


def _clear(frame: FrameType, *, ended: bool = False) -> bool:
    """Drop the variables of a frame unless it is at work, or may be: one that is suspended has no caller."""
    if not ended and frame.f_code.co_flags & _SUSPENDS and frame.f_back is None:
        return False
    try:
        frame.clear()
    except RuntimeError:
        return False  # it is running
    return True


def _chain(exc: BaseException) -> Iterator[BaseException]:
    todo: list[BaseException | None] = [exc]
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            todo += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]

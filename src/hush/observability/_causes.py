"""Failures of a run grouped by cause: same node, error, line, origin and message, but for numbers, ids and quotes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

from hush.observability._alike import pattern_of
from hush.observability._span import HOLDERS, Failure, Frame, RunRecord, Span, called_off

Outcome: TypeAlias = Literal["raised", "collected", "handled"]
"""``raised``: the run ended with it; ``collected``: by a map, or by ``on_error="collect"`` further out; ``handled``."""

MOST_CALLS = 20
MOST_PATTERNS = 10
"""So many kinds of messages may errors of one type have that one line raised; if there are more they are one cause."""
WORKERS = "Hush: in the worker process:"
"""How the note begins that has the traceback of a failure in a worker process."""
_FRAME = re.compile(r'^ *File "([^"\n]+)", line (\d{1,9}), in (.+)$', re.MULTILINE)
_ORIGINS = 5
_GROUPS = frozenset({"ExceptionGroup", "BaseExceptionGroup"})


class FailedCall(NamedTuple):
    """One failure of a group: ``keys`` are those of the items around it, ``None`` where a map has no ``key=``."""

    id: str
    items: tuple[int, ...]
    keys: tuple[str | None, ...]
    message: str
    at_ns: int | None
    attempts: int


class FailureGroup(NamedTuple):
    """Failures with one cause.

    Attributes:
        path: The node that failed.
        kind: What it is.
        type: The error's qualified name.
        pattern: The first line of the message without numbers, ids and quoted values.
        place: The last line of the user's own code on the way to where it was raised; the very last where there is
            none, ``None`` where nothing is known.
        outcome: What became of them.
        number: How many there are, exactly, those without a span included.
        seen: How many of them there are spans of.
        first: The first of these, in the order of items.
        failure: That of the first.
        inputs: What the first was given, if that was kept.
        attempts: The fewest and the most attempts that one of them took.
        passed_on: Where a stream brought the same failure to items of later maps, and to how many.
    """

    path: str
    kind: str
    type: str
    pattern: str
    place: Frame | None
    outcome: Outcome
    number: int
    seen: int
    first: tuple[FailedCall, ...]
    failure: Failure
    inputs: Mapping[str, Any] | None
    attempts: tuple[int, int]
    passed_on: tuple[tuple[str, int], ...] = ()


class Unseen(NamedTuple):
    """Failures of a node of which no span was kept, and which therefore belong to no group."""

    path: str
    number: int


def causes(
    run: RunRecord, spans: Iterable[Span], by_id: Mapping[str, Span]
) -> tuple[tuple[FailureGroup, ...], tuple[Unseen, ...]]:
    """The groups, those that ended the run first, then the larger ones; and failures that only the totals know."""
    if called_off(run) is not None:
        run = run._replace(failure=None)
    failed = [
        span
        for span in spans
        if span.failure is not None and span.kind != "attempt" and (span.kind != "run" or called_off(span) is None)
    ]
    below: dict[str, list[Failure]] = defaultdict(list)
    for span in failed:
        if span.parent is not None and span.failure is not None:
            below[span.parent].append(span.failure)
    gathered: dict[tuple[Any, ...], list[Span]] = defaultdict(list)
    passed: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    childless: list[Span] = []
    with_children = {span.parent for span in spans}
    for span in failed:
        failure = span.failure
        if failure is None or any(_inherits(failure, other) for other in below.get(span.id, ())):
            continue
        if span.kind == "item" and span.id not in with_children:
            childless.append(span)
        else:
            gathered[_key(span, failure, _outcome(span, run, by_id))].append(span)
    known: dict[tuple[Any, ...], list[tuple[Any, ...]]] = defaultdict(list)
    for key in gathered:
        known[key[1:4]].append(key)
    for span in childless:  # its body did not run: what failed is an item further up, or the body was left out
        key = _key(span, span.failure or Failure("", ""), _outcome(span, run, by_id))
        above = [other for other in known[key[1:4]] if not f"{other[0]}/".startswith(f"{span.path}/")]
        if above:
            passed[above[0]][span.path] += 1
        else:
            gathered[key].append(span)
    groups = [
        _group(key, [span for one in keys for span in gathered[one]], by_id, [passed[one] for one in keys])
        for key, keys in fewer(gathered).items()
    ]
    if run.failure is not None and not any(group.outcome == "raised" for group in groups):
        groups.append(_of_run(run, run.failure))
    groups, unseen = _counted(run, groups)
    groups.sort(key=lambda group: (group.outcome != "raised", -group.number, group.path, group.type, group.pattern))
    return tuple(groups), unseen


# ── Which failures are causes ────────────────────────────────────────────────────────────────────────────────────────


def _same(one: Failure, other: Failure) -> bool:
    return one.type == other.type and one.message == other.message


def _inherits(outer: Failure, inner: Failure) -> bool:
    """Whether what holds a node has failed because the node did."""
    return _same(outer, inner) or outer.type in _GROUPS


def _outcome(span: Span, run: RunRecord, by_id: Mapping[str, Span]) -> Outcome:
    failure = span.failure
    around: Span | None = span
    for _ in range(1000):  # a trace that is damaged may have a ring
        if around is None or failure is None or around.kind == "run":
            break
        if around.status == "handled":
            return "handled"
        around = by_id.get(around.parent) if around.parent else None
        outer = run.failure if around is None else around.failure  # a span between them may have been dropped
        if outer is None or not _inherits(outer, failure):
            return "collected"
    return "raised"


def _key(span: Span, failure: Failure, outcome: Outcome) -> tuple[Any, ...]:
    return key_of(span.path, failure, outcome)


def key_of(path: str, failure: Failure, outcome: Outcome) -> tuple[Any, ...]:
    """What failures with the same cause have in common, but for what ``fewer`` puts together."""
    return (path, failure.type, place_of(failure), pattern_of(failure.message), outcome, _origins(failure))


def _origins(failure: Failure) -> tuple[tuple[str, Frame | None], ...]:
    """What it was raised from, and where: one line that wraps whatever fails in it stands for many causes."""
    found: dict[tuple[str, Frame | None], None] = {}
    todo = list(failure.causes)
    while todo and len(found) < _ORIGINS:
        cause = todo.pop(0)
        found[cause.type, place_of(cause)] = None
        todo = [*cause.causes, *todo]
    return tuple(sorted(found, key=repr))


def fewer(keys: Iterable[tuple[Any, ...]]) -> dict[tuple[Any, ...], list[tuple[Any, ...]]]:
    """The keys by the one they are grouped under: messages that all differ, as by names in them, are one cause."""
    by_place: dict[tuple[Any, ...], list[tuple[Any, ...]]] = defaultdict(list)
    for key in keys:
        path, kind, place, _, outcome, origins = key
        by_place[path, kind, place, outcome, origins].append(key)
    found: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for (path, kind, place, outcome, origins), alike in by_place.items():
        if len(alike) > MOST_PATTERNS:
            found[path, kind, place, "…", outcome, origins] = alike
        else:
            found |= {key: [key] for key in alike}
    return found


def _of_run(run: RunRecord, failure: Failure) -> FailureGroup:
    return FailureGroup(
        path=run.name,
        kind="run",
        type=failure.type,
        pattern=pattern_of(failure.message),
        place=place_of(failure),
        outcome="raised",
        number=1,
        seen=0,
        first=(FailedCall("", (), (), failure.message, run.ended_ns, 1),),
        failure=failure,
        inputs=None,
        attempts=(1, 1),
    )


def _group(
    key: tuple[Any, ...], found: list[Span], by_id: Mapping[str, Span], passed: Iterable[Mapping[str, int]]
) -> FailureGroup:
    found.sort(key=lambda span: (span.items, span.started_ns))
    first = found[0]
    failure = first.failure
    if failure is None:
        raise AssertionError
    path, kind, place, pattern, outcome, _ = key
    counts: dict[str, int] = {}
    for one in passed:
        for where, count in one.items():
            counts[where] = counts.get(where, 0) + count
    return FailureGroup(
        path=path,
        kind=first.kind,
        type=kind,
        pattern=pattern,
        place=place,
        outcome=outcome,
        number=len(found),
        seen=len(found),
        first=tuple(
            FailedCall(
                id=span.id,
                items=span.items,
                keys=_keys(span, by_id),
                message=span.failure.message if span.failure else "",
                at_ns=span.ended_ns,
                attempts=span.attempts,
            )
            for span in found[:MOST_CALLS]
        ),
        failure=failure,
        inputs=next((span.inputs for span in found if span.inputs), None),
        attempts=(min(span.attempts for span in found), max(span.attempts for span in found)),
        passed_on=tuple(sorted(counts.items())),
    )


def _keys(span: Span, by_id: Mapping[str, Span]) -> tuple[str | None, ...]:
    keys: list[str | None] = []
    around: Span | None = span
    while around is not None and len(keys) < len(span.items):
        if around.kind == "item":
            keys.append(around.key)
        around = by_id.get(around.parent) if around.parent else None
    return tuple([None] * (len(span.items) - len(keys)) + keys[::-1])


def _counted(run: RunRecord, groups: list[FailureGroup]) -> tuple[list[FailureGroup], tuple[Unseen, ...]]:
    """The groups with what only the totals count, where it is clear which group it belongs to."""
    unseen: list[Unseen] = []
    for totals in run.totals:
        if totals.kind in HOLDERS:
            continue
        at = [place for place, group in enumerate(groups) if group.path == totals.path]
        more = totals.failed - sum(groups[place].seen for place in at)
        if more <= 0:
            continue
        if len(at) == 1:
            groups[at[0]] = groups[at[0]]._replace(number=groups[at[0]].seen + more)
        else:
            unseen.append(Unseen(totals.path, more))
    return groups, tuple(unseen)


# ── What makes two failures alike ────────────────────────────────────────────────────────────────────────────────────

_LIBRARY = re.compile(
    r"[\\/](site|dist)-packages[\\/]|[\\/]lib[\\/]python3[^\\/]*[\\/]|[\\/]Lib[\\/]|^<frozen "
    r"|[\\/]hush[\\/](core|providers|observability|testing|cli)[\\/]"
)


def is_users(frame: Frame) -> bool:
    """Whether a frame is in code of the user's own, and not in Python's library, in a package, or in Hush."""
    return _LIBRARY.search(frame.file) is None


def place_of(failure: Failure) -> Frame | None:
    """The last frame in the user's code, else the last one."""
    frames = frames_of(failure)
    for frame in reversed(frames):
        if is_users(frame):
            return frame
    return frames[-1] if frames else None


def frames_of(failure: Failure) -> tuple[Frame, ...]:
    """Its frames; of one from a worker process, which come as text in a note, those that are told there."""
    if any(is_users(frame) for frame in failure.frames):
        return failure.frames
    told = next((note for note in failure.notes if note.startswith(WORKERS)), "")
    return tuple(Frame(file, int(line), function) for file, line, function in _FRAME.findall(told)) or failure.frames

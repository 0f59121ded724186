"""What must be so of each run of a graph that ``kit.guarded`` draws; each law yields what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from hush.core.events import (
    MapProgressed,
    NodeAdmitted,
    NodeCached,
    NodeFailed,
    NodeFinished,
    NodeQueued,
    NodeReady,
    NodeReleased,
    NodeRetrying,
    NodeSkipped,
    NodeStarted,
    RunFinished,
    RunStarted,
)
from kit.guarded import TRIED_AGAIN, Expected, Leaf, Over
from kit.guarded_built import ERRORS, Play, keys_of


def complaints(play: Play, expected: Expected) -> Iterator[str]:
    """What is wrong with a run that has ended."""
    yield from play.problems
    yield from wrong_outputs(play, expected)
    yield from wrong_calls(play, expected)
    yield from wrong_failures(play, expected)
    yield from wrong_rates(play)
    yield from wrong_order(play)


def items_of(over: Over, given: Any) -> list[Any]:
    """The items of a map, from its columns."""
    name, found = f"m{over.number}", []
    for index, error in enumerate(given[f"{name}.error"]):
        if error is not None:
            found.append(None)
            continue
        own: dict[str, Any] = {key: given[key][index] for key in keys_of(over.body)}
        for step in over.body:
            if isinstance(step, Over):
                own[f"m{step.number}"] = items_of(step, own)
        inner = {key for step in over.body if isinstance(step, Over) for key in keys_of((step,))}
        own = {key: value for key, value in own.items() if key not in inner}
        found.append({"x": given[f"{name}.out"][index], **own})
    return found


def wrong_outputs(play: Play, expected: Expected) -> Iterator[str]:
    for over in play.guarded.maps:
        found = items_of(over, play.result)
        if found != expected.outputs[f"m{over.number}"]:
            yield f"m{over.number} gave {found}, not {expected.outputs[f'm{over.number}']}"
    errors, status = play.result.errors, "partial" if expected.partial else "ok"
    if (errors.total, play.result.status) != (expected.total, status):
        yield f"{errors.total} failures and {play.result.status}, not {expected.total} and {status}"


def wrong_calls(play: Play, expected: Expected) -> Iterator[str]:
    if set(play.calls) != set(expected.calls):
        yield f"called were {sorted(play.calls)}, not {sorted(expected.calls)}"
    for key, attempts in expected.calls.items():
        times = play.calls[key] / attempts
        if times != 1 and not (times.is_integer() and 1 <= times <= expected.each.get(key, 1)):
            yield f"{play.calls[key]} calls of {key}, not {attempts}, at most {expected.each.get(key, 1)} times"


def wrong_failures(play: Play, expected: Expected) -> Iterator[str]:
    """Each failure that is kept says where it was, in which round and attempt; only so many are kept."""
    left = dict(expected.failures)
    for error in play.result.errors:
        info = error.hush
        item = (*info.outer, *(() if info.item is None else (info.item,)))
        found = left.pop((info.path, item, info.round), None)
        if found is None:
            yield f"{error!r} comes from nowhere: {info}"
            continue
        kind, attempts = found
        if not isinstance(error, ERRORS[kind]) or info.attempt != attempts:
            yield f"{error!r} in attempt {info.attempt}, not {kind} in attempt {attempts}"
        notes = [note for note in error.__notes__ if note.startswith("Hush: raised in")]
        bound = f", not tried again: max_attempts={attempts}"
        tried = kind in TRIED_AGAIN and play.leaves[info.path].attempts is not None
        if (
            len(notes) != 1
            or notes[0].endswith(bound) is not tried
            or f"{info.path}, item {'.'.join(map(str, item))} (" not in notes[0]
        ):
            yield f"{error!r} has the notes {notes}, of {info}"
        if error.__cause__ is not None or error.__context__ is not None:
            yield f"{error!r} carries {error.__context__!r}, {error.__cause__!r}"
    if left and len(play.result.errors) < 100:
        yield f"lost: {left}"


def wrong_rates(play: Play) -> Iterator[str]:
    for at, (bound, starts) in enumerate(zip(play.guarded.bounds, play.starts, strict=True)):
        if bound.per_second is None:
            continue
        for first, last in zip(starts, starts[bound.per_second :], strict=False):
            if last - first < 1 - 1e-6:
                yield f"limit {at}: {bound.per_second + 1} starts from {first} to {last}"


LETTERS = {
    NodeReady: "r",
    NodeStarted: "s",
    NodeQueued: "q",
    NodeAdmitted: "a",
    NodeReleased: "l",
    NodeRetrying: "t",
    NodeCached: "c",
    NodeFinished: "f",
    NodeFailed: "x",
    NodeSkipped: "k",
}


def wrong_order(play: Play) -> Iterator[str]:
    """The events of each node in each place, as a word; and their attempts count on."""
    events = play.recorder.events
    if type(events[0]) is not RunStarted or type(events[-1]) is not RunFinished:
        yield f"it begins with {events[0]} and ends with {events[-1]}"
    if any(after.at_ns < before.at_ns for before, after in pairwise(events)):
        yield "time goes backwards"
    words: dict[Any, str] = {}
    attempts: dict[Any, int] = {}
    for event in events:
        if event.path not in play.leaves or isinstance(event, MapProgressed):
            continue
        place = event.path, event.outer, event.item
        letter = LETTERS[type(event)]
        words[place] = words.get(place, "") + letter
        if letter in "rs":
            attempts[place] = 1
        elif letter in "qalt" and event.attempt != attempts[place]:  # type: ignore[union-attr]
            yield f"{event} in attempt {attempts[place]}"
        if letter == "t":
            attempts[place] += 1
    for (path, outer, item), word in words.items():
        if not order_of(play.leaves[path]).fullmatch(word):
            yield f"{path} in {(*outer, item)}: {word}"


def order_of(leaf: Leaf) -> re.Pattern[str]:
    """A node is ready, starts, and ends, or is skipped; between these its attempts, each admitted and released."""
    attempt = "q?al" if leaf.limits else ""
    tried = f"(?:{attempt}t){{0,{(leaf.attempts or 1) - 1}}}{attempt}[fx]"
    shared = "|c[fx]|x" if leaf.cached else ""
    return re.compile(f"(?:rs(?:{tried}{shared})|k)*")

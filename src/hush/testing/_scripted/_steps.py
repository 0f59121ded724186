"""What is sent of an answer, step by step: events of a stream, pauses, and how it ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, NamedTuple

from hush.testing._scripted._exchange import Exchange

OPENING, CHUNK, CLOSING, DONE = "opening", "chunk", "closing", "done"
NO_JSON = '{"id": "broken on order", "choices": [{"delta": {"content": '


class Event(NamedTuple):
    """One event of a stream.

    Attributes:
        part: Which part of the stream it is: one of those above.
        name: Its name on the line ``event:``, if it has one.
        data: What stands on the line ``data:``; text as it is, everything else as JSON.
        tokens: How many tokens of the answer it brings.
    """

    part: str
    name: str | None
    data: Mapping[str, Any] | str
    tokens: int = 0


class Ending(Enum):
    """How a connection ends that does not end well."""

    RESET = "reset"
    CLOSE = "close"
    HANG = "hang"


Step = Event | float | Ending

_ENDINGS = {
    "reset_in_stream": Ending.RESET,
    "half_body": Ending.CLOSE,
    "stalled_stream": Ending.HANG,
    "reset_after_headers": Ending.RESET,
}


def steps_of(exchange: Exchange, events: list[Event], error: Event) -> Iterator[Step]:
    """The stream of these events as it was ordered. Pauses are seconds; one without an ending has ended properly.

    ``error`` is what an error in the middle of this stream is.
    """
    left = _chunks_before_break(exchange, events)
    slow_s, per_token_s = exchange.slow_s("slow_chunks"), exchange.per_token_s
    for event in events:
        if event.part == CHUNK:
            if left == 0:
                break
            left -= 1
            pause_s = slow_s + per_token_s * event.tokens
            if pause_s > 0:
                yield pause_s
        elif left >= 0 and event.part != OPENING:
            break
        elif event.part == DONE and "no_done" in exchange.bends:
            continue
        yield event
    kind = exchange.breaks
    if kind == "error_in_stream":
        yield error
    elif kind == "bad_json":
        yield Event(CHUNK, error.name and "content_block_delta", NO_JSON)
    elif kind in _ENDINGS:
        yield _ENDINGS[kind]


def _chunks_before_break(exchange: Exchange, events: list[Event]) -> int:
    """How many chunks come before the break; below 0: there is none."""
    fault = exchange.fault
    if fault is None:
        return -1
    if fault.kind == "reset_after_headers":
        return 0
    chunks = sum(event.part == CHUNK for event in events)
    return chunks // 2 if fault.after is None else min(fault.after, chunks)

"""An answer as the bytes of HTTP/1.1, with pauses between them, and every way in which it may go wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http.client import responses
from typing import Any

from hush.testing._scripted import _anthropic_wire, _openai_wire
from hush.testing._scripted._exchange import Exchange
from hush.testing._scripted._request import ANTHROPIC
from hush.testing._scripted._steps import Ending, Event, steps_of

Sent = bytes | float | Ending
"""One step: bytes to be written, seconds to be waited, or the end of the connection."""

HTML = "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n</body>\r\n</html>\r\n"
NO_JSON = b'{"id": "broken on order", "choices": [{"message": {"content": '
_KEEP_ALIVE = b": OPENROUTER PROCESSING"
_CUT_PAUSE_S = 0.001  # so that what was cut goes in packets of its own
_MOST_CUTS = 20
_BETWEEN_KEEP_ALIVES_S = 1.0


def encoded(body: Any) -> bytes:
    """A body as JSON, in which characters stand as themselves."""
    return body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()


def head(status: int, headers: Mapping[str, str], *, close: bool = False) -> bytes:
    """The first line and the headers."""
    lines = [f"HTTP/1.1 {status} {responses.get(status, 'Error')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if close:
        lines.append("connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def whole(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Iterator[bytes]:
    """A body that is nothing but sent."""
    data = encoded(body)
    yield head(status, {"content-type": "application/json", "content-length": str(len(data)), **(headers or {})}) + data


def answer(exchange: Exchange, wall_s: float, *, framed: bool = True) -> Iterator[Sent]:
    """All that is sent for one call.

    ``wall_s`` is the time of day, for dates in headers and bodies. A stream is sent in chunks if it may be ``framed``;
    otherwise the end of the connection is its end.
    """
    wire = _anthropic_wire if exchange.request.dialect == ANTHROPIC else _openai_wire
    headers = {"x-request-id": f"req_{exchange.name}"}
    if exchange.standing is not None:
        headers |= wire.limit_headers(exchange.standing, wall_s)
    if exchange.refusal is not None:
        headers |= exchange.refused_headers(wall_s + exchange.wait_s)
        if exchange.wait_s > 0:
            yield exchange.wait_s
        yield from whole(exchange.refusal.status, wire.error_body(exchange.refusal), headers)
        return
    kind = exchange.breaks
    if kind == "timeout":
        yield Ending.HANG
    elif kind in ("reset", "close"):
        if (delay_s := exchange.fault.delay_s if exchange.fault else None) is not None:
            yield delay_s
        yield Ending.RESET if kind == "reset" else Ending.CLOSE
    elif kind == "html":
        yield from _page(exchange)
    elif exchange.request.stream and exchange.reply is not None and kind != "error_in_200":
        yield from _stream(exchange, headers, int(wall_s), framed=framed)
    else:
        yield from _body(exchange, headers, int(wall_s))


def _page(exchange: Exchange) -> Iterator[Sent]:
    status = (exchange.fault.status if exchange.fault else None) or 502
    if exchange.wait_s > 0:
        yield exchange.wait_s
    page = HTML.format(f"{status} {responses.get(status, 'Error')}").encode()
    yield head(status, {"content-type": "text/html", "content-length": str(len(page))}) + page


# --- one body ---------------------------------------------------------------------------------------------------------
def body_of(exchange: Exchange, created: int) -> Any:
    """The body of an answer that is no stream, as JSON has it."""
    anthropic = exchange.request.dialect == ANTHROPIC
    if exchange.breaks_body == "error_in_200":
        return (_anthropic_wire if anthropic else _openai_wire).error_in_200(exchange)
    if exchange.payload is not None:
        if "no_usage" not in exchange.bends:
            return exchange.payload
        return {name: value for name, value in exchange.payload.items() if name != "usage"}
    return _anthropic_wire.message_of(exchange) if anthropic else _openai_wire.completion(exchange, created)


def _body(exchange: Exchange, headers: dict[str, str], created: int) -> Iterator[Sent]:
    kind = exchange.breaks_body
    if exchange.wait_s > 0:
        yield exchange.wait_s
    data = NO_JSON if kind == "bad_json" else encoded(body_of(exchange, created))
    first = head(200, {"content-type": "application/json", "content-length": str(len(data)), **headers})
    half = len(data) // 2
    slow_s = exchange.slow_s("slow_chunks")
    if kind == "reset_after_headers":
        yield first
        yield Ending.RESET
    elif kind in ("half_body", "reset_in_stream", "stalled_stream"):
        yield first + data[:half]
        yield {"half_body": Ending.CLOSE, "reset_in_stream": Ending.RESET}.get(kind, Ending.HANG)
    elif "split_bytes" in exchange.bends:
        yield first
        yield from _apart(data)
    elif slow_s > 0:
        yield first + data[:half]
        yield slow_s
        yield data[half:]
    else:
        yield first + data


# --- a stream ---------------------------------------------------------------------------------------------------------
def _stream(exchange: Exchange, headers: dict[str, str], created: int, *, framed: bool) -> Iterator[Sent]:
    bends = exchange.bends
    headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", **headers}
    if framed:
        headers["transfer-encoding"] = "chunked"
    line = b"\r\n" if "crlf" in bends else b"\n"
    first = head(200, headers, close=not framed)
    if "keep_alives" in bends:
        yield first
        first = b""
        for pause_s in _parts(exchange.wait_s):
            yield _frame(_KEEP_ALIVE + line + line, framed=framed)
            yield pause_s
    elif exchange.wait_s > 0:
        yield exchange.wait_s
    for step in stream_steps(exchange, created):
        if not isinstance(step, Event):
            if first:
                yield first
                first = b""
            yield step
            if isinstance(step, Ending):
                return
            continue
        data = _event(step, line)
        if "keep_alives" in bends:
            data = _KEEP_ALIVE + line + line + data
        if "split_bytes" in bends:
            yield from ([first] if first else [])
            for piece in _apart(data):
                yield _frame(piece, framed=framed) if isinstance(piece, bytes) else piece
        else:
            yield first + _frame(data, framed=framed)
        first = b""
    yield first + b"0\r\n\r\n" if framed else Ending.CLOSE


def stream_steps(exchange: Exchange, created: int) -> Iterator[Event | float | Ending]:
    """The stream of an answer, as it was ordered, in the words of its API."""
    if exchange.request.dialect == ANTHROPIC:
        return steps_of(exchange, _anthropic_wire.events_of(exchange), _anthropic_wire.error_event(exchange))
    events = _openai_wire.events_of(exchange, created)
    return steps_of(exchange, events, _openai_wire.error_event(exchange, created))


def _event(event: Event, line: bytes) -> bytes:
    named = b"" if event.name is None else b"event: " + event.name.encode() + line
    return named + b"data: " + encoded(event.data) + line + line


def _frame(data: bytes, *, framed: bool) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if framed else data


def _parts(seconds: float) -> list[float]:
    """A wait in parts of at most a second, one at least."""
    parts: list[float] = []
    while seconds > _BETWEEN_KEEP_ALIVES_S:
        parts.append(_BETWEEN_KEEP_ALIVES_S)
        seconds -= _BETWEEN_KEEP_ALIVES_S
    return [*parts, seconds]


def _apart(data: bytes) -> Iterator[Sent]:
    """The bytes in pieces, cut inside of characters of several bytes; in the middle if there is none."""
    places = [at + 1 for at, byte in enumerate(data) if byte >= 0xC0][:_MOST_CUTS] or [len(data) // 2]
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        if start < end:
            yield data[start:end]
            yield _CUT_PAUSE_S

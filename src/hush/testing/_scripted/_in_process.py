"""A scripted model called without HTTP: what a perfect HTTP client would hand over, in the time of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Self

from hush.testing._scripted import _openai_wire
from hush.testing._scripted._core import ScriptedCore
from hush.testing._scripted._errors import ScriptedDisconnect, ScriptedFault
from hush.testing._scripted._exchange import Exchange
from hush.testing._scripted._faults import BREAKS
from hush.testing._scripted._http_bytes import HTML, NO_JSON, body_of, stream_steps
from hush.testing._scripted._request import ScriptedRequest
from hush.testing._scripted._steps import DONE, Ending, Event

_LOST_EARLY = frozenset(("reset", "close"))
_LOST_LATE = frozenset(("reset_after_headers", "reset_in_stream", "half_body"))


async def body_in_process(core: ScriptedCore, request: ScriptedRequest) -> dict[str, Any]:
    """The body of one answer; what `ScriptedLLM.respond` says."""
    loop = asyncio.get_running_loop()
    exchange = core.begin(request, loop.time())
    gone = True
    try:
        await _until_first_byte(exchange, loop.time())
        kind = exchange.breaks_body
        if (slow_s := exchange.slow_s("slow_chunks")) > 0:
            await asyncio.sleep(slow_s)
        if kind in _LOST_LATE:
            raise _lost(exchange, 200)
        if kind == "stalled_stream":
            await _for_ever()
        if kind == "bad_json":
            raise ScriptedFault("bad_json", 200, {}, NO_JSON.decode(), BREAKS["bad_json"])
        body: dict[str, Any] = body_of(exchange, int(loop.time()))
        gone = False
        return body
    except ScriptedFault:
        gone = False
        raise
    finally:
        core.end(exchange, loop.time(), abandoned=gone)


async def stream_in_process(core: ScriptedCore, request: ScriptedRequest) -> ScriptedStream:
    """The chunks of one answer, after the wait for the first byte."""
    loop = asyncio.get_running_loop()
    exchange = core.begin(request, loop.time())
    try:
        await _until_first_byte(exchange, loop.time())
    except BaseException as error:
        core.end(exchange, loop.time(), abandoned=not isinstance(error, ScriptedFault))
        raise
    return ScriptedStream(core, exchange, loop)


class ScriptedStream:
    """The chunks of one answer as they come, each a decoded ``chat.completion.chunk``.

    An error in the middle of the stream is a chunk with ``error``; a stream that ends without a ``finish_reason`` just
    ends. Until it is read to its end or closed the call counts as being in the server: use ``async with``, or
    ``aclose()``. One task may read it.
    """

    def __init__(self, core: ScriptedCore, exchange: Exchange, loop: asyncio.AbstractEventLoop) -> None:
        self._core = core
        self._exchange = exchange
        self._loop = loop
        self._steps: Iterator[Any] = _chunks(exchange, int(loop.time()))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        try:
            for step in self._steps:
                if isinstance(step, Event):
                    return self._decoded(step)
                if isinstance(step, Ending):
                    if step is Ending.HANG:
                        await _for_ever()
                    raise _lost(self._exchange, 200)
                await asyncio.sleep(step)
        except BaseException as error:
            self._end(abandoned=not isinstance(error, ScriptedFault))
            raise
        self._end(abandoned=False)
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leave: the call counts as abandoned, unless it was read to its end."""
        self._end(abandoned=True)

    def __del__(self) -> None:
        self._end(abandoned=True)

    def _end(self, *, abandoned: bool) -> None:
        self._steps = iter(())
        self._core.end(self._exchange, self._loop.time(), abandoned=abandoned)

    def _decoded(self, event: Event) -> dict[str, Any]:
        if isinstance(event.data, str):
            raise ScriptedFault("bad_json", 200, {}, event.data, BREAKS["bad_json"])
        return dict(event.data)


def _chunks(exchange: Exchange, created: int) -> Iterator[Event | float | Ending]:
    if exchange.breaks == "error_in_200":  # a body where a stream was asked for
        yield Event("chunk", None, body_of(exchange, created))
        return
    for step in stream_steps(exchange, created):
        if not (isinstance(step, Event) and step.part == DONE):
            yield step


async def _until_first_byte(exchange: Exchange, now_s: float) -> None:
    """Wait as long as the answer takes, and raise what comes in its place."""
    kind = exchange.breaks
    if kind == "timeout":
        await _for_ever()
    if kind in _LOST_EARLY:
        delay_s = exchange.fault.delay_s if exchange.fault is not None else None
        if delay_s is not None:
            await asyncio.sleep(delay_s)
        raise _lost(exchange, None)
    if exchange.wait_s > 0:
        await asyncio.sleep(exchange.wait_s)
    refusal = exchange.refusal
    if refusal is not None:
        headers = exchange.refused_headers(now_s + exchange.wait_s)
        if exchange.standing is not None:
            headers |= _openai_wire.limit_headers(exchange.standing, now_s)
        raise ScriptedFault(refusal.kind, refusal.status, headers, _openai_wire.error_body(refusal), refusal.message)
    if kind == "html":
        status = (exchange.fault.status if exchange.fault is not None else None) or 502
        raise ScriptedFault("html", status, {"content-type": "text/html"}, HTML.format(status), BREAKS["html"])


def _lost(exchange: Exchange, status: int | None) -> ScriptedDisconnect:
    kind = str(exchange.breaks)
    return ScriptedDisconnect(kind, status, {}, None, BREAKS.get(kind, kind))


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()

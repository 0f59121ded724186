"""The words of OpenAI's API: bodies, chunks and errors of chat completions, and the headers that tell of limits.

https://platform.openai.com/docs/api-reference/chat and, for the headers,
https://platform.openai.com/docs/guides/rate-limits. Errors in a body with the status 200, and in a stream, are as
OpenRouter sends them: https://openrouter.ai/docs/api-reference/errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hush.testing._scripted._exchange import Exchange, Refusal
from hush.testing._scripted._limits import Standing
from hush.testing._scripted._reply import Usage
from hush.testing._scripted._steps import CHUNK, CLOSING, DONE, OPENING, Event
from hush.testing._scripted._tokens import tokens_of

_CUT = 16  # characters of arguments and thinking in a chunk


def completion(exchange: Exchange, created: int) -> dict[str, Any]:
    """The body of an answer."""
    reply, usage = exchange.reply, exchange.usage
    assert reply is not None
    message: dict[str, Any] = {"role": "assistant", "content": reply.text(), "refusal": reply.refusal}
    if reply.thinking is not None:
        message["reasoning_content"] = reply.thinking
    if reply.images:
        message["images"] = list(reply.images)
    if reply.audio is not None:
        message["audio"] = {"id": f"audio_{exchange.name}", "data": "", "transcript": "", **reply.audio}
    if reply.tool_calls:
        message["tool_calls"] = [
            {
                "id": _call_id(exchange, place, call.id),
                "type": "function",
                "function": {"name": call.name, "arguments": call.text()},
            }
            for place, call in enumerate(reply.tool_calls)
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": exchange.finish_reason}
    body = _envelope(exchange, "chat.completion", created)
    body["choices"] = [] if "empty_choices" in exchange.bends else [choice]
    if usage is not None and "no_usage" not in exchange.bends:
        body["usage"] = usage_of(usage)
    return body


def events_of(exchange: Exchange, created: int) -> list[Event]:
    """The events of a whole stream."""
    reply, usage = exchange.reply, exchange.usage
    assert reply is not None

    def event(part: str, delta: Mapping[str, Any] | None, tokens: int = 0, reason: str | None = None) -> Event:
        body = _envelope(exchange, "chat.completion.chunk", created)
        body["choices"] = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason}]
        return Event(part, None, body, tokens)

    events: list[Event] = []
    if "empty_choices" in exchange.bends:
        events.append(event(CHUNK, None))
    else:
        events.append(event(OPENING, {"role": "assistant", "content": ""}))
        thoughts = _cut(reply.thinking or "")
        events += [event(CHUNK, {"reasoning_content": piece}, tokens_of(piece)) for piece in thoughts]
        events += [event(CHUNK, {"content": piece}, tokens_of(piece)) for piece in exchange.pieces]
        if reply.refusal is not None:
            events.append(event(CHUNK, {"refusal": reply.refusal}, tokens_of(reply.refusal)))
        events += [event(CHUNK, delta, tokens) for delta, tokens in _spoken(exchange)]
        images = (image for image in reply.images if isinstance(image, Mapping))  # all are, once they are checked
        events += [event(CHUNK, {"images": [{**image, "index": at}]}) for at, image in enumerate(images)]
        for place, call in enumerate(reply.tool_calls):
            named = {"name": call.name, "arguments": ""}
            opened = {"index": place, "id": _call_id(exchange, place, call.id), "type": "function", "function": named}
            events.append(event(CHUNK, {"tool_calls": [opened]}, tokens_of(call.name)))
            for piece in _cut(call.text()):
                more = {"index": place, "function": {"arguments": piece}}
                events.append(event(CHUNK, {"tool_calls": [more]}, tokens_of(piece)))
        events.append(event(CLOSING, {}, 0, exchange.finish_reason))
    options = exchange.request.body.get("stream_options")
    wanted = isinstance(options, Mapping) and options.get("include_usage") is True
    if wanted and usage is not None and "no_usage" not in exchange.bends:
        last = event(CLOSING, None)
        events.append(Event(CLOSING, None, {**_mapping(last), "usage": usage_of(usage)}))
    events.append(Event(DONE, None, "[DONE]"))
    return events


def _spoken(exchange: Exchange) -> list[tuple[dict[str, Any], int]]:
    """What chunks bring of what is spoken, and how many tokens each: its id, its text, its sound, when it expires."""
    assert exchange.reply is not None
    audio = exchange.reply.audio
    if audio is None:
        return []
    named = {"id": audio.get("id", f"audio_{exchange.name}")}
    found: list[tuple[dict[str, Any], int]] = [({"audio": named}, 0)]
    transcript = str(audio.get("transcript", ""))
    found += [({"audio": {"transcript": piece}}, tokens_of(piece)) for piece in _cut(transcript)]
    found += [({"audio": {"data": piece}}, 0) for piece in _cut(str(audio.get("data", "")))]
    if "expires_at" in audio:
        found.append(({"audio": {"expires_at": audio["expires_at"]}}, 0))
    return found


def error_event(exchange: Exchange, created: int) -> Event:
    """An error in the middle of a stream."""
    error = exchange.error()
    if error.body is not None:
        return Event(CHUNK, None, error.body)
    body = _envelope(exchange, "chat.completion.chunk", created)
    body["error"] = {"code": error.status, "message": error.message}
    body["choices"] = [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]
    return Event(CHUNK, None, body)


def error_in_200(exchange: Exchange) -> Any:
    """A body that is an error although the status is 200."""
    error = exchange.error()
    return error.body if error.body is not None else {"error": {"code": error.status, "message": error.message}}


def error_body(refusal: Refusal) -> Any:
    """The body of an error with a status."""
    if refusal.body is not None:
        return refusal.body
    return {"error": {"message": refusal.message, "type": refusal.type, "param": None, "code": refusal.code}}


def limit_headers(standing: Standing, wall_s: float) -> dict[str, str]:
    """What is left of the limits."""
    headers: dict[str, str] = {}
    for what, each in (("requests", standing.requests), ("tokens", standing.tokens)):
        if each is not None:
            limit, left, reset_s = each
            headers[f"x-ratelimit-limit-{what}"] = str(limit)
            headers[f"x-ratelimit-remaining-{what}"] = str(left)
            headers[f"x-ratelimit-reset-{what}"] = _duration(reset_s)
    return headers


def usage_of(usage: Usage) -> dict[str, Any]:
    """The tokens of a call."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _envelope(exchange: Exchange, kind: str, created: int) -> dict[str, Any]:
    reply = exchange.reply
    model = reply.model if reply is not None and reply.model else exchange.request.model
    return {"id": f"chatcmpl-{exchange.name}", "object": kind, "created": created, "model": model}


def _mapping(event: Event) -> Mapping[str, Any]:
    assert not isinstance(event.data, str)
    return event.data


def _call_id(exchange: Exchange, place: int, given: str | None) -> str:
    return given if given is not None else f"call_{exchange.name}_{place}"


def _cut(text: str) -> list[str]:
    return [text[at : at + _CUT] for at in range(0, len(text), _CUT)]


def _duration(seconds: float) -> str:
    """As Go writes durations: 120ms, 1.5s, 6m0s."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    return f"{int(minutes)}m{rest:g}s" if minutes else f"{rest:g}s"

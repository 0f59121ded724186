"""``LangfuseForm``: a span described the way Langfuse is fed today, by its own attributes and no others.

What is the trace's stands on every span, since Langfuse's newest ingestion reads each by itself. Sources:
https://langfuse.com/integrations/native/opentelemetry, and what Langfuse's own SDK 5 sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hush.observability._otel import _attributes as names
from hush.observability._otel._conventions import about, asked_of, model_of
from hush.observability._otel._convert import Described, said
from hush.observability._otel._messages import messages_of
from hush.observability._otel._text import as_json, encodable, scalar, stacktrace
from hush.observability._span import Generation, Happened, RunRecord, Span, Wait, called_off

_LEVELS = {
    "failed": "ERROR",
    "crashed": "ERROR",
    "handled": "WARNING",
    "partial": "WARNING",
    "cancelled": "WARNING",
    "skipped": "DEBUG",
}
_PARTS_OF_INPUT = ("cached_tokens", "cache_write_tokens")
_MOST_TAGS = 100
"""Tags of the run that each of its spans tells: of a map whose items have one each they were as many as its spans."""


@dataclass(frozen=True, slots=True)
class LangfuseForm:
    """How spans are described to Langfuse; it is a ``Form``.

    Attributes:
        environment: ``langfuse.environment`` of every span.
        release: ``langfuse.release``.
    """

    environment: str | None = None
    release: str | None = None

    def __call__(self, span: Span, run: RunRecord | None) -> Described:
        generation = asked_of(span)
        kind = "span" if generation is None else names.LF_TYPES[span.kind]
        found: dict[str, Any] = {names.LF_TYPE: kind}
        if self.environment is not None:
            found[names.LF_ENVIRONMENT] = self.environment
        if self.release is not None:
            found[names.LF_RELEASE] = self.release
        if run is not None:
            _of_trace(found, run)
        if span.parent is None:
            found[names.LF_IS_ROOT] = True
        if span.status in _LEVELS:
            found[names.LF_LEVEL] = _LEVELS[span.status]
            found[names.LF_STATUS_MESSAGE] = encodable(_went(span))
        elif span.annotations is not None and span.annotations.status is not None:
            code, why = span.annotations.status
            if code == "ERROR":
                found[names.LF_LEVEL] = code
                found[names.LF_STATUS_MESSAGE] = encodable(why or "its code says that it failed")
        for name, value in about(span).items():
            found[names.LF_METADATA + name.removeprefix("hush.")] = value if _is_plain(value) else as_json(value)
        for name, text in _told(span).items():
            found[names.LF_METADATA + name] = text
        given = _input(span, kind)
        if given:
            found[names.LF_INPUT] = as_json(given)
        if span.outputs:
            found[names.LF_OUTPUT] = as_json(_output(span.outputs, kind))
        if generation is not None:
            _generated(found, span, generation)
        return Described(span.name, found)


def _went(span: Span) -> str:
    """How a span that is not simply ``ok`` went, in a line."""
    why = called_off(span)
    if why is not None:
        return f"{span.status}: {why}" if why else span.status
    return span.status if span.failure is None else said(span.failure)


def _of_trace(found: dict[str, Any], run: RunRecord) -> None:
    found[names.LF_TRACE_NAME] = encodable(run.name)
    if run.user_id:
        found[names.USER_ID] = encodable(run.user_id)
    if run.session_id:
        found[names.SESSION_ID] = encodable(run.session_id)
    if run.tags:
        found[names.LF_TRACE_TAGS] = tuple(map(encodable, run.tags[:_MOST_TAGS]))
    found[f"{names.LF_TRACE_METADATA}request_id"] = encodable(run.request_id)


def _told(span: Span) -> dict[str, str]:
    """What others are told of in a span's events, which Langfuse does not store."""
    found: dict[str, str] = {}
    if span.failure is not None and called_off(span) is None:
        found["stacktrace"] = stacktrace(span.failure)
        if span.failure.path is not None:
            found["failed_path"] = encodable(span.failure.path)
    if span.rerouted:
        found["rerouted"] = as_json([{"resource": name, "error": said(failure)} for name, failure in span.rerouted])
    if span.waits:
        found["waits"] = as_json([_waited(one) for one in span.waits])
    if span.annotations is not None and span.annotations.events:
        found["events"] = as_json([_happened(one) for one in span.annotations.events])
    return found


def _happened(one: Happened) -> dict[str, Any]:
    found: dict[str, Any] = {"name": one.name, "time": _instant(one.at_ns)}
    if one.failure is not None:
        found["stacktrace"] = stacktrace(one.failure)
    return found if not one.attributes else {**found, "attributes": one.attributes}  # any of which may be a ``name``


def _waited(wait: Wait) -> dict[str, Any]:
    """Seconds in the line of a limit, and for how long it was held; ``None`` if it never came to that."""
    held_ns = None if wait.admitted_ns is None or wait.released_ns is None else wait.released_ns - wait.admitted_ns
    return {
        "limits": wait.limits,
        "attempt": wait.attempt,
        "waited_s": None if wait.admitted_ns is None else (wait.admitted_ns - wait.queued_ns) / 1e9,
        "held_s": None if held_ns is None else held_ns / 1e9,
    }


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _input(span: Span, kind: str) -> Any:
    """Of a language model the messages, which Langfuse draws as a conversation."""
    messages = messages_of(span) if kind == "generation" else None
    if messages is None:
        return span.inputs
    tools = (span.inputs or {}).get("tools")
    return {"messages": messages, "tools": tools} if tools else messages


def _output(outputs: Mapping[str, Any], kind: str) -> Any:
    """Of a language model the message that it answered."""
    if kind != "generation" or "content" not in outputs:
        return outputs
    message = {"role": outputs.get("role") or "assistant", "content": outputs["content"]}
    more = ("tool_calls", "thinking_content", "refusal")
    return message | {name: outputs[name] for name in more if outputs.get(name)}


def _generated(found: dict[str, Any], span: Span, generation: Generation) -> None:
    model = model_of(generation)
    if model is not None:
        found[names.LF_MODEL] = model
    if generation.parameters:
        found[names.LF_PARAMETERS] = as_json({name: scalar(value) for name, value in generation.parameters.items()})
    if generation.usage:
        found[names.LF_USAGE] = as_json(usage_details(generation.usage))
    if generation.cost is not None:
        found[names.LF_COST] = as_json({"total": generation.cost})
    if span.first_ns is not None:
        found[names.LF_COMPLETION_START] = _instant(span.first_ns)
    for name in ("finish_reason", "response_id"):
        said = getattr(generation, name)
        if said is not None:
            found[names.LF_METADATA + name] = encodable(said)


def usage_details(usage: Mapping[str, int]) -> dict[str, int]:
    """``usage`` as Langfuse adds it up and prices it: no token is counted under two names.

    So ``input`` is without what was read from a cache or written into it, and ``output`` without reasoning; ours, as
    those of the GenAI conventions, are with them.
    """
    found = {to: usage[name] for name, to in names.LF_USAGE_NAMES.items() if name in usage}
    if "input" in found:
        found["input"] = max(0, found["input"] - sum(usage.get(name, 0) for name in _PARTS_OF_INPUT))
    if "output" in found:
        found["output"] = max(0, found["output"] - usage.get("reasoning_tokens", 0))
    known = {*names.LF_USAGE_NAMES, *names.OLDER_USAGE}
    found.update({name: count for name, count in usage.items() if name not in known})
    return found


def _instant(at_ns: int) -> str:
    whole, rest = divmod(at_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000:06d}Z"

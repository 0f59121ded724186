"""``conventional``: a span described by OpenTelemetry's conventions, those of GenAI where a model was asked."""

from __future__ import annotations

from typing import Any

from hush.observability._otel import _attributes as names
from hush.observability._otel._convert import Described, has_failed
from hush.observability._otel._messages import answered, asked
from hush.observability._otel._text import as_json, encodable, scalar
from hush.observability._span import Generation, RunRecord, Span, called_off

_PROVIDERS = (
    (("gpt-", "chatgpt-", "o1", "o3", "o4", "text-embedding-3", "text-embedding-ada"), "openai"),
    (("claude",), "anthropic"),
    (("gemini", "models/gemini"), "gcp.gemini"),
    (("command", "rerank-v", "embed-"), "cohere"),
    (("mistral-", "ministral", "codestral", "magistral"), "mistral_ai"),
    (("deepseek-chat", "deepseek-reasoner"), "deepseek"),
    (("grok-",), "x_ai"),
)
_MOST_TOTALS = 100
_LARGEST = 10**300  # a whole number beyond it may be no float
_DIGITS_OF_PORTS = 5


def conventional(span: Span, run: RunRecord | None) -> Described:
    """How ``span`` is described to any collector."""
    generation = asked_of(span)
    operation = None if generation is None else names.OPERATIONS[span.kind]
    found = about(span)
    _of_run(found, span, run)
    name = span.name
    if generation is not None and operation is not None:
        model = model_of(generation)
        found[names.OPERATION] = operation
        if model is not None:
            name = f"{operation} {model}"
        _asked(found, span, generation, model)
        if run is not None and run.session_id:
            found[names.CONVERSATION_ID] = encodable(run.session_id)
    found[names.SPAN_KIND] = names.OTHER_SPAN_KIND if operation is None else names.SPAN_KINDS[span.kind]
    _values(found, span, operation)
    if has_failed(span, call=operation is not None):
        found[names.ERROR_TYPE] = "_OTHER" if span.failure is None else encodable(span.failure.type)
    return Described(name, found, operation is not None)


def about(span: Span) -> dict[str, Any]:
    """What is Hush's own about ``span``, by the names of ``_attributes``; what does not apply is absent."""
    found: dict[str, Any] = {names.KIND: span.kind, names.STATUS: span.status, names.PATH: encodable(span.path)}
    found[names.NODE] = encodable(span.name)
    if span.items:
        found[names.ITEM] = span.items[-1]
        found[names.ITEMS] = span.items
    if span.waits:
        waited = sum(one.admitted_ns - one.queued_ns for one in span.waits if one.admitted_ns is not None)
        found[names.WAITED_S] = waited / 1e9
    if span.ready_ns is not None:
        found[names.READY_S] = (span.started_ns - span.ready_ns) / 1e9
    if span.attempts != 1:
        found[names.ATTEMPTS] = span.attempts
    if span.retry_s:
        found[names.RETRY_S] = span.retry_s
    if span.tags:
        found[names.TAGS] = tuple(map(encodable, span.tags))
    if span.generation is not None and span.generation.resource is not None:
        found[names.RESOURCE] = encodable(span.generation.resource)
    for name, value in (
        (names.KEY, span.key),
        (names.ROUND, span.round),
        (names.ATTEMPT, span.attempt),
        (names.CACHED, span.cached),
        (names.DONE, span.done),
        (names.FAILED, span.failed),
        (names.LEFT_OUT, span.left_out),
        (names.TOTAL, span.total),
    ):
        if value is not None:
            found[name] = encodable(value) if isinstance(value, str) else value
    if span.failure is not None and (why := called_off(span)):
        found[names.CANCELLED] = encodable(why)
    return found


def _of_run(found: dict[str, Any], span: Span, run: RunRecord | None) -> None:
    if run is None:
        return
    found[names.REQUEST_ID] = encodable(run.request_id)
    if run.user_id:
        found[names.USER_ID] = encodable(run.user_id)
    if run.session_id:
        found[names.SESSION_ID] = encodable(run.session_id)
    if span.parent is not None:
        return
    found[names.RUN_LEFT_OUT], found[names.RUN_DROPPED] = run.left_out, run.dropped
    if run.tags:
        found[names.TAGS] = tuple(map(encodable, dict.fromkeys((*run.tags, *span.tags))))
    if run.totals:
        slowest = sorted(run.totals, key=lambda one: -one.seconds)[:_MOST_TOTALS]
        found[names.TOTALS] = as_json([one.as_data() for one in slowest])


def _asked(found: dict[str, Any], span: Span, generation: Generation, model: str | None) -> None:
    """What the conventions say of a request to a model."""
    if model is not None:
        found[names.REQUEST_MODEL] = model
    provider = _provider(generation, model)
    if provider is not None:
        found[names.PROVIDER] = provider
    if generation.model is not None:
        found[names.RESPONSE_MODEL] = encodable(generation.model)
    if generation.response_id is not None:
        found[names.RESPONSE_ID] = encodable(generation.response_id)
    if generation.server is not None:
        host, _, port = generation.server.rpartition(":")
        numbered = port.isascii() and port.isdigit() and len(port) <= _DIGITS_OF_PORTS
        found[names.SERVER_ADDRESS] = encodable((host if numbered else generation.server).strip("[]"))
        if numbered:
            found[names.SERVER_PORT] = int(port)
    for name, count in (generation.usage or {}).items():
        if name in names.USAGE:
            found[names.USAGE[name]] = scalar(count)
    if generation.cost is not None:
        found[names.COST] = generation.cost
    if generation.finish_reason is not None:
        found[names.FINISH_REASONS] = (encodable(generation.finish_reason),)
    for name, value in (generation.parameters or {}).items():
        key, given = _parameter(name, value)
        found[key] = given
    if span.first_ns is not None:
        found[names.STREAM] = True
        since = span.started_ns if span.called_ns is None else span.called_ns
        found[names.TIME_TO_FIRST_CHUNK] = (span.first_ns - since) / 1e9


def _parameter(name: str, value: Any) -> tuple[str, Any]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in names.WHOLE_PARAMETERS and number and (isinstance(value, int) or value.is_integer()):
        return names.WHOLE_PARAMETERS[name], scalar(int(value))
    if name in names.PARAMETERS and number and abs(value) < _LARGEST:
        return names.PARAMETERS[name], float(value)
    if name == "stop":
        each = value if isinstance(value, list | tuple) else (value,)
        return names.STOP_SEQUENCES, tuple(encodable(str(one)) for one in each)
    if name == "reasoning_effort" and isinstance(value, str):
        return names.REASONING_LEVEL, encodable(value)
    if name == "response_format" and value in ("json_object", "json_schema"):
        return names.ASKED_FOR, "json"
    return names.PARAMETER + encodable(name), scalar(value)


def _values(found: dict[str, Any], span: Span, operation: str | None) -> None:
    """What the span read and gave: as messages where a language model was asked, else as JSON."""
    messages = answer = None
    if operation == "chat":
        messages = asked(span)
        if span.outputs is not None:
            answer = answered(span.outputs, span.generation.finish_reason if span.generation else None)
    if messages is not None:
        found[names.INPUT_MESSAGES] = as_json(messages)
    if span.inputs:
        found[names.INPUT], found[names.INPUT_TYPE] = as_json(span.inputs), names.JSON_TYPE
    if answer is not None:
        found[names.OUTPUT_MESSAGES] = as_json(answer)
    if span.outputs:
        found[names.OUTPUT], found[names.OUTPUT_TYPE] = as_json(span.outputs), names.JSON_TYPE


def asked_of(span: Span) -> Generation | None:
    """What the span's model was asked and answered; ``None`` if it asked none by itself.

    What a node that holds others, such as an ``EmbeddingNode``, says of usage is the sum of theirs, and an answer from
    the cache took no tokens: told of as requests, both would be counted, and paid, twice.
    """
    generation = span.generation
    asked = generation is not None and generation.resource is not None and span.kind in names.OPERATIONS
    return generation if asked else None


def _provider(generation: Generation, model: str | None) -> str | None:
    """Whose model it is: many servers speak OpenAI's form, so there the model's name says more, if it says anything."""
    by_name = None if model is None else provider_of(model)
    if generation.provider in (None, "openai"):
        return by_name or generation.provider
    return encodable(names.PROVIDERS.get(generation.provider, generation.provider))


def model_of(generation: Generation) -> str | None:
    """The name of the model that was asked for, without the category if all that is known is the resource's key."""
    known = generation.requested or generation.model or generation.resource
    if known is None:
        return None
    category, colon, bare = known.partition(":")
    return encodable(bare if colon and bare and category in ("llm", "embedding", "rerank") else known)


def provider_of(model: str) -> str | None:
    """Whose model it is, by its name, as well as can be known; ``None`` if it does not tell."""
    name = model.lower().rpartition("/")[2]
    return next((provider for starts, provider in _PROVIDERS if name.startswith(starts)), None)

"""``LLMNode``: a node that asks a language model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from hush.core import Limit, Retry, UsageError
from hush.core.extend import Again, Leaf, Serving, Uses
from hush.providers._asked import PATIENT, about, asked, keys_of, refuse_unknown, usage_given
from hush.providers._model import ChatClient, ChatResource, Reply, Usage
from hush.providers._request import LLMRequest, request_of
from hush.providers._said import said
from hush.providers._structured import Misfit
from hush.providers._tools import read_calls
from hush.providers.errors import AnswerMismatch, RefusedByProvider

if TYPE_CHECKING:
    from pathlib import Path

Value = Any
OUTPUTS = frozenset(
    {
        "content",
        "message",
        "role",
        "finish_reason",
        "tool_calls",
        "parsed",
        "images",
        "audio",
        "usage",
        "cost",
        "model_used",
        "thinking_content",
        "refusal",
        "logprobs",
        "attempts",
    }
)
ARGUMENTS = (
    "name",
    "resource_key",
    "ratios",
    "fallback",
    "inputs",
    "outputs",
    "stream",
    "timeout_s",
    "on_error",
    "retry",
    "limit",
    "cache",
    "version",
    "priority",
    "tokens",
)


def make_request(
    messages: Any,
    *,
    temperature: float | None = None,
    max_tokens: int | None = None,
    max_completion_tokens: int | None = None,
    top_p: float | None = None,
    stop: str | list[str] | None = None,
    seed: int | None = None,
    presence_penalty: float | None = None,
    frequency_penalty: float | None = None,
    tools: Sequence[Any] | None = None,
    tool_choice: Any = None,
    parallel_tool_calls: bool | None = None,
    response_format: Any = None,
    reasoning_effort: str | None = None,
    verbosity: str | None = None,
    logprobs: bool | None = None,
    top_logprobs: int | None = None,
    logit_bias: Mapping[str, float] | None = None,
    user: str | None = None,
    service_tier: str | None = None,
    extra_body: Mapping[str, Any] | None = None,
) -> LLMRequest:
    """The request for the inputs of one call."""
    given = dict(locals())
    for name in ("messages", "tools", "tool_choice", "response_format", "extra_body"):
        del given[name]
    return request_of(messages, tools, tool_choice, response_format, given, extra_body)


MODEL_PARAMETERS = frozenset(make_request.__annotations__) - {"return"}
"""What an ``LLMNode`` takes as inputs."""


class LLMNode(Leaf):
    """A node that asks a language model, and gives its answer whole.

    Its ``inputs`` are ``messages``, a list as OpenAI's API takes it, or text for a single question; and, where wanted,
    ``temperature``, ``max_tokens``, ``top_p``, ``stop``, ``seed``, ``presence_penalty``, ``frequency_penalty``,
    ``tools``, ``tool_choice``, ``parallel_tool_calls``, ``response_format``, ``reasoning_effort``, ``verbosity``,
    ``logprobs``, ``top_logprobs``, ``logit_bias``, ``user``, ``service_tier``, and ``extra_body``, whose fields are
    sent as they are. What is not given is not sent: the model's own default holds.

    ``tools`` are Python functions, whose name, parameters and docstring the model is told of, or definitions. They are
    not called: ``tool_calls`` has the calls that the model asks for. ``response_format`` is a pydantic model, a JSON
    schema, or ``"json_object"``: ``parsed`` is then the model's instance, or the data. The schema is enforced by the
    server where it can be, and checked in any case. An answer, or a call, that does not fit is sent back once with what
    is wrong; after that it is an ``AnswerMismatch``.

    Its outputs are ``content`` (text, empty if there is none), ``message`` (the answer as it goes back to the model in
    the next turn, with the calls of tools and the signatures of what it thought), ``role``, ``finish_reason``,
    ``tool_calls`` (a list, in OpenAI's form, with ``name`` and ``arguments`` beside it), ``parsed``, ``images`` (parts
    that may stand in a message), ``audio`` (``id``, ``data`` in base64, ``transcript``; or ``None``), ``usage``
    (``input_tokens``, ``output_tokens``, ``total_tokens``, ``cached_tokens``, ``reasoning_tokens``, of all attempts
    that were answered, and ``prompt_tokens``, ``completion_tokens``, which are the same under older names), ``cost`` in
    US dollars or ``None``, ``model_used`` (the key of the resource that answered), ``thinking_content``, ``refusal``,
    ``logprobs``, and ``attempts``, how often a model was asked for it.

    In ``engine.stream`` parts of the answer arrive as ``NodeChunk`` events, also from inside maps.

    Limits belong to the resource: all nodes, maps and runs of the process that name it in the same hub share them.
    Calls are tried again as ``retry`` says; when a model has failed, those in ``fallback`` are asked, and while it is
    known to be down they are asked first.

    Args:
        name: As of every node; ``llm`` without it.
        resource_key: ``"gpt-4"`` or ``"llm:gpt-4"``: a key of ``resources.yaml``; or a list of keys, each of which is
            asked in its turn.
        ratios: How often each of several is asked: ``[0.8, 0.2]``.
        fallback: Keys of those to ask when it fails, in order.
        stream: Whether the answer is streamed: ``None`` where somebody reads ``engine.stream``, ``True`` always,
            ``False`` never. What the node gives is the same.
        timeout_s: Seconds that one attempt may take, besides the resource's own ``timeout_s``.
        retry: ``Retry(...)`` in place of 8 attempts, or of 2 where another model can be asked.
        cache: As of ``CodeNode``. The key is who is asked, the messages and the parameters.
        limit: A limit of the node's own, besides the resource's.
        tokens: How many tokens a call is expected to take, in place of an estimate from its messages and
            ``max_tokens``.

    Raises:
        RequestError: In a run: the inputs are nothing that a model could be asked.
        ProviderError: In a run, after the last attempt.
        AnswerMismatch: In a run: see above.
    """

    kind = "llm"

    def __init__(
        self,
        name: str | None = None,
        *,
        resource_key: str | Sequence[str] | None = None,
        ratios: Sequence[float] | None = None,
        fallback: str | Sequence[str] = (),
        inputs: Mapping[str, Value] | None = None,
        outputs: Value = None,
        stream: bool | None = None,
        timeout_s: float | None = None,
        on_error: str | None = None,
        retry: Retry | None = None,
        limit: Limit | str | list[Limit | str] | None = None,
        cache: str | Path | bool | None = None,
        version: str | None = None,
        priority: int = 0,
        tokens: int | Callable[..., Any] | None = None,
        **unknown: Value,
    ) -> None:
        refuse_unknown(type(self).__name__, unknown, ARGUMENTS, MODEL_PARAMETERS)
        super().__init__(
            name,
            fn=make_request,
            inputs=inputs,
            outputs=outputs,
            timeout_s=timeout_s,
            on_error=on_error,
            retry=retry,
            limit=limit,
            cache=cache,
            version=version,
            priority=priority,
            tokens=tokens,
            uses=uses_of_models(type(self).__name__, resource_key, ratios, fallback, stream, finish, asked_for),
            suggested="llm",
        )


def uses_of_models(
    kind: str,
    resource_key: str | Sequence[str] | None,
    ratios: Sequence[float] | None,
    fallback: str | Sequence[str],
    stream: bool | None,
    done: Callable[[LLMRequest, Mapping[str, Any]], Mapping[str, Any]],
    told: Callable[[LLMRequest, ChatResource], Mapping[str, Any]],
) -> Uses:
    """The models that a node asks, checked.

    ``done`` makes the outputs of what was answered, ``told`` is what tracers are told of a request.
    """
    if resource_key is None:
        raise UsageError(f'{kind}(...) misses resource_key=: the model that it asks, such as resource_key="gpt-4".')
    names = keys_of(kind, "resource_key", resource_key)
    if not names:
        raise UsageError(f"{kind}(resource_key=[]) names no model.")
    if ratios is not None:
        good = isinstance(ratios, Sequence) and not isinstance(ratios, str)
        if not good or len(ratios) != len(names) or not all(_is_share(one) for one in ratios):
            raise UsageError(
                f"{kind}(ratios={ratios!r}): it is one number above 0 for each of the {len(names)} in resource_key=."
            )
    if stream not in (None, True, False):
        raise UsageError(f"{kind}(stream={stream!r}): it is True, False, or None for where somebody reads the stream.")
    return Uses(
        category="llm",
        names=names,
        ratios=None if ratios is None else tuple(ratios),
        fallback=keys_of(kind, "fallback", fallback),
        serve=partial(_serve, stream),
        key=LLMRequest.key,
        tokens=_expected,
        finish=done,
        outputs=OUTPUTS,
        asked=told,
        retry=PATIENT,
    )


def asked_for(request: LLMRequest, resource: ChatResource) -> dict[str, Any]:
    """What tracers are told of a request: its messages where they are not just those among the inputs of its node."""
    chat = request.chat
    form = {} if chat.schema is None else {"response_format": "json_schema" if chat.schema else "json_object"}
    told = asked(resource, {**chat.parameters, **form})
    return {**told, "messages": list(chat.messages)} if request.again else told


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


_SLIPS = frozenset(("tool_use_failed", "json_validate_failed"))
"""What Groq refuses with the status 400 though the request was right: the model's answer does not fit it."""


# --- one attempt ------------------------------------------------------------------------------------------------------
async def _serve(
    stream: bool | None, request: LLMRequest, client: ChatClient, serving: Serving
) -> Mapping[str, Any] | Again:
    resource: ChatResource = serving.resource
    streams = serving.streams if stream is None else stream
    try:
        reply = await client.chat(request.chat, serving.chunk if streams else None)
    except RefusedByProvider as refusal:
        if refusal.code not in _SLIPS or serving.corrections:
            raise
        return Again(request.after_slip(), Usage())
    resource.learn(request.input_tokens(), reply.usage)
    more = {"finish_reason": reply.finish_reason, "response_id": reply.id}
    serving.answered(lambda: about(resource, reply.usage, reply.model, **more))
    if reply.hold_s is not None:
        serving.hold_s(reply.hold_s)
    try:
        calls = read_calls(reply.tool_calls, request.tools)
        if request.shape is not None and not calls and reply.refusal is None:
            request.shape.read(reply.content)
    except Misfit as misfit:
        if serving.corrections or reply.finish_reason in ("length", "content_filter"):
            raise _mismatch(reply, misfit, resource.name) from None
        return Again(request.corrected(reply, str(misfit)), reply.usage)
    replies = (*request.before, reply)
    return {
        "content": reply.content,
        "message": said(reply),
        "role": reply.role,
        "finish_reason": reply.finish_reason,
        "tool_calls": calls,
        "parsed": None,
        "images": [dict(image) for image in reply.images],
        "audio": None if reply.audio is None else dict(reply.audio),
        "usage": usage_given([one.usage for one in replies]),
        "cost": _cost(resource, replies),
        "model_used": resource.name,
        "thinking_content": reply.thinking,
        "refusal": reply.refusal,
        "logprobs": reply.logprobs,
        "attempts": serving.attempts,
    }


def _mismatch(reply: Reply, misfit: Misfit, name: str) -> AnswerMismatch:
    ended = {
        "length": " It was cut off: give it more max_tokens.",
        "content_filter": " It was filtered by the provider.",
    }.get(reply.finish_reason or "", "")
    text = reply.content or next((f"{call.name}({call.arguments})" for call in reply.tool_calls), "")
    shown = text if len(text) <= 200 else f"{text[:200]}…"
    return AnswerMismatch(
        f"the answer of {name} is not what was asked for: {misfit}{ended} It begins: {shown!r}",
        reply.content,
        reply.finish_reason,
    )


def _cost(resource: ChatResource, replies: Sequence[Reply]) -> float | None:
    each = [resource.cost(one.usage, one.model) for one in replies]
    return None if None in each else sum(one for one in each if one is not None)


def _expected(request: LLMRequest, resource: ChatResource) -> Mapping[str, int]:
    limit = request.chat.parameters.get("max_tokens")
    return resource.expected_tokens(request.input_tokens(), limit if isinstance(limit, int) else None)


def finish(request: LLMRequest, out: Mapping[str, Any]) -> Mapping[str, Any]:
    """With ``parsed``, which is not cached: a pydantic model is made anew each time, so nobody shares one."""
    shape = request.shape
    if shape is None or out["tool_calls"] or out["refusal"] is not None:
        return out
    return {**out, "parsed": shape.made(shape.read(out["content"]))}

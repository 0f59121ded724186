"""``LLMChainNode``: prompt, model and parser in one node."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from hush.core import Limit, Retry, UsageError
from hush.core.extend import Leaf, Parameter, Signature, signature_of
from hush.providers._asked import refuse_unknown
from hush.providers._llm import ARGUMENTS, MODEL_PARAMETERS, asked_for, finish, make_request, uses_of_models
from hush.providers._model import ChatResource
from hush.providers._prompt import written_prompt
from hush.providers._request import LLMRequest
from hush.providers._structured import bare_json
from hush.providers.errors import AnswerMismatch

if TYPE_CHECKING:
    from pathlib import Path

Value = Any


class LLMChainNode(Leaf):
    """A node that fills in a prompt, asks a language model, and reads its answer.

    Its ``inputs`` are those of a ``PromptNode``, the template under ``prompt`` (or ``template``) and what it names,
    and those of an ``LLMNode`` but for ``messages``. Where both have a name, as ``{user}``, it is the template's. Its
    outputs are those of an ``LLMNode``, with what ``parser`` makes of the answer in ``parsed``.

    Args:
        name: As of every node; ``chain`` without it.
        parser: ``"json"`` reads the answer as JSON, also within a fence of Markdown; ``"lines"`` gives its lines
            without bullets and numbers in front; a pydantic model or a JSON schema asks for an answer of that shape, as
            ``response_format`` does; a function is given the text, and what it returns is ``parsed``: it is called on
            the event loop, also for answers from a cache, and what it raises is the failure of the node.
        template_file: As of ``PromptNode``.

    The other arguments are those of ``LLMNode``.
    """

    kind = "chain"

    def __init__(
        self,
        name: str | None = None,
        *,
        resource_key: str | Sequence[str] | None = None,
        ratios: Sequence[float] | None = None,
        fallback: str | Sequence[str] = (),
        inputs: Mapping[str, Value] | None = None,
        outputs: Value = None,
        parser: Value = None,
        template_file: str | os.PathLike[str] | None = None,
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
        refuse_unknown("LLMChainNode", unknown, (*ARGUMENTS, "parser", "template_file"), MODEL_PARAMETERS)
        read, shape = _reader(parser)
        prompt = written_prompt(name if isinstance(name, str) else self.kind, inputs, template_file)
        taken = {one.name for one in prompt.parameters}
        models = [one for one in signature_of(make_request).parameters if one.name != "messages"]
        free = tuple([Parameter(one.name, "keyword", True, None) for one in models if one.name not in taken])
        done = partial(_finish, read)
        uses = uses_of_models("LLMChainNode", resource_key, ratios, fallback, stream, done, _asked_for)
        super().__init__(
            name,
            fn=_asker(prompt.fill, frozenset(one.name for one in free), shape),
            inputs=prompt.inputs,
            outputs=outputs,
            signature=Signature(
                (*prompt.parameters, *free), known=True, open=not prompt.is_known, awaited=False, generates=False
            ),
            timeout_s=timeout_s,
            on_error=on_error,
            retry=retry,
            limit=limit,
            cache=cache,
            version=version,
            priority=priority,
            tokens=tokens,
            uses=uses,
        )
        for mistake in prompt.mistakes:
            self._fault(*mistake)


def _asker(fill: Callable[..., dict[str, Any]], of_model: frozenset[str], shape: Any) -> Callable[..., LLMRequest]:
    def ask(**given: Value) -> LLMRequest:
        parameters = {name: given.pop(name) for name in of_model & given.keys()}
        if shape is not None and parameters.get("response_format") is None:
            parameters["response_format"] = shape
        return make_request(fill(**given)["messages"], **parameters)

    return ask


def _asked_for(request: LLMRequest, resource: ChatResource) -> dict[str, Any]:
    """What tracers are told of a request: nothing else has its messages."""
    return {**asked_for(request, resource), "messages": list(request.chat.messages)}


def _reader(parser: Any) -> tuple[Callable[[str], Any] | None, Any]:
    """How the answer is read, and the shape that is asked for."""
    if parser is None or parser == "text":
        return None, None
    if parser == "json":
        return _json, None
    if parser == "lines":
        return _lines, None
    if isinstance(parser, Mapping) or (isinstance(parser, type) and hasattr(parser, "model_json_schema")):
        return None, parser
    if callable(parser):
        if signature_of(parser).awaited:
            raise UsageError("LLMChainNode(parser=) is an async function, and nothing is awaited there: make it a def.")
        return parser, None
    raise UsageError(
        f'LLMChainNode(parser={parser!r}): it is "json", "lines", a pydantic model, a JSON schema, or a function of '
        "the answer's text."
    )


def _json(text: str) -> Any:
    try:
        return json.loads(bare_json(text), strict=False)
    except (ValueError, RecursionError) as exc:
        shown = text if len(text) <= 200 else f"{text[:200]}…"
        raise AnswerMismatch(f"the answer is no JSON: {exc}. It begins: {shown!r}", text) from None


def _lines(text: str) -> list[str]:
    found = [line.strip().lstrip("-*•").strip() for line in text.splitlines()]
    return [_unnumbered(line) for line in found if line]


def _unnumbered(line: str) -> str:
    number, dot, rest = line.partition(".")
    if not dot:
        number, dot, rest = line.partition(")")
    return rest.strip() if dot and number.isdecimal() and rest.startswith(" ") else line


def _finish(read: Callable[[str], Any] | None, request: LLMRequest, out: Mapping[str, Any]) -> Mapping[str, Any]:
    done = finish(request, out)
    if read is None or request.shape is not None or out["tool_calls"] or out["refusal"] is not None:
        return done
    return {**done, "parsed": read(out["content"])}

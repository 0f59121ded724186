"""Answers of an ``LLMNode`` that are to be data: enforced where the server can, checked everywhere, corrected once."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, Field

from hush.core import PARENT, GraphNode, Hush
from hush.providers import LLMChainNode
from hush.providers.errors import AnswerMismatch, RequestError
from hush.testing import Fault, Reply, Rule, ScriptedLLM, run_virtual
from kit.model_places import PLACES, SOON, asked, served


class Person(BaseModel):
    name: str
    age: int = Field(ge=0)


SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
LAN = {"name": "Lan 👩‍👩‍👧", "age": 41}
FORMATS = {"model": Person, "schema": SCHEMA, "object": "json_object"}
WRONG = [
    ("no JSON", "It is Lan, 41.", "JSON"),
    ("half of it", '{"name": "Lan", "age', "JSON"),
    ("missing", {"name": "Lan"}, "age"),
    ("type", {"name": "Lan", "age": "old"}, "age"),
    ("bound", {"name": "Lan", "age": -1}, "0"),
    ("list", [1], ""),
    ("nothing", "", ""),
]


def noting(*answers):
    seen = []
    left = list(answers)

    def answer(request):
        seen.append(request)
        return left.pop(0)

    return ScriptedLLM([Rule(answer=answer)]), seen


@pytest.fixture(params=PLACES)
def place(request):
    return request.param


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("streams", [False, True])
async def test_parsed_is_the_data(place, kind, streams):
    async with served(place, m=ScriptedLLM(Reply(LAN))) as settings:
        out = await asked(settings, inputs={"response_format": FORMATS[kind]}, streams=streams)
    assert out["parsed"] == (Person(**LAN) if kind == "model" else LAN)
    assert type(out["parsed"]) is (Person if kind == "model" else dict)
    assert out["attempts"] == 1


def test_a_fence_of_markdown_is_no_harm():
    llm = ScriptedLLM('```json\n{"name": "Lan", "age": 3}\n```')
    out = run_virtual(lambda: asked({"llm:m": llm}, inputs={"response_format": Person}))
    assert out["parsed"] == Person(name="Lan", age=3)
    assert out["content"].startswith("```")  # as it came


@pytest.mark.parametrize("kind", ["model", "schema"])
async def test_the_schema_arrives(place, kind):
    """By the vendor's own means where there are such, else in words."""
    llm, seen = noting(Reply(LAN))
    async with served(place, m=llm) as settings:
        await asked(settings, inputs={"response_format": FORMATS[kind]})
    assert "minimum" in str(seen[0].body) or "ge" in str(seen[0].body)
    assert "age" in str(seen[0].body)


@pytest.mark.parametrize(("wrong", "word"), [one[1:] for one in WRONG], ids=[one[0] for one in WRONG])
@pytest.mark.parametrize("kind", ["model", "schema"])
async def test_what_does_not_fit_is_corrected_once(place, kind, wrong, word):
    llm, seen = noting(Reply(wrong), Reply(LAN))
    async with served(place, m=llm) as settings:
        out = await asked(settings, inputs={"response_format": FORMATS[kind]})
    assert out["parsed"] == (Person(**LAN) if kind == "model" else LAN)
    assert out["attempts"] == 2 == llm.stats.calls
    assert out["usage"]["input_tokens"] == llm.stats.prompt_tokens  # of both
    assert len(seen[1].messages) >= len(seen[0].messages) + 2
    assert word in seen[1].text  # it is told what was wrong


@pytest.mark.parametrize("kind", FORMATS)
async def test_and_only_once(place, kind):
    llm, _ = noting("no", "no again", Reply(LAN))
    async with served(place, m=llm) as settings:
        with pytest.raises(AnswerMismatch) as caught:
            await asked(settings, inputs={"response_format": FORMATS[kind]})
    assert llm.stats.calls == 2
    assert caught.value.content == "no again"
    assert "llm:m" in str(caught.value)
    assert "'no again'" in str(caught.value)
    assert caught.value.hush.attempt == 2


async def test_a_refusal_is_no_mismatch(place):
    if place == "anthropic":
        pytest.skip("it has no such field")
    async with served(place, m=ScriptedLLM(Reply(refusal="I will not."))) as settings:
        out = await asked(settings, inputs={"response_format": Person})
    assert (out["refusal"], out["parsed"], out["attempts"]) == ("I will not.", None, 1)


async def test_one_that_was_cut_off_is_not_corrected_but_said(place):
    llm, _ = noting(Reply('{"name": "La', finish_reason="length"), Reply(LAN))
    async with served(place, m=llm) as settings:
        with pytest.raises(AnswerMismatch, match="max_tokens") as caught:
            await asked(settings, inputs={"response_format": Person})
    assert caught.value.finish_reason == "length"
    assert llm.stats.calls == 1


def test_a_correction_survives_a_refusal_for_load():
    """The corrected question is asked again, not the first one."""
    seen = []

    def answer(request):
        seen.append(request)
        return "no" if len(request.messages) == 1 else Reply(LAN)

    llm = ScriptedLLM([Rule(answer=answer)], faults=[Fault("rate_limited", numbers=[2])])
    out = run_virtual(lambda: asked({"llm:m": llm}, inputs={"response_format": Person}))
    assert out["parsed"] == Person(**LAN)
    assert out["attempts"] == 3 == llm.stats.calls
    assert [len(request.messages) for request in seen] == [1, 3]


NO_FORMATS = [3, "yaml", {"type": "nonsense"}, {"type": "json_schema", "json_schema": {"schema": 3}}]


@pytest.mark.parametrize("given", NO_FORMATS, ids=str)
def test_what_is_no_format_is_said_before_anything_is_sent(given):
    llm = ScriptedLLM()
    with pytest.raises(RequestError, match="response_format"):
        run_virtual(lambda: asked({"llm:m": llm}, inputs={"response_format": given}))
    assert llm.stats.calls == 0


# --- LLMChainNode -----------------------------------------------------------------------------------------------------
def chain(llm, parser=None, inputs=None, **run):
    with GraphNode(name="chained") as graph:
        LLMChainNode(
            name="chain",
            resource_key="m",
            parser=parser,
            retry=SOON,
            inputs={"prompt": {"system": "S", "user": "{text}"}, "text": PARENT["text"], **(inputs or {})},
            outputs=PARENT,
        )
    return run_virtual(lambda: Hush(graph, resources={"llm:m": llm}).run({"text": "hỏi {x}", **run}))


def test_a_chain_fills_in_its_prompt_and_asks():
    llm, seen = noting("a")
    out = chain(llm, inputs={"temperature": 0.5})
    assert out["content"] == "a"
    assert (seen[0].system, seen[0].text, seen[0].body["temperature"]) == ("S", "hỏi {x}", 0.5)


@pytest.mark.parametrize(
    ("parser", "answer", "parsed"),
    [
        ("json", '```json\n[1, {"a": "ế"}]\n```', [1, {"a": "ế"}]),
        ("lines", "1. một\n2) hai\n- ba\n\n* bốn\n3.5 năm", ["một", "hai", "ba", "bốn", "3.5 năm"]),
        (str.upper, "ế", "Ế"),
        (Person, '{"name": "Lan", "age": 3}', Person(name="Lan", age=3)),
        (SCHEMA, '{"name": "Lan", "age": 3}', {"name": "Lan", "age": 3}),
        (None, "a", None),
    ],
    ids=["json", "lines", "function", "model", "schema", "none"],
)
def test_a_parser_makes_parsed(parser, answer, parsed):
    out = chain(ScriptedLLM(answer), parser)
    assert (out["parsed"], out["content"]) == (parsed, answer)


def test_what_a_parser_raises_is_the_failure_of_the_node():
    class TheirsError(Exception):
        pass

    def parse(text):
        raise TheirsError(text)

    llm = ScriptedLLM("a")
    with pytest.raises(TheirsError) as caught:
        chain(llm, parse)
    assert caught.value.hush.path == "chained/chain"
    assert llm.stats.calls == 1
    with pytest.raises(AnswerMismatch, match="no JSON"):
        chain(ScriptedLLM("a"), "json")

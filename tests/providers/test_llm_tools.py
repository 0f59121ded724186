"""Tools of an ``LLMNode``: what the model is told of them, and the calls that come back, checked."""

from __future__ import annotations

from typing import Literal

import pytest

from hush.core import UsageError, code_node
from hush.providers.errors import AnswerMismatch, RequestError
from hush.testing import Reply, Rule, ScriptedLLM, ToolCall, run_virtual
from kit.model_places import PLACES, asked, served


def weather(city: str, unit: Literal["C", "F"] = "C", days: int = 1) -> str:
    """Tell the weather.

    Args:
        city: Its name, in any script.
        unit: Celsius or
            Fahrenheit.
        days: How many.
    """
    raise AssertionError("nobody calls it")


@code_node
def now(zone: str):
    """Tell the time."""
    raise AssertionError("nobody calls it")


GOOD = ToolCall("weather", {"city": "Huế 👩‍👩‍👧", "days": 2}, id="call-1")


def noting(*answers):
    """A model that gives these answers, and what it was asked."""
    seen = []
    left = list(answers)

    def answer(request):
        seen.append(request)
        return left.pop(0)

    return ScriptedLLM([Rule(answer=answer)]), seen


@pytest.fixture(params=PLACES)
def place(request):
    return request.param


@pytest.mark.parametrize("streams", [False, True])
async def test_calls_come_back_read(place, streams):
    llm, seen = noting(Reply("Tôi xem.", tool_calls=[GOOD, ToolCall("now", {"zone": "+7"}, id="call-2")]))
    async with served(place, m=llm) as settings:
        out = await asked(settings, inputs={"tools": [weather, now]}, streams=streams)
    assert (out["content"], out["finish_reason"], out["attempts"]) == ("Tôi xem.", "tool_calls", 1)
    first, second = out["tool_calls"]
    assert (first["id"], first["type"], first["name"]) == ("call-1", "function", "weather")
    assert first["arguments"] == {"city": "Huế 👩‍👩‍👧", "days": 2}
    assert first["function"]["name"] == "weather"
    assert isinstance(first["function"]["arguments"], str)  # OpenAI's form, to be sent back as it is
    assert (second["name"], second["arguments"]) == ("now", {"zone": "+7"})
    told = {tool["function"]["name"]: tool["function"] for tool in seen[0].tools}
    assert told["now"]["description"] == "Tell the time."
    assert told["weather"]["description"] == "Tell the weather."
    parameters = told["weather"]["parameters"]
    assert parameters["required"] == ["city"]
    assert parameters["properties"]["city"] == {"type": "string", "description": "Its name, in any script."}
    assert parameters["properties"]["unit"]["enum"] == ["C", "F"]
    assert parameters["properties"]["unit"]["description"] == "Celsius or Fahrenheit."


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (ToolCall("weather", {"days": 2}), "city"),
        (ToolCall("weather", {"city": "Huế", "days": "two"}), "two"),
        (ToolCall("weather", {"city": "Huế", "unit": "K"}), "K"),
        (ToolCall("weather", "{"), "JSON"),
        (ToolCall("weather", "[]"), "object"),
        (ToolCall("wether", {"city": "Huế"}), "wether"),
    ],
    ids=["missing", "type", "choice", "no JSON", "no object", "unknown tool"],
)
async def test_a_call_that_does_not_fit_is_corrected_once(place, wrong, word):
    if place == "anthropic" and isinstance(wrong.arguments, str):
        pytest.skip("its form has no arguments that are no object")
    llm, seen = noting(Reply(tool_calls=[wrong]), Reply(tool_calls=[GOOD]))
    async with served(place, m=llm) as settings:
        out = await asked(settings, inputs={"tools": [weather]})
    assert out["tool_calls"][0]["arguments"] == GOOD.arguments
    assert out["attempts"] == 2 == llm.stats.calls
    assert out["usage"]["output_tokens"] == llm.stats.completion_tokens  # of both
    *_, said, corrected = seen[1].messages
    assert said["tool_calls"][0]["function"]["name"] == wrong.name
    assert corrected["role"] == "tool"
    assert word in str(corrected["content"])


def test_and_only_once():
    llm, _ = noting(*[Reply(tool_calls=[ToolCall("weather", {})])] * 3)
    with pytest.raises(AnswerMismatch, match="city"):
        run_virtual(lambda: asked({"llm:m": llm}, inputs={"tools": [weather]}))
    assert llm.stats.calls == 2


def test_without_tools_a_call_is_none_that_was_asked_for():
    llm, _ = noting(Reply(tool_calls=[GOOD]), "Then in words.")
    assert run_virtual(lambda: asked({"llm:m": llm}))["content"] == "Then in words."


def test_arguments_are_none_where_none_are_needed():
    def stop():
        """Stop."""

    llm, _ = noting(Reply(tool_calls=[ToolCall("stop", "")]))
    (call,) = run_virtual(lambda: asked({"llm:m": llm}, inputs={"tools": [stop]}))["tool_calls"]
    assert (call["arguments"], call["function"]["arguments"]) == ({}, "{}")


DEFINITION = {"name": "find", "description": "d", "parameters": {"type": "object", "properties": {"q": {}}}}


@pytest.mark.parametrize("given", [DEFINITION, {"type": "function", "function": DEFINITION}], ids=["short", "whole"])
def test_definitions_are_taken_as_they_are(given):
    llm, seen = noting(Reply(tool_calls=[ToolCall("find", {"q": 1})]))
    out = run_virtual(lambda: asked({"llm:m": llm}, inputs={"tools": [given]}))
    assert out["tool_calls"][0]["arguments"] == {"q": 1}
    assert seen[0].tools == [{"type": "function", "function": DEFINITION}]


@pytest.mark.parametrize(
    "choice", ["auto", "none", "required", "weather", weather], ids=["auto", "none", "required", "by name", "itself"]
)
async def test_the_choice_of_a_tool_arrives(place, choice):
    llm, seen = noting("x" if choice == "none" else Reply(tool_calls=[GOOD]))
    async with served(place, m=llm) as settings:
        await asked(settings, inputs={"tools": [weather], "tool_choice": choice})
    expected = (
        choice if choice in ("auto", "none", "required") else {"type": "function", "function": {"name": "weather"}}
    )
    assert seen[0].chat.get("tool_choice") == expected


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"tools": weather}, "tools=[look_up]"),
        ({"tools": [weather, weather]}, "two tools are called 'weather'"),
        ({"tools": [lambda x: x]}, "lambda"),
        ({"tools": [{"parameters": {}}]}, "is no tool"),
        ({"tools": [{"name": "a", "parameters": {"type": "nonsense"}}]}, "no JSON schema"),
        ({"tools": [weather], "tool_choice": "wether"}, "Did you mean 'weather'?"),
        ({"tool_choice": "required"}, "there are no tools"),
    ],
)
def test_what_is_no_tool_is_said_before_anything_is_sent(inputs, words):
    llm = ScriptedLLM()
    with pytest.raises((RequestError, UsageError)) as caught:
        run_virtual(lambda: asked({"llm:m": llm}, inputs=inputs))
    assert words in str(caught.value)
    assert llm.stats.calls == 0

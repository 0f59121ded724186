"""Which answer a scripted model gives: rules, the script, and what is made up."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter

from hush.testing import Fault, Reply, Rule, ScriptedFault, ScriptedLLM, ScriptError, ToolCall, Usage, run_virtual
from hush.testing._scripted._schema import value_for


def asked(text: str = "hello", model: str = "m", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def answers(llm: ScriptedLLM, *bodies: dict[str, Any]) -> list[Any]:
    """The contents of the answers, or the exceptions, in order."""

    async def main():
        found: list[Any] = []
        for body in bodies:
            try:
                found.append((await llm.respond(body, stream=False))["choices"][0]["message"]["content"])
            except ScriptedFault as error:
                found.append(error.kind)
        return found

    return run_virtual(main)


def one(llm: ScriptedLLM, body: dict[str, Any]) -> dict[str, Any]:
    return run_virtual(lambda: llm.respond(body, stream=False))


# --- rules ------------------------------------------------------------------------------------------------------------
def test_the_first_rule_that_fits_answers():
    llm = ScriptedLLM(
        [
            Rule("weather", "sunny"),
            Rule(matches=r"\d+ \+ \d+", answer="a sum"),
            Rule(model="gpt-4*", answer="big"),
            Rule(when=lambda request: request.system == "be rude", answer=lambda request: f"no {request.text}"),
        ]
    )
    rude = {"model": "m", "messages": [{"role": "system", "content": "be rude"}, {"role": "user", "content": "please"}]}
    bodies = [asked("the weather, 1 + 1"), asked("1 + 1"), asked("hi", "gpt-4o"), rude, asked("hi")]
    assert answers(llm, *bodies) == ["sunny", "a sum", "big", "no please", "echo: hi"]


def test_a_rule_may_look_at_what_the_system_says_wherever_it_says_it():
    llm = ScriptedLLM([Rule("x", "a judge's", system="You judge"), Rule(system="brief", answer="short")])
    judge = {"role": "system", "content": [{"type": "text", "text": "You judge answers."}]}
    brief = {"role": "developer", "content": "Be brief."}
    user = {"role": "user", "content": "x: You judge, brief"}  # what the user says does not count
    bodies = [[judge, user], [user, brief], [judge, brief, {**user, "content": "y"}], [user]]
    found = answers(llm, *({"model": "m", "messages": messages} for messages in bodies))
    assert found == ["a judge's", "short", "short", "echo: x: You judge, brief"]
    with pytest.raises(ScriptError, match="system is text, not 1"):
        Rule(answer="x", system=1)


def test_rules_look_at_the_last_message_of_a_user_and_at_its_parts():
    llm = ScriptedLLM({"cat": "meow"})
    parts = [{"type": "text", "text": "a cat"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    history = [{"role": "user", "content": parts}, {"role": "assistant", "content": "dog"}]
    assert answers(llm, {"model": "m", "messages": history}) == ["meow"]
    history += [{"role": "user", "content": "dog"}, {"role": "assistant", "content": "cat"}]
    assert answers(llm, {"model": "m", "messages": history}) == ["echo: dog"]


def test_a_rule_gives_its_answers_in_order_and_at_most_so_many_times():
    llm = ScriptedLLM([Rule("x", ["a", "b"], times=3), Rule("x", "other")])
    assert answers(llm, *[asked("x")] * 5) == ["a", "b", "b", "other", "other"]


def test_a_function_that_gives_none_leaves_it_to_the_next_rule():
    llm = ScriptedLLM([Rule(answer=lambda request: None), Rule(answer="next")])
    assert answers(llm, asked()) == ["next"]


def test_a_function_may_raise_and_its_call_is_over_then():
    def fail(request):
        raise KeyError("mine")

    llm = ScriptedLLM([Rule("bad", fail)], limits={"concurrency": 1})
    with pytest.raises(KeyError, match="mine"):
        one(llm, asked("bad"))
    assert llm.stats.at_once == 0
    assert answers(llm, asked("good")) == ["echo: good"]


# --- the script -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("then", "after"),
    [
        ("error", ["script_ended", "script_ended"]),
        ("default", ["echo: q", "echo: q"]),
        ("repeat", ["a", "b"]),
        ("last", ["b", "b"]),
    ],
)
def test_a_script_answers_in_order_and_then(then, after):
    assert answers(ScriptedLLM(["a", "b"], then=then), *[asked("q")] * 4) == ["a", "b", *after]


def test_rules_go_before_the_script_and_use_nothing_of_it():
    llm = ScriptedLLM(["first", Rule("odd", "rule"), "second"])
    assert answers(llm, asked("q"), asked("odd"), asked("q")) == ["first", "rule", "second"]


def test_a_call_that_fails_on_order_or_over_a_limit_uses_nothing_up():
    llm = ScriptedLLM(["a", "b"], faults=[Fault(500, numbers=[1]), Fault("half_body", numbers=[2])])
    assert answers(llm, *[asked()] * 4) == ["server_error", "half_body", "a", "b"]


def test_a_fault_in_the_script_is_used_up():
    assert answers(ScriptedLLM(["a", Fault(503), "b"]), *[asked()] * 3) == ["a", "unavailable", "b"]


def test_one_answer_is_for_every_call():
    assert answers(ScriptedLLM("always"), *[asked()] * 3) == ["always"] * 3
    assert answers(ScriptedLLM(lambda request: request.text.upper()), asked("up")) == ["UP"]


def test_reset_begins_anew():
    llm = ScriptedLLM(["a", "b"], faults=[Fault(500, first=1)])
    before = answers(llm, *[asked()] * 3)
    llm.reset()
    assert llm.stats.calls == 0
    assert answers(llm, *[asked()] * 3) == before == ["server_error", "a", "b"]


# --- replies ----------------------------------------------------------------------------------------------------------
def test_a_reply_is_sent_whole():
    reply = Reply(
        {"sum": 3}, tool_calls=[ToolCall("add", {"a": 1}, id="c1"), {"name": "raw", "arguments": "{no json"}],
        thinking="hm", refusal=None, usage=Usage(10, 7, 4, 2), model="other",
    )  # fmt: skip
    body = one(ScriptedLLM(reply), asked())
    (choice,) = body["choices"]
    message = choice["message"]
    assert json.loads(message["content"]) == {"sum": 3}
    assert message["reasoning_content"] == "hm"
    assert [call["function"] for call in message["tool_calls"]] == [
        {"name": "add", "arguments": '{"a": 1}'},
        {"name": "raw", "arguments": "{no json"},
    ]
    assert message["tool_calls"][0]["id"] == "c1"
    assert choice["finish_reason"] == "tool_calls"
    assert body["model"] == "other"
    assert body["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 7,
        "total_tokens": 17,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }


def test_usage_is_counted_where_it_is_not_given():
    body = one(ScriptedLLM({"": {"content": "x" * 8, "usage": {"cached_tokens": 2}}}), asked("y" * 40))
    assert body["usage"]["prompt_tokens"] == 14
    assert body["usage"]["completion_tokens"] == 2
    assert body["usage"]["prompt_tokens_details"] == {"cached_tokens": 2}


# --- made up ----------------------------------------------------------------------------------------------------------
class Address(BaseModel):
    street: str = Field(min_length=3, max_length=40)
    number: int = Field(ge=1, lt=10)


class Person(BaseModel):
    name: str
    mood: Literal["good", "bad"]
    share: float = Field(gt=0, le=1)
    home: Address | None
    friends: list[Address] = Field(min_length=2)
    tags: dict[str, int]
    boss: Person | None = None


@given(st.text())
def test_a_json_schema_gets_a_value_that_fits(text):
    schema = {"type": "json_schema", "json_schema": {"name": "person", "schema": Person.model_json_schema()}}
    body = one(ScriptedLLM(), asked(text, response_format=schema))
    Person.model_validate_json(body["choices"][0]["message"]["content"])


@pytest.mark.parametrize(
    "kind",
    [int, float, bool, str, None, list[int], dict[str, str], tuple[int, str], int | str, Literal[3], set[bool]],
)
def test_values_fit_the_schemas_of_pydantic(kind):
    adapter = TypeAdapter(kind)
    for seed in range(20):
        adapter.validate_json(json.dumps(value_for(adapter.json_schema(), seed)))


def test_a_schema_that_holds_itself_comes_to_an_end():
    schema = {"$ref": "#/$defs/t", "$defs": {"t": {"type": "object", "properties": {"t": {"$ref": "#/$defs/t"}}}}}
    assert isinstance(value_for(schema, 0), dict)
    assert value_for({"$ref": "#"}, 0) is not NotImplemented


def test_the_tool_that_must_be_called_is_called():
    parameters = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    tools = [
        {"type": "function", "function": {"name": name, "parameters": parameters}} for name in ("one", "two")
    ]  # fmt: skip
    named = {"type": "function", "function": {"name": "two"}}
    for choice, name in (("required", "one"), (named, "two")):
        body = one(ScriptedLLM(), asked(tools=tools, tool_choice=choice))
        (call,) = body["choices"][0]["message"]["tool_calls"]
        assert call["function"]["name"] == name
        assert isinstance(json.loads(call["function"]["arguments"])["n"], int)
    assert answers(ScriptedLLM(), asked("hi", tools=tools, tool_choice="auto")) == ["echo: hi"]


# --- mistakes ---------------------------------------------------------------------------------------------------------
async def an_async_function(request):
    return "never"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ScriptedLLM([Reply("a", usage={"tokens": 3})]), "a usage has no 'tokens'"),
        (lambda: ScriptedLLM([{"contnet": "a"}]), "did you mean 'content'"),
        (lambda: ScriptedLLM([3]), "an answer is text"),
        (lambda: ScriptedLLM([an_async_function]), "no async function"),
        (lambda: ScriptedLLM(["a"], then="stop"), "then is one of error"),
        (lambda: ScriptedLLM([Reply("abc", chunks=["a", "b"])]), "are not the content"),
        (lambda: ScriptedLLM([Fault(503, first=3)]), "it happens here"),
        (lambda: Rule(matches="(", answer="a"), "no regular expression"),
        (lambda: Rule("text"), "a rule has an answer"),
        (lambda: Fault("rate_limit"), "did you mean 'rate_limited'"),
        (lambda: Fault(418), "no fault for the status 418"),
        (lambda: Fault("timeout", every=0), "every is a whole number from 1 on"),
        (lambda: Fault("timeout", probability=2), "from 0 to 1"),
        (lambda: ScriptedLLM(limits={"rppm": 3}), "did you mean 'rpm'"),
        (lambda: ScriptedLLM(limits={"rpm": 0}), "rpm is a whole number from 1 on"),
        (lambda: ScriptedLLM(latency_s=-1), "latency_s is a number from 0 on"),
        (lambda: ScriptedLLM(faults="timeout"), "faults is a list"),
        (lambda: ScriptedLLM(embeddings={"dimensions": 0}), "dimensions is a whole number"),
    ],
)
def test_a_mistake_is_told_where_it_is_made(make, says):
    with pytest.raises(ScriptError, match=re.escape(says)):
        make()


def test_the_api_key_is_never_shown():
    with pytest.raises(ScriptError) as caught:
        ScriptedLLM(api_key=["sk-secret"])  # type: ignore[arg-type]
    assert "sk-secret" not in str(caught.value)
    assert "sk-secret" not in repr(ScriptedLLM(api_key="sk-secret"))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"messages": [{"role": "user", "content": "x"}]}, "model"),
        ({"model": "m"}, "'messages' must be a list"),
        ({"model": "m", "messages": ["x"]}, "an object with a role"),
        ({"model": "m", "messages": [{"role": "user", "content": "x"}], "n": 3}, "one choice"),
    ],
)
def test_a_request_that_is_wrong_is_refused(body, says):
    with pytest.raises(ScriptedFault, match=says) as caught:
        one(ScriptedLLM(), body)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("more", "wrong", "at"),
    [
        ({"images": "data:x"}, "list of URLs", ("images",)),
        ({"images": [3]}, "a URL, or a part", ("images", 0)),
        ({"images": [{"type": "text", "text": "x"}]}, "a URL, or a part", ("images", 0)),
        ({"audio": "x"}, "mapping of id, data", ("audio",)),
        ({"audio": {"dat": ""}}, "did you mean 'data'", ("audio", "dat")),
        ({"audio": {"data": b""}}, "data is text", ("audio", "data")),
    ],
)
def test_pictures_and_speech_are_looked_at_when_the_script_is_read(more, wrong, at):
    with pytest.raises(ScriptError, match=wrong) as caught:
        ScriptedLLM([more])
    assert caught.value.at[-len(at) :] == at

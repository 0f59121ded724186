"""The history and the results of tools in a prompt: where they stand, and what is said of those that are none."""

from __future__ import annotations

import pytest

from hush.core import PARENT
from hush.providers.errors import PromptError
from providers.prompting import ATTACK, HISTORY, messages, said, system, user


@pytest.mark.parametrize(
    ("prompt", "before", "after"),
    [
        ({"system": "s", "user": "q"}, [system("s")], [user("q")]),
        ({"system": "s"}, [system("s")], []),
        ("q", [], [user("q")]),
        ({"system": "s", "user": "q", "assistant": "a"}, [system("s")], [user("q"), said("a")]),
        ([system("s"), user("e"), said("f"), user("q")], [system("s"), user("e"), said("f")], [user("q")]),
    ],
)
async def test_where_the_history_and_the_results_of_tools_stand(prompt, before, after):
    calls = {"role": "assistant", "content": None, "tool_calls": [{"id": "c1"}, {"id": "c2"}]}
    results = [{"tool_call_id": "c1", "content": {"é": [1]}}, {"id": "c2", "result": None, "name": "f"}]
    made = await messages(
        {"prompt": prompt, "conversation_history": PARENT["history"], "tool_results": PARENT["results"]},
        {"history": [*HISTORY, calls], "results": results},
    )
    tools = [
        {"role": "tool", "tool_call_id": "c1", "content": '{"é": [1]}'},
        {"role": "tool", "tool_call_id": "c2", "content": "null"},
    ]
    assert made == [*before, *HISTORY, calls, *tools, *after]


async def test_no_history_is_none_or_empty():
    for nothing in (None, [], ()):
        made = await messages({"prompt": "q", "conversation_history": nothing, "tool_results": nothing})
        assert made == [user("q")]


async def test_results_may_be_messages():
    message = {"role": "tool", "tool_call_id": "1", "content": ATTACK}
    assert await messages({"prompt": {"system": "s"}, "tool_results": [message]}) == [system("s"), message]


async def test_history_is_no_template_and_is_left_as_it_was():
    history = [user(ATTACK), said([{"type": "text", "text": ATTACK}])]
    made = await messages({"prompt": "{secret}", "secret": "hidden", "conversation_history": history})
    assert made == [*history, user("hidden")]
    made[0]["content"] = made[1]["content"][0]["text"] = "changed"
    assert history == [user(ATTACK), said([{"type": "text", "text": ATTACK}])]


class Closed:
    """Nobody may read an attribute of it."""

    def __getattribute__(self, name):
        raise AssertionError(f"{name} was read")

    def __str__(self):
        return "closed"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("hi", "conversation_history is of type str; it is a list."),
        (user("a"), "conversation_history is of type dict; it is a list. Put it into one."),
        (["hi"], "conversation_history[0] is of type str. A message is a dict"),
        ([Closed()], "conversation_history[0] is of type Closed. A message is a dict"),
        ([user(Closed())], ""),
        ([user("a"), {"role": "usr", "content": "a"}], "conversation_history[1] has the role 'usr'; there are: system"),
        ([{"role": None, "content": "a"}], "conversation_history[0] has the role None"),
        ([{"role": "user"}], "conversation_history[0], of the role 'user', has no content"),
        ([{"role": "assistant", "content": None}], "of the role 'assistant', has no content"),
        ([{"role": "tool", "content": "a"}], "conversation_history[0] answers a tool call, and does not say which"),
        ([user({"a": 1})], "the content of conversation_history[0] is a dict"),
    ],
)
async def test_a_history_that_is_none_says_what_is_wrong(value, message):
    inputs = {"prompt": "q", "conversation_history": PARENT["history"]}
    if not message:
        assert await messages(inputs, {"history": value}) == [user("closed"), user("q")]
        return
    with pytest.raises(PromptError) as raised:
        await messages(inputs, {"history": value})
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"id": "1", "result": 1}, "tool_results is of type dict; it is a list. Put it into one."),
        ([{"id": "1"}], "tool_results[0] has the keys 'id'. A result is"),
        ([{"result": 1}], "tool_results[0] has the keys 'result'. A result is"),
        ([{"id": "1", "result": 1, "content": 2}], "A result is"),
        ([{"id": 1, "result": 1}], "tool_results[0] has the id 1; the id of a call is text"),
        ([{"id": "1", "result": b"x"}], "tool_results[0]['result'] is of type bytes"),
        (["x"], "tool_results[0] is of type str"),
    ],
)
async def test_results_that_are_none_say_what_is_wrong(value, message):
    with pytest.raises(PromptError) as raised:
        await messages({"prompt": "q", "tool_results": value})
    assert message in str(raised.value)

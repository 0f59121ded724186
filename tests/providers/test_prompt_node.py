"""``PromptNode`` makes messages from a template in any of its shapes, and what is no prompt is found at once."""

from __future__ import annotations

import pickle

import pytest

from hush.core import PARENT, Each, GraphError, GraphNode, Hush, InputError, MapNode
from hush.providers import PromptNode
from providers.prompting import PIXEL, built, messages, problems, said, system, user


# --- as the guide has it ------------------------------------------------------------------------------------------
async def test_the_guides_prompts_run_as_printed():
    with GraphNode(name="parallel-llm") as graph:
        summary = PromptNode(
            name="prompt_summary",
            inputs={"prompt": {"system": "Tóm tắt văn bản sau.", "user": "{text}"}, "text": PARENT["text"]},
        )
        summary["messages"] >> PARENT["messages"]
    assert graph.check() == []
    result = await Hush(graph).run({"text": "Xin chào {bạn}"})
    assert result == {"messages": [system("Tóm tắt văn bản sau."), user("Xin chào {bạn}")]}


async def test_one_prompt_over_many_inputs():
    with GraphNode(name="batch") as graph:
        with MapNode(name="each", inputs={"query": Each(PARENT["queries"])}, max_concurrency=5) as each:
            prompt = PromptNode(
                name="prompt",
                inputs={"prompt": {"system": "Answer briefly.", "user": "{query}"}, "query": PARENT["query"]},
            )
            prompt["messages"] >> PARENT["messages"]
        each["messages"] >> PARENT["all"]
    queries = [f"{{q}} {number}" for number in range(40)]
    result = await Hush(graph).run({"queries": queries})
    assert result["all"] == [[system("Answer briefly."), user(query)] for query in queries]


def test_it_runs_alone():
    node = PromptNode(name="p", inputs={"prompt": {"user": "{text}"}, "text": PARENT["text"]})
    assert node(text="x")["messages"] == [user("x")]
    assert node(text="x", conversation_history=[said("hm")])["messages"] == [said("hm"), user("x")]
    with pytest.raises(InputError, match="text"):
        node()


def test_a_prompt_given_to_it_alone_takes_the_place_of_its_own():
    node = PromptNode(inputs={"prompt": "{text}", "text": PARENT["text"]})
    assert node.name == "prompt"
    assert node(prompt={"user": "so: {text}"}, text="x")["messages"] == [user("so: x")]


# --- the shapes of a prompt ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("key", ["prompt", "template"])
@pytest.mark.parametrize(
    ("prompt", "made"),
    [
        ("{text}", [user("x")]),
        ({"system": "s", "user": "{text}"}, [system("s"), user("x")]),
        ({"user": "{text}", "system": "s"}, [system("s"), user("x")]),
        ({"assistant": "a", "user": "{text}"}, [said("a"), user("x")]),
        ({"user": "{text}", "assistant": "a"}, [user("x"), said("a")]),
        ({"developer": "d", "user": "{text}"}, [{"role": "developer", "content": "d"}, user("x")]),
        ([system("s"), user("1"), said("2"), user("{text}")], [system("s"), user("1"), said("2"), user("x")]),
        ((user("{text}"),), [user("x")]),
        (
            [user(["{text}", {"type": "text", "text": "{text}!", "cache_control": {"type": "ephemeral"}}])],
            [
                user(
                    [
                        {"type": "text", "text": "x"},
                        {"type": "text", "text": "x!", "cache_control": {"type": "ephemeral"}},
                    ]
                )
            ],
        ),
        (
            {"user": ["{text}", {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]},
            [
                user(
                    [
                        {"type": "text", "text": "x"},
                        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                    ]
                )
            ],
        ),
        (
            [
                user("{text}"),
                {"role": "assistant", "tool_calls": [{"id": "1"}]},
                {"role": "tool", "tool_call_id": "1", "content": "{text}"},
            ],
            [
                user("x"),
                {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
                {"role": "tool", "tool_call_id": "1", "content": "x"},
            ],
        ),
        ([{"role": "user", "name": "ann", "content": "{text}"}], [{"role": "user", "name": "ann", "content": "x"}]),
    ],
)
async def test_what_a_prompt_may_be(key, prompt, made):
    assert await messages({key: prompt, "text": "x"}) == made


async def test_each_run_gets_messages_of_its_own():
    image = {"type": "image_url", "image_url": {"url": PIXEL}}
    engine = Hush(built({"prompt": {"system": "s", "user": ["{x}", image]}, "x": PARENT["x"]}))
    first = await engine.run({"x": 1})
    first["messages"][0]["content"] = "changed"
    first["messages"][1]["content"][1]["image_url"]["url"] = "changed"
    first["messages"].append(said("more"))
    again = await engine.run({"x": 1})
    as_it_was = {"type": "image_url", "image_url": {"url": PIXEL}}
    assert again["messages"] == [system("s"), user([{"type": "text", "text": "1"}, as_it_was])]


@pytest.mark.parametrize(
    ("prompt", "message", "mend"),
    [
        ("", "the prompt is empty", "Leave it out"),
        (" \n", "the prompt is empty", "Leave it out"),
        ({}, "the prompt has no messages", 'Write {"system"'),
        ([], "the prompt has no messages", 'Write [{"role"'),
        ({"user": ""}, "the user message is empty", "Leave it out"),
        ({"user": []}, "the user message is empty", "Leave it out"),
        ({"user": None}, "the user message has no content", "Content is text"),
        ({"user": 3}, "the user message has content of type int", "Content is text"),
        ({"usr": "a"}, "the prompt has the role 'usr'", "Did you mean 'user'? There are: system"),
        ({"human": "a"}, "the prompt has the role 'human'", "Did you mean 'user'?"),
        ({"xyz": "a"}, "the prompt has the role 'xyz'", "There are: system, developer, user, assistant."),
        ({1: "a"}, "the prompt has the role 1", "There are"),
        ({"tool": "a"}, "the prompt has the role 'tool'", "There are"),
        (user("a"), "the prompt is one message", 'Write [{"role"'),
        (3, "the prompt is of type int", "It is text"),
        (None, "the prompt is of type NoneType", "It is text"),
        (["a"], "message 1 is of type str", "A message is a dict"),
        ([{"content": "a"}], "message 1 has no role", "There are"),
        ([{"role": "ai", "content": "a"}], "message 1 has the role 'ai'", "Did you mean 'assistant'?"),
        ([user("a"), {"role": "user"}], "message 2 (user) has no content", 'Write "content"'),
        ([{"role": "assistant"}], "message 1 (assistant) has no content", 'Write "content"'),
        ([{"role": "tool", "content": "a"}], "message 1 (tool) does not say which call", 'Add "tool_call_id"'),
        ([user([3])], "part 1 of message 1 (user) is of type int", "It is text, a File"),
        ({"user": [{"text": "a"}]}, 'part 1 of the user message has no "type"', 'Write {"type"'),
        ({"user": [{"type": "text"}]}, "part 1 of the user message has no text", 'Write {"type"'),
        ({"user": ["a", ""]}, "part 2 of the user message is empty", "Leave it out"),
    ],
)
def test_what_is_no_prompt_is_found_when_the_graph_is_built(prompt, message, mend):
    [(found, said_mend)] = problems({"prompt": prompt})
    assert found.startswith(message)
    assert said_mend.startswith(mend)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("/etc/passwd", "names '/etc/passwd', which is no URL"),
        ("file:///etc/passwd", "names 'file:///etc/passwd', which is no URL"),
        ("a.png", "names 'a.png', which is no URL"),
        ("ftp://example.org/a.png", "which is no URL"),
        (None, "names 'None', which is no URL"),
        ("https://example.org/{name}.png", "has {name} in its URL"),
        (PARENT["url"], "has a reference where none may be"),
    ],
)
@pytest.mark.parametrize("kind", ["image_url", "video_url"])
def test_a_url_is_written_out_by_code_and_no_path(kind, url, message):
    for part in ({"type": kind, kind: {"url": url}}, {"type": kind, kind: url}):
        [(found, _)] = problems({"prompt": {"user": ["a", part]}})
        assert found.startswith("part 2 of the user message")
        assert message in found


# --- the house ----------------------------------------------------------------------------------------------------
def test_what_a_node_calls_can_go_to_another_process():
    node = PromptNode(inputs={"prompt": [user(["{x}", PARENT["y"]])]})
    form = node._inputs[0][1].parts[0].value
    assert pickle.loads(pickle.dumps(form)).fill({"x": 1}, ["z"], None, None) == form.fill({"x": 1}, ["z"], None, None)


async def test_it_runs_in_a_map_in_processes():
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each([1, 2]), "y": "z"}, executor="process", max_concurrency=1) as each:
            ask = PromptNode(inputs={"prompt": {"system": PARENT["y"], "user": "{x}"}, "x": PARENT["x"]})
            ask["messages"] >> PARENT["messages"]
        each["messages"] >> PARENT["all"]
    assert (await Hush(graph).run())["all"] == [[system("z"), user("1")], [system("z"), user("2")]]


def test_a_graph_with_a_wrong_prompt_is_not_made():
    with pytest.raises(GraphError, match="nothing feeds the input 'text' of ask"):
        Hush(built({"prompt": "{text}"}))

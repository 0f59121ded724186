"""``PromptNode``: messages from templates; names found when the graph is built; what comes with a run stays data."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.core import PARENT, CodeNode, Each, GraphError, GraphNode, Hush, InputError, MapNode, UsageError
from hush.providers import PromptNode
from hush.providers.errors import PromptError

PIXEL = "data:image/png;base64,AAAA"


def system(content):
    return {"role": "system", "content": content}


def user(content):
    return {"role": "user", "content": content}


def said(content):
    return {"role": "assistant", "content": content}


def built(inputs, **more):
    """A graph of one prompt node, called ``ask``."""
    with GraphNode(name="g") as graph:
        PromptNode(name="ask", inputs=inputs, outputs=PARENT, **more)
    return graph


def problems(inputs, **more):
    return [(one.message, one.mend) for one in built(inputs, **more).check()]


async def messages(inputs, run=None, **more):
    return (await Hush(built(inputs, **more)).run(run or {}))["messages"]


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


# --- names --------------------------------------------------------------------------------------------------------
def test_a_name_that_nothing_feeds_is_found_when_the_graph_is_built():
    assert problems({"prompt": "{text}"}) == [
        ("nothing feeds the input 'text' of ask", 'Add inputs={"text": PARENT["text"]}.')
    ]


def test_a_misspelt_input_is_found_with_the_nearest_name():
    assert problems({"prompt": {"user": "{text} {style}"}, "style": "dry", "txt": PARENT["txt"]}) == [
        (
            "ask takes no input 'txt'",
            "Did you mean 'text'? It takes: prompt, text, style, conversation_history, tool_results.",
        ),
        ("nothing feeds the input 'text' of ask", 'Add inputs={"text": PARENT["text"]}.'),
    ]


def test_an_input_that_no_template_names_is_found():
    [(message, _)] = problems({"prompt": "{text}", "text": 1, "other": 2})
    assert message == "ask takes no input 'other'"


async def test_a_star_feeds_the_names():
    graph = built({"prompt": {"system": "{style}", "user": "{text}"}, "style": "dry", "*": PARENT})
    assert graph.check() == []
    engine = Hush(graph)
    assert (await engine.run({"text": "x"}))["messages"] == [system("dry"), user("x")]
    with_history = await engine.run({"text": "x", "conversation_history": [said("hm")]})
    assert with_history["messages"] == [system("dry"), said("hm"), user("x")]
    with pytest.raises(InputError, match="text"):
        await engine.run({"txt": "x"})


def test_a_star_from_a_node_that_lacks_a_name_is_found():
    with GraphNode(name="g") as graph:
        load = CodeNode(name="load", code_fn=lambda: {"txt": "x"})
        PromptNode(name="ask", inputs={"prompt": "{text}", "*": load}, outputs=PARENT)
    [problem] = graph.check()
    assert "'text'" in problem.message
    assert problem.mend == 'Did you mean load["txt"]?'


@pytest.mark.parametrize("name", ["prompt", "template", "conversation_history", "tool_results"])
def test_the_inputs_of_the_node_itself_are_no_names(name):
    [(message, mend)] = problems({"prompt": f"{{{name}}}"})
    assert message.startswith(f"the template has {{{name}}} in it")
    assert mend.startswith("Give the text another name")


def test_a_field_is_refused_with_its_place_and_one_mistake_is_one_problem():
    graph = built({"prompt": {"system": "s", "user": "one\n{order.id}"}, "order": PARENT["order"]})
    [problem] = graph.check()
    assert (problem.path, problem.file) == ("g/ask", __file__)
    assert problem.message == "the user message, line 2 has {order.id} in it: a template takes plain names only"
    assert problem.mend.startswith('Write {id}, with inputs={"id": PARENT["order"]["id"]}.')


def test_a_field_of_what_is_no_input_is_one_problem_too():
    [(message, _)] = problems({"prompt": "{order.id}"})
    assert message.startswith("the prompt has {order.id} in it")


def test_the_template_stands_under_one_key():
    [(message, _)] = problems({"prompt": "a", "template": "b"})
    assert message == "the template is given twice, as prompt and template"
    [(message, mend)] = problems({})
    assert message == "nothing feeds the input 'prompt' of ask"
    assert mend == 'Add inputs={"prompt": PARENT["prompt"]}.'


def test_a_node_in_place_of_a_value_is_refused_as_everywhere():
    for prompt in (PARENT, {"user": PARENT}, {"user": ["a", PARENT]}, [PARENT]):
        [(message, _)] = problems({"prompt": prompt})
        assert message == "the input 'prompt' is given PARENT itself"


def test_a_misspelt_output_is_found():
    with GraphNode(name="g") as graph:
        ask = PromptNode(name="ask", inputs={"prompt": "a"})
        ask["message"] >> PARENT["out"]
    [problem] = graph.check()
    assert problem.mend == 'Did you mean ask["messages"]?'


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prompt": "x"}, 'Write inputs={"prompt": ...}.'),
        ({"retry": None}, "it only fills in a template"),
        ({"output": PARENT}, "Did you mean 'outputs'?"),
        ({"template_file": 3}, "template_file=3 at "),
        ({"inputs": "text"}, "inputs= at "),
    ],
)
def test_an_argument_that_it_does_not_take_raises_at_the_line(given, message):
    with pytest.raises(UsageError) as raised:
        PromptNode(name="p", **given)
    assert message in str(raised.value)


# --- references in a prompt ---------------------------------------------------------------------------------------
ATTACK = "{secret} {{secret}} {secret.__class__} {} {0!r:>999999999}"


async def test_a_reference_within_a_prompt_gives_a_value_and_no_template():
    made = await messages(
        {
            "prompt": [
                {"role": "system", "content": PARENT["system"]},
                PARENT["message"],
                {"role": "user", "content": ["{secret}", PARENT["part"], {"type": "text", "text": PARENT["text"]}]},
            ],
            "secret": "hidden",
        },
        {"system": ATTACK, "message": said(ATTACK), "part": ATTACK, "text": ATTACK},
    )
    text = {"type": "text", "text": ATTACK}
    assert made == [system(ATTACK), said(ATTACK), user([{"type": "text", "text": "hidden"}, text, text])]


async def test_a_reference_that_is_the_whole_prompt_gives_a_template():
    inputs = {"prompt": PARENT["template"], "text": PARENT["text"], "unused": 1}
    run = {"template": {"system": '{"a": {}}', "user": "{text}"}, "text": ATTACK}
    assert await messages(inputs, run) == [system('{"a": {}}'), user(ATTACK)]
    assert await messages(inputs, run | {"template": [user("{text}")]}) == [user(ATTACK)]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{txt}", "its template names {txt}, and there is no such input; its inputs: text. Did you mean {text}?"),
        ("{a} {b}", "its template names {a}, {b}, and there is no such input; its inputs: text."),
        ("{text.x}", "the prompt has {text.x} in it: a template takes plain names only. Write {x}"),
        ("", "the prompt is empty"),
        ({"usr": "a"}, "the prompt has the role 'usr'. Did you mean 'user'?"),
        (None, "the prompt is of type NoneType"),
    ],
)
async def test_a_template_that_comes_with_the_run_is_checked_then(template, message):
    graph = built({"prompt": PARENT["template"], "text": "x"})
    with pytest.raises(PromptError) as raised:
        await Hush(graph).run({"template": template})
    assert graph.check() == []
    line = raised.value.hush.line
    assert str(raised.value).startswith(f"ask ({__file__}:{line}): {message}")
    assert raised.value.hush.path == "g/ask"


async def test_a_value_that_is_no_text_fails_the_node_and_says_which():
    with pytest.raises(PromptError, match=r"^ask \(.*\): the value of 'text' is None\."):
        await messages({"prompt": "{text}", "text": PARENT["text"]}, {"text": None})
    result = await Hush(built({"prompt": "{text}", "text": None}, on_error="collect")).run()
    assert result.status == "partial"
    assert isinstance(result.errors[0], PromptError)


@given(st.text(), st.text())
def test_whatever_a_value_says_it_is_the_content(first, second):
    node = PromptNode(inputs={"prompt": {"system": "{a}", "user": "{a}|{b}"}})
    assert node(a=first, b=second)["messages"] == [system(first), user(f"{first}|{second}")]


# --- history and tools --------------------------------------------------------------------------------------------
HISTORY = [user("1"), said("2")]


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


HARMLESS = [
    {"type": "text", "text": "/etc/passwd https://example.org"},
    {"type": "refusal", "refusal": "no"},
    {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
    {"type": "image_url", "image_url": PIXEL},
    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    {"type": "file", "file": {"filename": "/etc/passwd", "file_data": "data:application/pdf;base64,AAAA"}},
]
HARMFUL = [
    {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
    {"type": "image_url", "image_url": "http://169.254.169.254/"},
    {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
    {"type": "image_url", "image_url": {"url": "/etc/passwd"}},
    {"type": "image_url", "image_url": {"url": " data:image/png;base64,AAAA"}},
    {"type": "image_url", "image_url": {}},
    {"type": "image_url"},
    {"type": "input_audio", "input_audio": {"data": "https://example.org/a.wav", "format": "wav"}},
    {"type": "input_audio", "input_audio": {"url": "https://example.org/a.wav"}},
    {"type": "file", "file": {"file_id": "file-of-somebody-else"}},
    {"type": "file", "file": {"file_data": "data:,x", "file_id": "file-1"}},
    {"type": "file", "file": {"file_url": "https://example.org/a.pdf"}},
    {"type": "file", "file": {"file_data": "/etc/passwd"}},
    {"type": "video_url", "video_url": {"url": PIXEL}},
    {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
    {"type": "text", "text": {"url": "x"}},
    {"type": ["text"], "text": "x"},
    {"text": "x"},
    3,
]
WAYS = {
    "history": ({"prompt": "q", "conversation_history": [{"role": "user", "content": [PARENT["x"]]}]}, lambda x: x),
    "result": ({"prompt": "q", "tool_results": PARENT["x"]}, lambda x: [HISTORY[0] | {"content": [x]}]),
    "message": ({"prompt": [PARENT["x"]]}, lambda x: user([x])),
    "content": ({"prompt": {"user": PARENT["x"]}}, lambda x: [x]),
    "template": ({"prompt": PARENT["x"]}, lambda x: {"user": [x]}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("part", HARMLESS)
async def test_a_part_that_comes_with_the_run_may_be_text_or_carry_its_data(way, part):
    inputs, wrap = WAYS[way]
    assert part in [one for message in await messages(inputs, {"x": wrap(part)}) for one in message["content"]]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("part", HARMFUL)
async def test_a_part_that_comes_with_the_run_and_names_what_is_elsewhere_is_refused(way, part):
    inputs, wrap = WAYS[way]
    with pytest.raises(PromptError):
        await messages(inputs, {"x": wrap(part)})


async def test_what_is_refused_is_not_told_to_everybody():
    url = "https://ann:hunter2@example.org/a.png?signature=s3cret"
    for part in (
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "file", "file": {"file_id": url}},
        {"type": "input_audio", "input_audio": {"data": url}},
        {"type": "text", "text": {"url": url}},
    ):
        with pytest.raises(PromptError) as raised:
            await messages({"prompt": "q", "conversation_history": [user([part])]})
        assert "hunter2" not in str(raised.value)
        assert "s3cret" not in str(raised.value)


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

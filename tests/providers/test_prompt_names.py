"""The names in a prompt's templates are found when the graph is built: those that nothing feeds, and misspelt ones."""

from __future__ import annotations

import pytest

from hush.core import PARENT, CodeNode, GraphNode, Hush, InputError, UsageError
from hush.providers import PromptNode
from providers import prompting
from providers.prompting import built, problems, said, system, user


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
    assert (problem.path, problem.file) == ("g/ask", prompting.__file__)
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

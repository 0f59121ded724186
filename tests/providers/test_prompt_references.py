"""References in a prompt: what comes with a run is data, unless it is the whole template, which is checked then."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.core import PARENT, Hush
from hush.providers import PromptNode
from hush.providers.errors import PromptError
from providers import prompting
from providers.prompting import ATTACK, built, messages, said, system, user


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
    assert str(raised.value).startswith(f"ask ({prompting.__file__}:{line}): {message}")
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

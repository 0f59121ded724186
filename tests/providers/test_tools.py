"""Functions as tools, and the calls that come back."""

from __future__ import annotations

import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from hush.core import code_node
from hush.providers._model import ToolCall
from hush.providers._structured import Misfit
from hush.providers._tools import choice_of, read_calls, tools_of
from hush.providers.errors import RequestError


class Place(BaseModel):
    city: str
    country: str = "VN"


def weather(place: Place, unit: Literal["C", "F"] = "C", days: int = 1) -> str:
    """Tell the weather.

    It knows a week ahead.

    Args:
        place: Where.
        unit: Celsius or Fahrenheit,
            as they like it.
        days (int): How many: at most 7.

    Returns:
        What the sky does.
    """
    return ""


def copy(schema: str, json: list[str] | None = None):
    """Names that a pydantic model could not have."""


def call(name: str, arguments: str) -> ToolCall:
    return ToolCall(id="call_1", name=name, arguments=arguments)


def test_a_function_is_told_with_what_its_docstring_says():
    (tool,) = tools_of([weather]).values()
    function = tool.definition["function"]
    assert function["name"] == "weather"
    assert function["description"] == "Tell the weather.\n\nIt knows a week ahead."
    properties = function["parameters"]["properties"]
    assert properties["unit"]["description"] == "Celsius or Fahrenheit, as they like it."
    assert properties["days"]["description"] == "How many: at most 7."
    assert properties["unit"]["enum"] == ["C", "F"]
    assert function["parameters"]["required"] == ["place"]
    assert function["parameters"]["additionalProperties"] is False
    assert "title" not in json.dumps(function["parameters"])


def test_parameters_may_be_called_as_they_like():
    assert set(tools_of([copy])["copy"].schema["properties"]) == {"schema", "json"}


def test_a_parameter_called_title_is_kept():
    def book(title: str): ...

    assert set(tools_of([book])["book"].schema["properties"]) == {"title"}


def test_a_node_factory_stands_for_its_function():
    factory = code_node(weather)
    assert tools_of([factory]).keys() == {"weather"}


@pytest.mark.parametrize(
    "definition",
    [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}},
        {"name": "f", "description": "d", "parameters": {"type": "object"}},
        {"name": "f", "description": "d", "input_schema": {"type": "object"}},
    ],
)
def test_definitions_of_all_forms_are_one(definition):
    (tool,) = tools_of([definition]).values()
    assert tool.definition == {
        "type": "function",
        "function": {"name": "f", "description": "d", "parameters": {"type": "object"}},
    }


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ("weather", "no list of functions"),
        ({"name": "f"}, "no list of functions"),
        ([{}], "is no tool"),
        ([{"name": "not a name"}], "is no tool"),
        ([weather, weather], "two tools are called 'weather'"),
        ([lambda x: x], "cannot be called so"),
        ([lambda *xs: xs], "cannot be called so"),
        ([{"name": "f", "parameters": {"type": "objekt"}}], "no JSON schema"),
        ([print], "by name only"),
    ],
)
def test_what_is_no_tool_is_refused(tools, said):
    with pytest.raises(RequestError, match=said):
        tools_of(tools)


def test_a_choice_is_a_word_a_name_or_the_function():
    tools = tools_of([weather])
    named = {"type": "function", "function": {"name": "weather"}}
    assert choice_of("auto", tools) == "auto"
    assert [choice_of(one, tools) for one in ("weather", weather, named)] == [named] * 3
    with pytest.raises(RequestError, match="Did you mean 'weather'"):
        choice_of("wether", tools)
    with pytest.raises(RequestError, match="there are no tools"):
        choice_of("required", {})


def test_calls_come_back_read_and_in_the_form_that_can_be_sent_again():
    arguments = '{"place": {"city": "Huế"}, "days": 2}'
    (found,) = read_calls([call("weather", arguments)], tools_of([weather]))
    assert found == {
        "id": "call_1",
        "type": "function",
        "function": {"name": "weather", "arguments": arguments},
        "name": "weather",
        "arguments": {"place": {"city": "Huế"}, "days": 2},
    }


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("wetter", "{}", "There is no tool 'wetter'"),
        ("weather", "{", "are no JSON"),
        ("weather", "[]", "no JSON object"),
        ("weather", "{}", "'place' is a required property"),
        ("weather", '{"place": {"city": 1}}', "place.city"),
        ("weather", '{"place": {"city": "x"}, "unit": "K"}', "unit"),
        ("weather", '{"place": {"city": "x"}, "more": 1}', "more"),
    ],
)
def test_a_call_that_does_not_fit_says_why(name, arguments, said):
    with pytest.raises(Misfit, match=said):
        read_calls([call(name, arguments)], tools_of([weather]))


def test_no_arguments_are_an_empty_object():
    def now(): ...

    (found,) = read_calls([call("now", "")], tools_of([now]))
    assert found["arguments"] == {}
    assert found["function"]["arguments"] == "{}"


@given(st.dictionaries(st.text(), st.recursive(st.none() | st.text() | st.integers(), st.lists, max_leaves=4)))
def test_whatever_fits_comes_back_whole(value):
    tools = tools_of([{"name": "any", "parameters": {"type": "object"}}])
    (found,) = read_calls([call("any", json.dumps(value, ensure_ascii=False))], tools)
    assert found["arguments"] == value

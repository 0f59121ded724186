"""What an answer is to be, and whether it is."""

from __future__ import annotations

import json
from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from hush.providers._structured import Misfit, check_schema, shape_of
from hush.providers.errors import RequestError


class City(BaseModel):
    name: str
    people: Annotated[int, Field(ge=0)]


SCHEMA = {"title": "A city", "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def test_a_model_gives_its_instance():
    shape = shape_of(City)
    value = shape.read('{"name": "Đà Nẵng", "people": 1200000}')
    assert shape.made(value) == City(name="Đà Nẵng", people=1200000)
    assert shape.name == "City"


@pytest.mark.parametrize(
    "given", [SCHEMA, {"type": "json_schema", "json_schema": {"name": "A_city", "schema": SCHEMA, "strict": True}}]
)
def test_a_schema_gives_data(given):
    shape = shape_of(given)
    assert (shape.name, shape.schema) == ("A_city", SCHEMA)
    assert shape.made(shape.read('{"name": "Huế"}')) == {"name": "Huế"}


@pytest.mark.parametrize("given", ["json", "json_object", {"type": "json_object"}])
def test_any_object_will_do(given):
    shape = shape_of(given)
    assert shape.read('{"a": [1]}') == {"a": [1]}
    with pytest.raises(Misfit, match="no JSON object"):
        shape.read("[1]")


@pytest.mark.parametrize("given", [None, "text", {"type": "text"}])
def test_text_has_no_shape(given):
    assert shape_of(given) is None


@pytest.mark.parametrize("fence", ["```json\n{}\n```", "```\n{}\n```", "\n ```JSON \n{}```\n"])
def test_a_fence_of_markdown_is_looked_through(fence):
    text = json.dumps({"name": "a ``` b", "people": 3})
    assert shape_of(City).read(fence.replace("{}", text)) == {"name": "a ``` b", "people": 3}


@pytest.mark.parametrize(
    ("given", "text", "said"),
    [
        (City, "Here it is: {}", "no JSON"),
        (City, '{"name": "x", "people": -1}', "people: Input should be greater"),
        (City, '{"people": 1}', "name: Field required"),
        (SCHEMA, "{}", "'name' is a required property"),
        (SCHEMA, '{"name": 3}', "name: 3 is not of type"),
        (SCHEMA, '{"name": "x"', "no JSON"),
        (SCHEMA, "", "no JSON"),
        (SCHEMA, "null", "the whole"),
    ],
)
def test_what_does_not_fit_says_why(given, text, said):
    with pytest.raises(Misfit, match=said):
        shape_of(given).read(text)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (42, "neither a pydantic model"),
        ("xml", "neither a pydantic model"),
        ({"type": "objekt"}, "no JSON schema"),
        ({"properties": {"a": {"type": 3}}}, r"properties\.a\.type"),
        ({"type": "json_schema", "json_schema": {"schema": "x"}}, "not a mapping"),
        ({"default": object()}, "no JSON schema"),
    ],
)
def test_what_is_no_schema_is_refused(given, said):
    with pytest.raises(RequestError, match=said):
        shape_of(given)


def test_nothing_that_a_schema_refers_to_is_fetched():
    """Neither a file nor an address: there is no way to fetch anything."""
    for address in ("file:///etc/passwd", "http://127.0.0.1:1/x", "other.json"):
        with pytest.raises(RequestError, match="refers to"):
            check_schema({"a": 1}, {"properties": {"a": {"$ref": address}}})


def test_a_schema_may_refer_to_itself():
    schema = {"$defs": {"n": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"}
    check_schema({"next": {"next": {}}}, schema)
    with pytest.raises(Misfit, match=r"next\.next"):
        check_schema({"next": {"next": 3}}, schema)

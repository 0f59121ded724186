"""What a function may return, and what becomes of it."""

from __future__ import annotations

import asyncio
import collections
import functools
from dataclasses import InitVar, dataclass, field
from types import MappingProxyType
from typing import ClassVar, NamedTuple

import pytest
from pydantic import BaseModel, ConfigDict

from hush.core import PARENT, CodeNode, GraphError, GraphNode, Hush, MissingKeyError, OutputError
from unit.authoring.running import run


def outputs_of(fn, **given):
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=fn, outputs=PARENT, **given)
    return run(graph)


@dataclass
class Point:
    x: int
    y: object = None


@dataclass(slots=True, frozen=True)
class Slotted:
    x: int


class Model(BaseModel):
    x: int
    y: object = None


class Child(Model):
    z: int = 3


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    x: int


class Pairs(collections.abc.Mapping):
    def __getitem__(self, key):
        return {"x": 1}[key]

    def __iter__(self):
        return iter(["x"])

    def __len__(self):
        return 1


INSIDE = Point(5)
RETURNED = {
    "dict": ({"x": 1, "y": 2}, {"x": 1, "y": 2}),
    "empty dict": ({}, {}),
    "None": (None, {}),
    "mapping": (MappingProxyType({"x": 1}), {"x": 1}),
    "mapping of one's own": (Pairs(), {"x": 1}),
    "ordered dict": (collections.OrderedDict(x=1), {"x": 1}),
    "counter": (collections.Counter("aa"), {"a": 2}),
    "dataclass": (Point(1, 2), {"x": 1, "y": 2}),
    "dataclass with slots": (Slotted(1), {"x": 1}),
    "dataclass, read shallowly": (Point(INSIDE), {"x": INSIDE, "y": None}),
    "pydantic model": (Model(x=1, y=2), {"x": 1, "y": 2}),
    "pydantic model of a subclass": (Child(x=1), {"x": 1, "y": None, "z": 3}),
    "pydantic model, read shallowly": (Model(x=1, y=Model(x=2)), {"x": 1, "y": Model(x=2)}),
    "pydantic model with more keys": (Open(x=1, more=2), {"x": 1, "more": 2}),
}


@pytest.mark.parametrize("name", RETURNED)
def test_what_has_keys_is_an_output(name):
    value, expected = RETURNED[name]
    assert outputs_of(lambda: value) == expected


@pytest.mark.parametrize("name", RETURNED)
def test_what_is_awaited_is_an_output_too(name):
    value, expected = RETURNED[name]

    async def give():
        await asyncio.sleep(0)
        return value

    def hand_over():
        return give()

    assert outputs_of(give) == outputs_of(hand_over) == outputs_of(hand_over, executor="inline") == expected


def test_what_is_read_shallowly_is_the_very_object():
    assert outputs_of(lambda: Point(INSIDE))["x"] is INSIDE


@dataclass
class Settings:
    x: int
    start: InitVar[int]
    kind: ClassVar[str] = "settings"
    hidden: list = field(default_factory=list, repr=False)


def test_a_class_variable_is_no_field():
    """`dataclasses.fields` says what the fields are; an `InitVar` is not even an attribute."""
    assert outputs_of(lambda: Settings(1, 2)) == {"x": 1, "hidden": []}


def test_an_awaitable_of_any_kind_is_awaited():
    class Later:
        def __await__(self):
            yield from asyncio.sleep(0).__await__()
            return {"x": 1}

    assert outputs_of(Later) == {"x": 1}


async def test_a_future_of_the_running_loop_is_awaited():
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, {"x": 1})
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda: future, outputs=PARENT)
    assert dict(await Hush(graph).run()) == {"x": 1}


class Both(NamedTuple):
    x: int
    y: int


@pytest.mark.parametrize(
    "value",
    [1, 0, "text", "", b"x", [1], [], (1, 2), {1, 2}, True, 1.5, object(), len, Point, Model, Both(1, 2), iter([])],
)
def test_anything_else_is_an_error_that_says_how_to_return_it(value):
    """Falsy values too: only `None` is no output."""
    with pytest.raises(OutputError, match="return") as caught:
        outputs_of(lambda: value)
    text = str(caught.value)
    assert "g/n" in text
    assert type(value).__name__ in text
    assert "{" in text
    assert caught.value.hush.path == "g/n"


def test_the_same_is_said_of_what_was_awaited():
    async def give():
        return [1]

    with pytest.raises(OutputError, match="list"):
        outputs_of(give)


def test_a_function_may_return_the_same_dict_each_time_and_keep_it():
    """The engine takes what is in it, and changes nothing."""
    kept = {"x": 1}
    assert outputs_of(lambda: kept) == {"x": 1}
    assert kept == {"x": 1}


def rows():
    yield 1


async def async_rows():
    yield 1


class Source:
    def rows(self):
        yield 1

    def __call__(self):
        yield 1


GENERATORS = {
    "def": rows,
    "async def": async_rows,
    "method": Source().rows,
    "callable object": Source(),
    "partial": functools.partial(rows),
    "lambda": lambda: (yield),
}


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_function_is_refused_at_build(name):
    """What it yields nobody would see; as a value under a key it can be mapped over."""
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=GENERATORS[name])
    with pytest.raises(GraphError, match=r'return \{"rows": generator\}'):
        Hush(graph)


def test_a_generator_under_a_key_is_a_value():
    with GraphNode(name="g") as graph:
        source = CodeNode(name="source", code_fn=lambda: {"rows": rows()})
        CodeNode(name="n", code_fn=lambda x: {"y": list(x)}, inputs={"x": source["rows"]}, outputs=PARENT)
    assert run(graph) == {"y": [1]}


def test_a_generator_function_behind_a_wrapper_that_collects_is_fine():
    """What counts is the function that is called."""

    @functools.wraps(rows)
    def collected():
        return {"rows": list(rows())}

    assert outputs_of(collected) == {"rows": [1]}


# --- keys --------------------------------------------------------------------------------------------------------


def test_none_is_a_value_and_a_missing_key_is_never_none():
    """Law 8."""
    given = {"there": None, "nearby": 1}

    def graph_reading(key):
        with GraphNode(name="g") as graph:
            source = CodeNode(name="source", code_fn=lambda: given)
            CodeNode(name="n", code_fn=lambda x: {"y": x}, inputs={"x": source[key]}, outputs=PARENT)
        return graph

    assert run(graph_reading("there")) == {"y": None}
    with pytest.raises(MissingKeyError) as caught:
        run(graph_reading("nearly"))
    for part in ("g/source", "'nearly'", "'there'", "'nearby'"):
        assert part in str(caught.value)
    assert isinstance(caught.value, KeyError)


def test_a_missing_key_of_a_function_that_returned_nothing_says_so():
    returned = None
    with GraphNode(name="g") as graph:
        n = CodeNode(name="n", code_fn=lambda: returned)
        n["y"] >> PARENT["y"]
    with pytest.raises(MissingKeyError, match="'y'"):
        run(graph)


def test_a_missing_key_of_the_result_names_the_nearest():
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda: {"total": 1}, outputs=PARENT)
    result = Hush(graph).run_sync()
    with pytest.raises(KeyError, match="total"):
        result["totl"]
    assert result.get("totl") is None


def test_tags_tag_the_run_and_are_no_output():
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda: {"y": 1, "$tags": ["slow", "big"]}, outputs=PARENT)
    result = Hush(graph).run_sync()
    assert dict(result) == {"y": 1}
    assert sorted(result.tags) == ["big", "slow"]


def test_one_tag_may_be_a_string():
    """Else it would become four tags of one letter."""
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda: {"$tags": "slow"}, outputs=PARENT)
    assert list(Hush(graph).run_sync().tags) == ["slow"]


def test_a_result_without_a_key_says_how_one_comes_into_it():
    """Who forgets `outputs=` gets `{}`, which is right, and then this."""
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda: {"total": 1})
    with pytest.raises(MissingKeyError, match=r"no node has written to PARENT.*outputs=PARENT"):
        Hush(graph).run_sync()["total"]

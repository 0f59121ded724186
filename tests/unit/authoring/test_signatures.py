"""How functions of every kind are given their inputs."""

from __future__ import annotations

import asyncio
import functools
import inspect
from dataclasses import dataclass
from unittest.mock import AsyncMock, Mock

import pytest
from pydantic import BaseModel

from hush.core import PARENT, CodeNode, GraphError, GraphNode, Hush
from unit.authoring.running import run


def graph_of(fn, inputs):
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=fn, inputs=inputs, outputs=PARENT)
    return graph


def call(fn, **inputs):
    return run(graph_of(fn, inputs))


# --- kinds of parameters -----------------------------------------------------------------------------------------


def test_positional_only_parameters_are_fed_by_name():
    def fn(a, b=10, /, c=20):
        return {"y": (a, b, c)}

    assert call(fn, a=1) == {"y": (1, 10, 20)}
    assert call(fn, a=1, b=2) == {"y": (1, 2, 20)}
    assert call(fn, a=1, c=3) == {"y": (1, 10, 3)}


def test_a_gap_between_positional_only_parameters_keeps_its_default():
    """There is no other way to pass the one behind it."""
    missing = object()

    def fn(a, b=missing, c=missing, /):
        return {"b is default": b is missing, "c": c}

    assert call(fn, a=1, c=3) == {"b is default": True, "c": 3}


def test_keyword_only_parameters_are_fed_by_name():
    def fn(*, a, b=10):
        return {"y": (a, b)}

    assert call(fn, a=1) == {"y": (1, 10)}
    assert call(fn, b=2, a=1) == {"y": (1, 2)}


def test_all_kinds_at_once():
    def fn(a, /, b, c=30, *rest, d, e=50, **more):
        return {"y": (a, b, c, rest, d, e, more)}

    assert call(fn, a=1, b=2, d=4) == {"y": (1, 2, 30, (), 4, 50, {})}
    assert call(fn, d=4, f=6, e=5, c=3, b=2, a=1) == {"y": (1, 2, 3, (), 4, 5, {"f": 6})}


def test_a_gap_keeps_the_default_and_what_follows_it_its_own_value():
    def fn(a=1, b=2, c=3, d=4):
        return {"y": (a, b, c, d)}

    assert call(fn, b=20, d=40) == {"y": (1, 20, 3, 40)}
    assert call(fn, d=40, a=10) == {"y": (10, 2, 3, 40)}


def test_more_keywords_take_whatever_is_listed():
    def fn(**more):
        return {"y": more}

    assert call(fn, a=1, b=2) == {"y": {"a": 1, "b": 2}}


def test_a_keyword_may_be_called_like_a_positional_only_parameter():
    """Python allows it: the name before the slash is free again in `**more`."""

    def fn(a, /, **more):
        return {"y": (a, more)}

    assert call(fn, a=1, b=2) == {"y": (1, {"b": 2})}


def test_more_positional_arguments_are_never_fed():
    def fn(a, *rest):
        return {"y": (a, rest)}

    assert call(fn, a=1) == {"y": (1, ())}
    with pytest.raises(GraphError, match="rest"):
        Hush(graph_of(fn, {"a": 1, "rest": 2}))


def test_defaults_are_the_functions_own_objects():
    default = []

    def fn(a=default):
        return {"y": a}

    assert call(fn)["y"] is default


def test_many_parameters_are_as_good_as_few():
    def fn(a, b, c, d, e, f):
        return {"y": [a, b, c, d, e, f]}

    with GraphNode(name="g") as graph:
        source = CodeNode(name="source", code_fn=lambda: dict.fromkeys("abcdef", 1))
        for count in range(7):
            names = "abcdef"[:count]
            body = eval(f"lambda {', '.join(names)}: {{'y': [{', '.join(names)}]}}")
            CodeNode(name=f"n{count}", code_fn=body, inputs={"*": source}, outputs={"y": PARENT[f"y{count}"]})
    assert [len(run(graph)[f"y{count}"]) for count in range(7)] == list(range(7))


# --- kinds of callables ------------------------------------------------------------------------------------------


class Scale:
    kind = "scale"

    def __init__(self, times=2):
        self.times = times

    def method(self, x):
        return {"y": x * self.times}

    @classmethod
    def of_class(cls, x):
        return {"y": x, "kind": cls.kind}

    @staticmethod
    def of_nobody(x):
        return {"y": x}

    def __call__(self, x):
        return self.method(x)

    async def later(self, x):
        await asyncio.sleep(0)
        return self.method(x)


class ScaleLater:
    async def __call__(self, x):
        await asyncio.sleep(0)
        return {"y": x * 2}


@dataclass
class Unhashable:
    """A dataclass with `__eq__` has no hash."""

    times: int

    def __call__(self, x):
        return {"y": x * self.times}


@dataclass(slots=True)
class NoWeakReference:
    times: int

    def __call__(self, x):
        return {"y": x * self.times}


@dataclass
class Point:
    x: int
    y: int = 0


class Model(BaseModel):
    x: int
    y: int = 0


def logged(fn):
    @functools.wraps(fn)
    def wrapper(*args, **kwargs):
        return fn(*args, **kwargs)

    return wrapper


def logged_async(fn):
    @functools.wraps(fn)
    async def wrapper(*args, **kwargs):
        return await fn(*args, **kwargs)

    return wrapper


def adds_a_parameter(fn):
    def wrapper(x, more):
        return {**fn(x), "more": more}

    wrapper.__signature__ = inspect.Signature(
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("x", "more")]
    )
    return wrapper


def plain(x, times=2):
    return {"y": x * times}


async def plain_later(x, times=2):
    await asyncio.sleep(0)
    return {"y": x * times}


@functools.singledispatch
def dispatched(x):
    return {"y": x}


@dispatched.register
def _(x: int):
    return {"y": x * 2}


CALLABLES = {
    "function": plain,
    "async function": plain_later,
    "lambda": lambda x: {"y": x * 2},
    "bound method": Scale().method,
    "bound async method": Scale().later,
    "class method": Scale.of_class,
    "static method": Scale.of_nobody,
    "static method, as stored": Scale.__dict__["of_nobody"],
    "callable object": Scale(),
    "async callable object": ScaleLater(),
    "callable object without a hash": Unhashable(2),
    "callable object without weak references": NoWeakReference(2),
    "dataclass as a function": Point,
    "model as a function": Model,
    "partial": functools.partial(plain, times=2),
    "partial of an async function": functools.partial(plain_later, times=2),
    "partial of a partial": functools.partial(functools.partial(plain), times=2),
    "partial of a method": functools.partial(Scale().method),
    "partial with a position": functools.partial(lambda times, x: {"y": x * times}, 2),
    "decorated": logged(plain),
    "decorated twice": logged(logged(plain)),
    "decorated async": logged_async(plain_later),
    "decorated with a def": logged(plain_later),
    "decorated method": logged(Scale().method),
    "cached": functools.cache(plain),
    "single dispatch": dispatched,
    "mock": Mock(return_value={"y": 2}),
    "async mock": AsyncMock(return_value={"y": 2}),
    "builtin without a signature": dict,
    "partial of a builtin": functools.partial(dict, y=2),
}


@pytest.mark.timeout(5)
@pytest.mark.parametrize("name", CALLABLES)
def test_every_callable_is_fed_by_name(name):
    result = call(CALLABLES[name], x=1)
    assert result.get("y", result.get("x")) in (0, 1, 2)


def test_a_decorated_function_is_asked_for_what_it_wraps():
    """`inspect.signature` looks through `functools.wraps`; the wrapper's own `*args` say nothing."""
    with pytest.raises(GraphError, match="'x'"):
        Hush(graph_of(logged(plain), {}))
    with pytest.raises(GraphError, match="tims"):
        Hush(graph_of(logged(plain), {"x": 1, "tims": 3}))
    assert call(logged(plain), x=1, times=5) == {"y": 5}


def test_a_signature_that_was_set_is_believed():
    fn = adds_a_parameter(plain)
    assert call(fn, x=1, more=2) == {"y": 2, "more": 2}
    with pytest.raises(GraphError, match="'more'"):
        Hush(graph_of(fn, {"x": 1}))


def test_a_parameter_that_a_partial_has_filled_may_be_given_again_by_name_only():
    fn = functools.partial(plain, times=5)
    assert call(fn, x=1) == {"y": 5}
    assert call(fn, x=1, times=7) == {"y": 7}
    with pytest.raises(GraphError, match="'x'"):
        Hush(graph_of(functools.partial(plain, 1), {"x": 1}))


def test_a_method_is_not_asked_for_self():
    with pytest.raises(GraphError, match="'x'") as caught:
        Hush(graph_of(Scale().method, {}))
    assert "self" not in str(caught.value)


def test_an_unbound_method_is_asked_for_self():
    assert call(Scale.method, self=Scale(5), x=1) == {"y": 5}


def test_a_class_is_asked_for_what_its_instances_are_made_of():
    assert call(Point, x=1) == {"x": 1, "y": 0}
    with pytest.raises(GraphError, match="'x'"):
        Hush(graph_of(Point, {"y": 1}))


@pytest.mark.timeout(5)
def test_a_mock_was_called_as_a_function_would_be():
    mock = Mock(return_value={"y": 1})
    call(mock, a=1, b=2)
    assert mock.call_count == 1
    assert {**mock.call_args.kwargs, **dict(enumerate(mock.call_args.args))} == {"a": 1, "b": 2}


def test_a_callable_without_a_signature_takes_what_is_listed_unchecked():
    assert call(dict, a=1, b=2) == {"a": 1, "b": 2}
    assert call(functools.partial(dict, a=1), b=2) == {"a": 1, "b": 2}


def test_a_callable_without_a_signature_is_fed_nothing_by_a_star():
    with GraphNode(name="g") as graph:
        source = CodeNode(name="source", code_fn=lambda: {"a": 1, "b": 2})
        CodeNode(name="n", code_fn=dict, inputs={"*": source, "c": 3}, outputs=PARENT)
    assert run(graph) == {"c": 3}


def test_a_signature_that_breaks_is_no_signature():
    class Odd:
        __signature__ = "not one"

        def __call__(self, **given):
            return given

    assert call(Odd(), a=1) == {"a": 1}


def test_a_wrong_call_of_an_unchecked_callable_is_the_functions_own_error():
    with pytest.raises(TypeError) as caught:
        call(int, nonsense=1)
    assert caught.value.hush.path == "g/n"

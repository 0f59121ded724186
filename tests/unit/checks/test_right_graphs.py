"""Right graphs that a hasty check would complain of: what functions take and return."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import pytest
from pydantic import BaseModel

from hush.core import PARENT, CodeNode, GraphNode
from unit.checks.corpus import RightGraphs

graphs = RightGraphs()


@pytest.mark.parametrize("right", graphs, ids=str)
def test_a_right_function_raises_no_alarm_and_runs(right):
    right.must_pass_and_run()


def reading(fn, *keys, **inputs):
    """A graph that writes `keys` of what `fn` returns."""
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=fn, inputs=inputs, outputs=dict.fromkeys(keys, PARENT))
    return g


# --- returns that are not only a dict literal --------------------------------------------------------------------


@graphs.keep({"b": 2})
def a_literal_that_stands_in():
    given = {"b": 2}

    def fn():
        return given or {"a": 1}

    return reading(fn, "b")


@graphs.keep({"b": 2})
def a_literal_behind_and():
    def fn(d):
        return d and {"b": 2}

    return reading(fn, "b", d=True)


@graphs.keep({"b": 2})
def a_conditional_expression():
    def fn(x):
        return {"a": 1} if x else {"b": 2}

    return reading(fn, "b", x=0)


@graphs.keep({"b": 2})
def a_conditional_expression_with_a_call():
    def fn(x):
        return {"a": 1} if x else dict(b=2)  # noqa: C408

    return reading(fn, "b", x=0)


@graphs.keep({"b": 2})
def conditional_returns():
    def fn(x):
        if x > 1:
            return {"a": 1}
        if x:
            return {"b": 2}
        return None

    return reading(fn, "b", x=1)


@graphs.keep({"b": 2})
def a_return_in_a_loop():
    def fn(xs):
        for x in xs:
            if x:
                return {"b": x}
        return {"a": 0}

    return reading(fn, "b", xs=[0, 2])


@graphs.keep({"b": 2})
def a_return_of_a_name():
    def fn():
        out = {"a": 1}
        out["b"] = 2
        return out

    return reading(fn, "b")


@graphs.keep({"b": 2})
def a_return_of_a_name_given_in_passing():
    def fn():
        return (out := {"a": 1}) | {"b": len(out) + 1}

    return reading(fn, "b")


@graphs.keep({"b": 2})
def a_return_of_a_call():
    def make():
        return {"b": 2}

    def fn():
        return make()

    return reading(fn, "b")


@graphs.keep({"b": 2})
def a_return_of_an_awaited_call():
    async def make():
        await asyncio.sleep(0)
        return {"b": 2}

    async def fn():
        return await make()

    return reading(fn, "b")


@graphs.keep({"a": 1, "b": 2})
def a_literal_with_another_dict_in_it():
    more = {"b": 2}
    return reading(lambda: {"a": 1, **more}, "a", "b")


@graphs.keep({"a": 1, "b": 2})
def a_literal_after_another_dict():
    more = {"b": 2}
    return reading(lambda: {**more, "a": 1}, "a", "b")


@graphs.keep({"k1": 1})
def a_dict_comprehension():
    return reading(lambda: {f"k{n}": n for n in range(3)}, "k1")


@graphs.keep({"b": 2})
def a_literal_with_a_computed_key():
    key = "b"
    return reading(lambda: {"a": 1, key: 2}, "b")


@graphs.keep({"b": 2})
def a_literal_with_a_key_from_an_argument():
    return reading(lambda key: {key: 2}, "b", key="b")


@graphs.keep({"a": 2, "b": [3]})
def a_literal_of_conditional_values():
    def fn(x):
        return {"a": 1 if x else 2, "b": x or [n for n in (1, 2, 3) if n > 2]}

    return reading(fn, "a", "b", x=0)


@graphs.keep({f"k{n}": n for n in range(40)})
def a_very_long_literal():
    source = ", ".join(f"'k{n}': n + {n}" for n in range(40))
    return reading(eval(f"lambda n: {{{source}}}"), *(f"k{n}" for n in range(40)), n=0)


@graphs.keep({"b": 2})
def a_return_inside_with():
    lock = threading.Lock()

    def fn():
        with lock:
            return {"b": 2}

    return reading(fn, "b")


@graphs.keep({"b": 2})
def a_return_inside_try():
    def fn():
        try:
            return {"a": 1 // 0}
        except ZeroDivisionError:
            return {"b": 2}

    return reading(fn, "b")


@graphs.keep({"b": 2})
def a_return_that_finally_replaces():
    def fn():
        try:
            return {"a": 1}
        finally:
            return {"b": 2}  # noqa: B012, SIM107

    return reading(fn, "b")


@graphs.keep({"b": 2})
def a_return_in_a_match():
    def fn(x):
        match x:
            case {"kind": "b", "value": value}:
                return {"b": value}
            case _:
                return {"a": x}

    return reading(fn, "b", x={"kind": "b", "value": 2})


@graphs.keep({"y": 0})
def a_function_that_only_now_and_then_returns_something():
    """Whoever reads `y` has an error to hope for, not a misspelt key."""

    def fn(x):
        if x:
            raise ValueError
        return {"y": x}

    return reading(fn, "y", x=0)


@graphs.keep({"y": None})
def a_function_that_always_raises_and_is_collected():
    def fn():
        raise NotImplementedError

    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=fn, on_error="collect", outputs={"y": PARENT})
    return g


@graphs.keep({"error": None, "y": 1})
def a_key_called_error():
    """It can be read from every node, whatever it returns."""
    return reading(lambda: {"y": 1}, "error", "y")


# --- returns with a type -----------------------------------------------------------------------------------------


class Row(TypedDict):
    a: int
    b: NotRequired[int]


class More(Row, total=False):
    c: int


class Later(TypedDict):
    items: list[Unknown]  # noqa: F821  # a name for type checkers only


@dataclass
class Point:
    x: int


@dataclass
class Point3(Point):
    z: int = 0


class Model(BaseModel):
    x: int


class Child(Model):
    z: int = 0


def typed_row() -> Row:
    row: Row = {"a": 1}
    row["b"] = 2
    return row


def typed_more() -> More:
    return {"a": 1, "b": 2, "c": 3}


def typed_later() -> Later:
    return {"items": []}


def typed_point() -> Point3:
    return Point3(1)


def typed_child() -> Child:
    return Child(x=1)


def typed_dict() -> dict[str, int]:
    return dict(a=1)  # noqa: C408


def typed_unknown() -> Nowhere:  # noqa: F821  # a name for type checkers only
    return dict(a=1)  # noqa: C408


def typed_maybe() -> Row | None:
    return {"a": 1}


@graphs.keep({"a": 1, "b": 2})
def a_typed_dict_with_a_key_that_may_be_missing():
    return reading(typed_row, "a", "b")


@graphs.keep({"a": 1, "b": 2, "c": 3})
def a_typed_dict_that_extends_another():
    return reading(typed_more, "a", "b", "c")


@graphs.keep({"items": []})
def a_typed_dict_whose_types_nobody_can_resolve():
    return reading(typed_later, "items")


@graphs.keep({"x": 1, "z": 0})
def a_dataclass_that_extends_another():
    return reading(typed_point, "x", "z")


@graphs.keep({"x": 1, "z": 0})
def a_model_that_extends_another():
    return reading(typed_child, "x", "z")


@graphs.keep({"a": 1})
def a_plain_dict_type():
    return reading(typed_dict, "a")


@graphs.keep({"a": 1})
def a_type_that_cannot_be_resolved():
    return reading(typed_unknown, "a")


@graphs.keep({"a": 1})
def a_typed_dict_or_none():
    return reading(typed_maybe, "a")


# --- callables ---------------------------------------------------------------------------------------------------


class Service:
    def __init__(self, times=2):
        self.times = times

    def method(self, x):
        return {"y": x * self.times}

    def __call__(self, x, **more):
        return {"y": x * self.times, **more}


def adding(key):
    def decorate(fn):
        @functools.wraps(fn)
        def wrapper(*args, **kwargs):
            return {**fn(*args, **kwargs), key: True}

        return wrapper

    return decorate


@adding("seen")
def typed_and_decorated(x=1) -> Row:
    return {"a": x}


@graphs.keep({"y": 4})
def a_bound_method():
    return reading(Service().method, "y", x=2)


@graphs.keep({"y": 4, "z": 5})
def a_callable_object_with_more_keywords():
    return reading(Service(), "y", "z", x=2, z=5)


@graphs.keep({"a": 7, "seen": True})
def a_decorator_that_adds_a_key():
    """The wrapped function's type says nothing of what the wrapper returns."""
    return reading(typed_and_decorated, "a", "seen", x=7)


@graphs.keep({"y": 6})
def a_partial():
    return reading(functools.partial(Service.method, Service(3)), "y", x=2)


@graphs.keep({"y": 6})
def a_cached_function():
    return reading(functools.lru_cache(Service(3).method), "y", x=2)


@graphs.keep({"anything": 1})
def a_callable_without_a_signature():
    return reading(dict, "anything", anything=1)


@graphs.keep({"x": 1})
def a_class():
    return reading(Point, "x", x=1)


@graphs.keep({"y": 2})
def a_context_decorator():
    @contextlib.contextmanager
    def around():
        yield

    @around()
    def fn(x):
        return {"y": x}

    return reading(fn, "y", x=2)


@graphs.keep({"y": (1, {"b": 2})})
def a_function_that_takes_more_keywords():
    def fn(a, **more):
        return {"y": (a, more)}

    return reading(fn, "y", a=1, b=2)


@graphs.keep({"y": [1, 2, 3]})
def defaults_that_nothing_feeds():
    def fn(a, b=2, *, c=3):
        return {"y": [a, b, c]}

    return reading(fn, "y", a=1)

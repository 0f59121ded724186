"""What a function is for a cache: another key whenever it may do something else, and the same wherever it stands."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import pytest

from hush.core import PARENT, CodeNode, GraphError, GraphNode, Hush, UsageError, code_node
from hush.core._cache._declared import declared_types
from hush.core._spec._certain import Uncertain
from hush.core._spec._identity import Identity

RATE = 2
TABLE = [1, 2]


@dataclass
class Row:
    id: int


@dataclass
class Reply:
    rows: list[Row]


def made(text, name="f", **names):
    """The function `name` of a module with this text, as if it had been read from a file."""
    space = {"__name__": "shop", **names}
    exec(compile(text, "shop.py", "exec"), space)
    return space[name]


def key(fn, version=None):
    return Identity(fn, version).bytes()


def test_where_a_function_stands_makes_no_difference():
    text = "def f(x):\n    def g(y): return y + 1\n    return {'a': g(x)}"
    assert key(made(text)) == key(made("\n\n\n" + text))


@pytest.mark.parametrize(
    "other",
    [
        "def f(x): return {'a': x + 2}",
        "def f(x): return {'b': x + 1}",
        "def f(x): return {'a': x - 1}",
        "def f(y): return {'a': y + 1}",
        "def f(x=1): return {'a': x + 1}",
        "def f(x, *, y=1): return {'a': x + 1}",
        "def f(x): return {'a': x + 1.0}",
        "def f(x): return {'a': x + True}",
        "async def f(x): return {'a': x + 1}",
        "def f(x):\n    try:\n        return {'a': x + 1}\n    except ValueError:\n        return {'a': 0}",
        "def f(x): return {'a': (lambda: x + 1)()}",
    ],
)
def test_another_function_has_another_key(other):
    assert key(made("def f(x): return {'a': x + 1}")) != key(made(other))


def test_a_function_inside_counts_with_its_code():
    text = "def f(x):\n    def g(y): return y + {}\n    return {{'a': g(x)}}"
    assert key(made(text.format(1))) != key(made(text.format(2)))


def test_functions_of_two_modules_are_two_functions():
    text = "def f(x): return helper(x)"
    assert key(made(text)) != key(made(text, __name__="other"))


def closing_over(value):
    def f(x):
        return {"a": x, "b": value}

    return f


def test_defaults_and_closure_values_count():
    assert key(closing_over(1)) == key(closing_over(1)) != key(closing_over(1.0))
    assert key(closing_over([1])) == key(closing_over([1])) != key(closing_over([2]))
    assert key(closing_over(lambda: 1)) != key(closing_over(lambda: 2))
    assert key(closing_over(math.sin)) != key(closing_over(math.cos))
    assert key(closing_over(Row)) != key(closing_over(Reply))
    assert key(made("def f(x=1): return {}")) != key(made("def f(x=2): return {}"))


def test_what_a_closure_holds_is_looked_at_again():
    held = [1]
    identity = Identity(closing_over(held), None)
    before = identity.bytes()
    held.append(2)
    assert identity.bytes() != before
    assert identity.changing() == ("value",)


def test_partials_and_methods_count_with_what_they_hold():
    def f(x, y):
        return {"a": x + y}

    assert key(functools.partial(f, y=1)) == key(functools.partial(f, y=1)) != key(functools.partial(f, y=2))

    @dataclass
    class Shop:
        rate: int

        def price(self, x):
            return {"a": x * self.rate}

        def __call__(self, x):
            return {"b": x * self.rate}

    assert key(Shop(1).price) == key(Shop(1).price) != key(Shop(2).price)
    assert key(Shop(1)) == key(Shop(1)) != key(Shop(2))


def test_constants_of_the_module_count_and_what_the_function_itself_counts_up_does_not():
    text = "def f(x): return {'a': x * RATE}"
    assert key(made(text, RATE=1)) == key(made(text, RATE=1)) != key(made(text, RATE=2))
    counting = "def f(x):\n    global n\n    n += 1\n    return {'a': x}"
    assert key(made(counting, n=1)) == key(made(counting, n=2))
    unknown = "def f(x): return {'a': client.get(x)}"
    assert key(made(unknown, client=object())) == key(made(unknown, client=object()))


def test_a_constant_that_is_set_anew_counts_at_once():
    """As in a notebook, where the cell with the constant is run again and the one with the function is not."""
    fn = made("def f(x): return {'a': x * RATE}", RATE=1)
    identity = Identity(fn, None)
    before = identity.bytes()
    fn.__globals__["RATE"] = 3
    assert identity.bytes() != before


def test_functions_of_the_same_module_count_and_so_do_those_that_they_name():
    text = "K = {}\ndef h(x): return x + K\ndef g(x): return h(x) * {}\ndef f(x): return {{'a': g(x)}}"
    assert key(made(text.format(1, 1))) == key(made(text.format(1, 1)))
    assert key(made(text.format(1, 1))) != key(made(text.format(1, 2)))
    assert key(made(text.format(1, 1))) != key(made(text.format(2, 1)))
    cached = "import functools\n@functools.cache\ndef g(x): return x * {}\ndef f(x): return {{'a': g(x)}}"
    assert key(made(cached.format(1))) != key(made(cached.format(2)))


def test_functions_that_name_each_other_have_a_key():
    text = "def g(x): return f(x)\ndef f(x): return {'a': x and g(x - 1)}"
    assert key(made(text)) == key(made(text))


def test_a_version_stands_for_code_and_all_that_it_holds():
    assert key(closing_over(1), "1") == key(closing_over(object()), "1") != key(closing_over(1), "2")
    assert key(closing_over(1), "1") != key(made("def f(x): return {}"), "1")


def test_a_version_needs_a_name_to_go_with():
    """Two lambdas of one module have one name: their answers would be taken for each other's."""
    with pytest.raises(Uncertain):
        key(lambda x: {"a": x}, "1")


@pytest.mark.parametrize(
    "fn", [math.sqrt, dict, functools.lru_cache(lambda x: {}), functools.partial(dict, a=object())]
)
def test_what_cannot_be_read_is_told(fn):
    with pytest.raises(Uncertain):
        key(fn)
    assert key(fn, "1") if not isinstance(fn, functools._lru_cache_wrapper) else True


# ── Where it is told ─────────────────────────────────────────────────────────────────────────────────────────────────


def graph_of(fn, **policies):
    with GraphNode(name="g") as graph:
        CodeNode(name="ask", code_fn=fn, inputs={"x": PARENT["x"]}, outputs=PARENT, **policies)
    return graph


@pytest.mark.parametrize(
    ("fn", "version", "message", "mend"),
    [
        (closing_over(object()), None, "value, which its function holds, is of type object", 'version="1"'),
        (closing_over([open]), None, "value[0], which", 'version="1"'),
        (functools.partial(closing_over(1), y=object()), None, "y, which its function holds", 'version="1"'),
        (object().__eq__, None, "no function of Python's", 'version="1"'),
        (lambda x: {"a": x}, "1", "a lambda", "def"),
    ],
)
def test_a_function_without_a_certain_form_is_a_problem_of_the_graph(fn, version, message, mend):
    graph = graph_of(fn, cache=True, version=version)
    found = [str(problem) for problem in graph.check() if "cannot be cached" in problem.message]
    assert len(found) == 1
    assert message in found[0]
    assert mend in found[0]
    with pytest.raises(GraphError, match="cannot be cached"):
        Hush(graph)


@pytest.mark.parametrize(
    ("policies", "message"),
    [
        ({"cache": 3}, 'it is "memory", or the path of a file'),
        ({"cache": ""}, 'it is "memory", or the path of a file'),
        ({"cache": ":memory:"}, 'it is "memory", or the path of a file'),
        ({"cache": "memroy"}, 'neither "memory" nor looks like a file'),
        ({"cache": "file:a.db?mode=ro"}, "not a URI"),
        ({"cache": True, "version": 2}, 'version="2"'),
        ({"cache": True, "version": ""}, "it is a string"),
        ({"version": "2"}, "there is no cache="),
    ],
)
def test_wrong_arguments_raise_at_the_line(policies, message):
    with pytest.raises(UsageError, match=message):
        graph_of(lambda x: {"a": x}, **policies)


def test_cache_can_be_switched_off_and_is_drawn():
    assert "cached" not in graph_of(lambda x: {"a": x}, cache=False).to_text()
    assert "cached in memory" in graph_of(lambda x: {"a": x}, cache=True).to_text()
    assert "cached in answers.db" in graph_of(lambda x: {"a": x}, cache="made/of/answers.db").to_text()


# ── Declared types ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_types_are_declared_by_annotations_code_and_closure_and_in_each_others_fields():
    def returns() -> dict[str, Reply | None]: ...

    def takes(x: list[Reply]): ...

    def names():
        return {"a": Reply([])}

    def plain():
        return {}

    for fn in (returns, takes, names, closing_over(Reply), code_node(names).fn, functools.partial(takes)):
        assert set(declared_types(fn).values()) == {Row, Reply}, fn
    assert declared_types(plain) == {}


def test_an_annotation_that_cannot_be_read_declares_nothing_and_costs_no_other():
    def f(x: Nowhere, y: Row): ...  # noqa: F821

    assert set(declared_types(f).values()) == {Row}

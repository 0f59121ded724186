"""All forms of order, and what is none."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import END, PARENT, START, CodeNode, GraphError, GraphNode, Hush, UsageError
from unit.authoring.running import run

NAMES = "abcdef"


def waiting(wire):
    """For each of the nodes a … f, those that wait for it, if `wire` orders them."""
    return {slow: waiting_for(wire, slow) for slow in NAMES}


def waiting_for(wire, slow):
    ran = []

    async def step(name):
        for _ in range(100 if name == slow else 0):
            await asyncio.sleep(0)
        ran.append(name)

    with GraphNode(name="g") as graph:
        wire(*(CodeNode(name=name, code_fn=step, inputs={"name": name}) for name in NAMES))
    run(graph)
    assert sorted(ran) == list(NAMES)
    return "".join(sorted(ran[ran.index(slow) + 1 :]))


def chain(a, b, c, d, e, f):
    START >> a >> b >> c >> d >> e >> f >> END


def chain_in_statements(a, b, c, d, e, f):
    e >> f
    b >> c
    a >> b
    c >> d >> e


def to_a_list(a, b, c, d, e, f):
    a >> [b, c]


def from_a_list(a, b, c, d, e, f):
    [a, b] >> c


def tuples(a, b, c, d, e, f):
    (a, b) >> c >> (d, e)


def diamond(a, b, c, d, e, f):
    START >> a >> [b, c] >> d >> END
    START >> [e, f] >> END


def lists_in_a_row(a, b, c, d, e, f):
    START >> [a, b] >> [c, d] >> e
    START >> f


def lists_in_a_row_from_a_node(a, b, c, d, e, f):
    a >> [b, c] >> [d, e] >> f


def a_group_that_was_kept(a, b, c, d, e, f):
    pair = a >> [b, c]
    pair >> d
    e >> pair


def groups_on_both_sides(a, b, c, d, e, f):
    (START >> [a, b]) >> (START >> [c, d])
    START >> [e, f]


def written_twice(a, b, c, d, e, f):
    a >> b
    a >> [b, c]
    a >> b


def list_to_end(a, b, c, d, e, f):
    START >> [a, b] >> c
    START >> [d, e, f] >> END
    [c, d] >> END


def end_in_a_list(a, b, c, d, e, f):
    START >> [a, c, d, e, f]
    a >> [b, END]


NOTHING = dict.fromkeys(NAMES, "")
ORDERS = {
    chain: {"a": "bcdef", "b": "cdef", "c": "def", "d": "ef", "e": "f"},
    chain_in_statements: {"a": "bcdef", "b": "cdef", "c": "def", "d": "ef", "e": "f"},
    to_a_list: {"a": "bc"},
    from_a_list: {"a": "c", "b": "c"},
    tuples: {"a": "cde", "b": "cde", "c": "de"},
    diamond: {"a": "bcd", "b": "d", "c": "d"},
    lists_in_a_row: {"a": "cde", "b": "cde", "c": "e", "d": "e"},
    lists_in_a_row_from_a_node: {"a": "bcdef", "b": "def", "c": "def", "d": "f", "e": "f"},
    a_group_that_was_kept: {"a": "bcd", "b": "d", "c": "d", "e": "bcd"},
    groups_on_both_sides: {"a": "cd", "b": "cd"},
    written_twice: {"a": "bc"},
    list_to_end: {"a": "c", "b": "c"},
    end_in_a_list: {"a": "b"},
}


@pytest.mark.parametrize("wire", ORDERS, ids=lambda wire: wire.__name__)
def test_an_edge_makes_the_later_node_wait_and_no_other(wire):
    assert waiting(wire) == NOTHING | ORDERS[wire]


def test_the_order_of_statements_is_no_order_of_nodes():
    def wire(a, b, c, d, e, f):
        START >> [a, b, c, d, e, f] >> END

    assert waiting(wire) == NOTHING


def test_an_edge_and_a_reference_between_the_same_nodes_are_one_order():
    with GraphNode(name="g") as graph:
        a = CodeNode(name="a", code_fn=lambda: {"y": 1})
        b = CodeNode(name="b", code_fn=lambda x: {"y": x + 1}, inputs={"x": a["y"]}, outputs=PARENT)
        START >> a >> b >> END
    assert run(graph) == {"y": 2}


def test_a_list_made_in_a_loop_may_be_long():
    with GraphNode(name="g") as graph:
        first = CodeNode(name="first", code_fn=lambda: {"y": 1})
        nodes = [CodeNode(code_fn=lambda x: {"y": x}, inputs={"x": first["y"]}) for _ in range(50)]
        last = CodeNode(name="last", code_fn=lambda ys: {"n": sum(ys)}, inputs={"ys": [n["y"] for n in nodes]})
        last["n"] >> PARENT["n"]
        START >> first >> nodes >> last >> END
    assert run(graph) == {"n": 50}


def test_two_lists_alone_are_pythons_own_error():
    """`[a, b] >> [c, d]` cannot be overloaded; `START >> [a, b] >> [c, d]` can."""
    with GraphNode(name="g"):
        a, b = CodeNode(code_fn=lambda: None), CodeNode(code_fn=lambda: None)
        with pytest.raises(TypeError):
            [a] >> [b]


@pytest.mark.parametrize(
    "slip",
    [
        lambda a, b: a > b,
        lambda a, b: a < b,
        lambda a, b: a << b,
        lambda a, b: a < START,
        lambda a, b: a > END,
        lambda a, b: a > [b],
    ],
)
def test_other_arrows_raise_and_name_the_right_one(slip):
    """`a > b` is a slip that Python would let pass without a sound."""
    with GraphNode(name="g"):
        a, b = CodeNode(name="a", code_fn=lambda: None), CodeNode(name="b", code_fn=lambda: None)
        with pytest.raises(UsageError, match=">>") as caught:
            slip(a, b)
    assert __file__ in str(caught.value)


@pytest.mark.parametrize(
    "slip",
    [
        lambda a, b: a >= b,
        lambda a, b: a <= b,
        lambda a, b: a | b,
        lambda a, b: a & b,
        lambda a, b: a + b,
        lambda a, b: ~a >> b,
        lambda a, b: a >> ~~b,
        lambda a, b: [~a] >> b,
    ],
)
def test_what_is_no_order_at_all_raises(slip):
    with GraphNode(name="g"):
        a, b = CodeNode(name="a", code_fn=lambda: None), CodeNode(name="b", code_fn=lambda: None)
        with pytest.raises(TypeError):
            slip(a, b)


@pytest.mark.parametrize(
    "other", [None, 5, "b", len, PARENT, [None], ["b"], [[]], {"b": 1}, lambda: None, PARENT["x"], [PARENT["x"]]]
)
def test_edges_join_nodes_and_nothing_else(other):
    with GraphNode(name="g"):
        a = CodeNode(name="a", code_fn=lambda: None)
        with pytest.raises(UsageError) as caught:
            a >> other
    assert __file__ in str(caught.value)


@pytest.mark.parametrize("other", [None, 5, "b", len, [None], ["b"], PARENT])
def test_edges_come_from_nodes_and_nothing_else(other):
    with GraphNode(name="g"):
        a = CodeNode(name="a", code_fn=lambda: None)
        with pytest.raises(TypeError):
            other >> a


def test_a_list_inside_a_list_raises():
    with GraphNode(name="g"):
        a, b, c = (CodeNode(name=name, code_fn=lambda: None) for name in "abc")
        with pytest.raises(UsageError, match="list"):
            START >> [a, [b, c]]


def test_an_edge_that_joins_nothing_is_an_error_on_either_side():
    """A list that came out empty is a mistake upstream of it, not an order."""
    for joins_nothing in (lambda a: a >> [], lambda a: [] >> a, lambda a: START >> [] >> a):
        with pytest.raises(GraphError, match=r"\[\]"):
            with GraphNode(name="g") as graph:
                joins_nothing(CodeNode(name="a", code_fn=lambda: None))
            Hush(graph)


def test_end_forwards_nothing():
    """`END` marks intent: the run ends when every node has settled, those after no `END` included."""
    ran = []
    with GraphNode(name="g") as graph:
        a = CodeNode(name="a", code_fn=lambda: ran.append("a"))
        b = CodeNode(name="b", code_fn=lambda: ran.append("b"))
        START >> a >> END
        START >> b
    assert run(graph) == {}
    assert sorted(ran) == ["a", "b"]

"""What a reference records, and what is done when its value is read."""

from __future__ import annotations

import asyncio
import functools
import operator

import pytest

from hush.core import PARENT, CodeNode, Each, GraphError, GraphNode, Hush, UsageError
from unit.authoring.running import read, run


class Row:
    def __init__(self, name, tags=()):
        self.name = name
        self.tags = tags

    def label(self, sep, *, end="."):
        return f"{self.name}{sep}{end}"

    def __matmul__(self, other):
        return f"{self.name}@{other}"

    def __rmatmul__(self, other):
        return f"{other}@{self.name}"


RECORDED = {
    "index": (lambda s: s["v"][1], [1, 2], 2),
    "index from the end": (lambda s: s["v"][-1], [1, 2], 2),
    "key": (lambda s: s["v"]["k"]["deep"], {"k": {"deep": 7}}, 7),
    "key that is a tuple": (lambda s: s["v"][1, 2], {(1, 2): "t"}, "t"),
    "key that is an operand": (lambda s: s["v"][s["two"]], [1, 2, 3], 3),
    "slice": (lambda s: s["v"][1:3], [1, 2, 3, 4], [2, 3]),
    "slice with a step": (lambda s: s["v"][::-1], [1, 2], [2, 1]),
    "slice with an operand": (lambda s: s["v"][: s["two"]], [1, 2, 3], [1, 2]),
    "attribute": (lambda s: s["v"].tags[0], Row("a", ["t"]), "t"),
    "attribute called name": (lambda s: s["v"].name, Row("a"), "a"),
    "method": (lambda s: s["v"].strip().lower(), "  A ", "a"),
    "method with arguments": (lambda s: s["v"].label("-", end="!"), Row("a"), "a-!"),
    "method with operands": (lambda s: s["v"].split(s["comma"], maxsplit=s["two"] - 1), "a,b,c", ["a", "b,c"]),
    "method called format": (lambda s: s["v"].format(n=s["two"]), "n={n}", "n=2"),
    "method of an item": (lambda s: s["v"]["t"].strip().lower(), {"t": " A "}, "a"),
    "+": (lambda s: s["v"] + 1, 2, 3),
    "reflected +": (lambda s: 1 + s["v"], 2, 3),
    "text +": (lambda s: "a" + s["v"], "b", "ab"),
    "list +": (lambda s: [1] + s["v"] + [3], [2], [1, 2, 3]),
    "-": (lambda s: s["v"] - 1, 2, 1),
    "reflected -": (lambda s: 1 - s["v"], 2, -1),
    "*": (lambda s: s["v"] * 3, 2, 6),
    "reflected *": (lambda s: [0] * s["v"], 2, [0, 0]),
    "/": (lambda s: s["v"] / 2, 3, 1.5),
    "reflected /": (lambda s: 3 / s["v"], 2, 1.5),
    "//": (lambda s: s["v"] // 2, 5, 2),
    "reflected //": (lambda s: 5 // s["v"], 2, 2),
    "%": (lambda s: s["v"] % 4, 6, 2),
    "reflected %": (lambda s: 6 % s["v"], 4, 2),
    "**": (lambda s: s["v"] ** 2, 3, 9),
    "reflected **": (lambda s: 2 ** s["v"], 3, 8),
    "@": (lambda s: s["v"] @ 1, Row("a"), "a@1"),
    "reflected @": (lambda s: 1 @ s["v"], Row("a"), "1@a"),
    "negative": (lambda s: -s["v"], 2, -2),
    "positive": (lambda s: +s["v"], 2, 2),
    "abs": (lambda s: abs(s["v"]), -2, 2),
    "==": (lambda s: s["v"] == 2, 2, True),
    "== None": (lambda s: s["v"] == None, None, True),  # noqa: E711  # `is` cannot be recorded
    "!=": (lambda s: s["v"] != 2, 2, False),
    "<": (lambda s: s["v"] < 3, 2, True),
    "<=": (lambda s: s["v"] <= 2, 2, True),
    ">": (lambda s: s["v"] > 2, 2, False),
    ">=": (lambda s: s["v"] >= 2, 2, True),
    "literal first": (lambda s: 3 > s["v"], 2, True),  # noqa: SIM300  # the order is the point
    "&": (lambda s: (s["v"] > 1) & (s["v"] < 3), 2, True),
    "|": (lambda s: (s["v"] < 1) | (s["v"] > 1), 2, True),
    "~ of a truth": (lambda s: ~(s["v"] > 1), 2, False),
    "~ of a number": (lambda s: ~s["v"], 2, ~2),
    "& of sets": (lambda s: {1, 2} & s["v"], {2, 3}, {2}),
    "| of dicts": (lambda s: {"a": 1} | s["v"], {"b": 2}, {"a": 1, "b": 2}),
    "in_": (lambda s: s["v"].in_([1, 2]), 2, True),
    "in_ an operand": (lambda s: s["two"].in_(s["v"]), [1, 2], True),
    "contains": (lambda s: s["v"].contains(3), [1, 2], False),
    "contains an operand": (lambda s: s["v"].contains(s["two"]), [1, 2], True),
    "apply": (lambda s: s["v"].apply(len), [1, 2, 3], 3),
    "apply a lambda": (lambda s: s["v"].apply(lambda v: v * 2), 2, 4),
    "apply with arguments": (lambda s: s["v"].apply(sorted, key=abs, reverse=True), [1, -3, 2], [-3, 2, 1]),
    "apply with operands": (lambda s: s["v"].apply(pow, s["two"], s["two"] + 5), 3, 2),
    "apply a class": (lambda s: s["v"].apply(int) + 1, "2", 3),
    "operands of one reference": (lambda s: s["v"] + s["v"] * s["two"], 3, 9),
    "a table and its key": (lambda s: s["table"][s["v"].lower()], "A", "found"),
}


@pytest.mark.parametrize("name", RECORDED)
def test_what_is_done_to_a_reference_is_done_to_its_value(name):
    make, value, expected = RECORDED[name]
    got = read(make, v=value, two=2, comma=",", table={"a": "found"})
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize("name", RECORDED)
def test_a_reference_to_the_run_records_the_same(name):
    """`PARENT["v"]` is a reference like any other."""
    make, value, expected = RECORDED[name]
    extra = {"two": 2, "comma": ",", "table": {"a": "found"}}
    with GraphNode(name="g", inputs=extra) as graph:
        CodeNode(name="n", code_fn=lambda x: {"got": x}, inputs={"x": make(PARENT)}, outputs=PARENT)
    assert run(graph, {"v": value})["got"] == expected


def test_operands_may_come_from_several_nodes_and_the_run():
    with GraphNode(name="g") as graph:
        a = CodeNode(name="a", code_fn=lambda: {"y": 1})
        b = CodeNode(name="b", code_fn=lambda: {"y": [10, 20]})
        CodeNode(name="n", code_fn=lambda x: {"got": x}, inputs={"x": b["y"][a["y"]] + PARENT["k"]}, outputs=PARENT)
    assert run(graph, {"k": 300}) == {"got": 320}


def test_a_reference_as_operand_is_an_order_too():
    """Law 2: what an expression names anywhere in it has run before."""
    with GraphNode(name="g") as graph:
        late = CodeNode(name="late", code_fn=lambda: {"i": 1})
        for _ in range(5):
            late = CodeNode(code_fn=lambda i: {"i": i + 1}, inputs={"i": late["i"]})
        CodeNode(
            name="n", code_fn=lambda x: {"got": x}, inputs={"x": PARENT["v"].apply(pow, late["i"])}, outputs=PARENT
        )
    assert run(graph, {"v": 2}) == {"got": 64}


OPERANDS = {
    "operand": lambda source, thing: source["v"] + thing,
    "key": lambda source, thing: source["v"][thing],
    "argument of a method": lambda source, thing: source["v"].index(thing),
    "argument of apply": lambda source, thing: source["v"].apply(max, [thing]),
    "in_": lambda source, thing: source["v"].in_([thing]),
}


@pytest.mark.parametrize("name", OPERANDS)
@pytest.mark.parametrize("thing", ["node", "PARENT", "Each"])
def test_an_operand_is_a_value_or_a_reference_and_no_node(name, thing):
    """A key was forgotten: known when it is written, and told then or by the check, not by the run."""
    with pytest.raises(GraphError) as caught:
        with GraphNode(name="g") as graph:
            source = CodeNode(name="source", code_fn=lambda: {"v": 1})
            things = {"node": CodeNode(name="node", code_fn=lambda: None), "PARENT": PARENT, "Each": Each([1])}
            made = OPERANDS[name](source, things[thing])
            CodeNode(name="n", code_fn=lambda x: None, inputs={"x": made})
        Hush(graph)
    assert thing in str(caught.value)
    assert __file__ in str(caught.value)


def test_in_place_operators_make_a_new_reference():
    def make(source):
        before = value = source["v"]
        value += 1
        return [before, value]

    assert read(make, v=1) == [1, 2]


def test_a_reference_is_done_once_for_each_reader():
    """It is a recipe: two readers of one list do not share what `.apply()` made."""
    with GraphNode(name="g") as graph:
        source = CodeNode(name="source", code_fn=lambda: {"v": [1]})
        copied = source["v"].apply(list)
        for name in ("a", "b"):
            CodeNode(name=name, code_fn=lambda x: {"id": x}, inputs={"x": copied}, outputs={"id": PARENT[name]})
    result = run(graph)
    assert result["a"] == result["b"] == [1]
    assert result["a"] is not result["b"]


def test_a_sum_over_thousands_of_nodes_is_an_expression():
    """Long graphs run; so do long sums over them."""
    with GraphNode(name="g") as graph:
        nodes = [CodeNode(code_fn=lambda: {"v": 1}, executor="inline") for _ in range(2000)]
        total = functools.reduce(operator.add, (node["v"] for node in nodes))
        CodeNode(name="sum", code_fn=lambda x: {"sum": x}, inputs={"x": total}, outputs=PARENT)
    assert run(graph) == {"sum": 2000}


def test_the_text_of_a_reference_says_how_it_was_written():
    source = CodeNode(name="source", code_fn=lambda: None)
    assert 'source["v"]' in repr(source["v"]) or "source['v']" in repr(source["v"])
    assert "+ 1" in repr(source["v"] + 1)
    assert ".strip" in repr(PARENT["t"].strip())


def _unpack(ref):
    one, two = ref
    return one, two


def _loop(ref):
    return [item for item in ref]  # noqa: C416  # the loop is the point


def _write(ref):
    ref["k"] = 1


def _delete(ref):
    del ref["k"]


REFUSED = {
    "if": (lambda ref: 1 if ref else 2, ["&"]),
    "not": (lambda ref: not ref, ["~"]),
    "and": (lambda ref: ref and 1, ["&"]),
    "or": (lambda ref: ref or 1, ["|"]),
    "bool": (bool, ["&"]),
    "chained comparison": (lambda ref: 1 < ref < 3, ["&"]),
    "len": (len, [".apply(len)"]),
    "for": (_loop, ["MapNode", "Each"]),
    "list": (list, ["MapNode", "Each"]),
    "unpacking": (_unpack, []),
    "star": (lambda ref: print(*ref), []),
    "sum": (sum, []),
    "in": (lambda ref: 1 in ref, [".contains("]),
    "in a list": (lambda ref: ref in [1, 2], [".in_("]),
    "f-string": (lambda ref: f"{ref}", [".apply("]),
    "f-string with a format": (lambda ref: f"{ref:>5}", [".apply("]),
    "format": ("{}".format, [".apply("]),
    "percent": (lambda ref: "%s" % ref, [".apply("]),  # noqa: UP031  # the way is the point
    "str": (str, [".apply(str)"]),
    "int": (int, [".apply(int)"]),
    "float": (float, [".apply(float)"]),
    "index": (lambda ref: [1, 2][ref], [".apply("]),
    "range": (range, [".apply("]),
    "item assignment": (_write, []),
    "item deletion": (_delete, []),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_recorded_raises_with_the_line_to_write(name):
    """With the reference's own text in it, so that the line can be copied."""
    do, mends = REFUSED[name]
    source = CodeNode(name="source", code_fn=lambda: None)
    with pytest.raises(UsageError) as caught:
        do(source["v"])
    text = str(caught.value)
    assert "source" in text
    assert __file__ in text
    for mend in mends:
        assert mend in text


@pytest.mark.parametrize("do", [complex, reversed, hash, ",".join, lambda ref: dict(**ref)])
def test_what_else_python_would_do_with_a_value_is_refused_too(do):
    """The list above is what people write; none of the rest may give nonsense. Python words some of these itself."""
    source = CodeNode(name="source", code_fn=lambda: None)
    with pytest.raises(TypeError):
        do(source["v"])


@pytest.mark.parametrize("do", [round, lambda ref: divmod(ref, 2), lambda ref: ref ^ 1, lambda ref: ref << 1])
def test_the_rest_is_told_apply_as_well(do):
    source = CodeNode(name="source", code_fn=lambda: None)
    with pytest.raises(UsageError, match="apply"):
        do(source["v"])


async def test_a_reference_cannot_be_awaited():
    source = CodeNode(name="source", code_fn=lambda: None)
    with pytest.raises(UsageError, match="inputs"):
        await source["v"]
    with pytest.raises(TypeError):
        await asyncio.wait_for(source["v"], 1)


def test_attributes_that_begin_with_an_underscore_are_not_recorded():
    """Else `copy`, `pickle` and every `hasattr(x, "__array__")` would get a reference for an answer."""
    source = CodeNode(name="source", code_fn=lambda: None)
    for name in ("_private", "__array__", "__len_hint__"):
        assert not hasattr(source["v"], name)


def test_a_reference_has_no_attributes_to_set():
    source = CodeNode(name="source", code_fn=lambda: None)
    with pytest.raises(GraphError):
        source["v"].name = 1


def test_a_key_read_from_a_node_is_not_a_function():
    source = CodeNode(name="source", code_fn=lambda: None)
    with pytest.raises(UsageError, match=r"\.apply\("):
        source["v"](1)


def test_apply_wants_a_function():
    with pytest.raises(UsageError, match="apply"):
        PARENT["v"].apply("len")


@pytest.mark.parametrize("key", [1, None, ("a", "b"), slice(1, 2)])
def test_a_key_of_a_node_is_a_string(key):
    source = CodeNode(name="source", code_fn=lambda: None)
    for read_key in (source.__getitem__, PARENT.__getitem__):
        with pytest.raises(UsageError, match="key"):
            read_key(key)


def test_a_node_is_no_collection_of_its_keys():
    source = CodeNode(name="source", code_fn=lambda: None)
    with pytest.raises(UsageError):
        list(source)
    with pytest.raises(UsageError):
        assert "v" in source

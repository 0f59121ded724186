"""References record what is done to them and do it when the value is read; the rest says what to write instead."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field

import pytest

from hush.core import PARENT, CodeNode, GraphError, GraphNode, Hush, HushError, MissingKeyError
from runtime.from_design.authored import const, error_of, result_of
from runtime.observing import unknown


@dataclass
class Doc:
    """A value with attributes, methods and parts."""

    title: str = "Ada"
    tags: list[str] = field(default_factory=lambda: ["x", "y"])

    def say(self, word, *more, loud=False):
        text = " ".join([word, *more, self.title])
        return text.upper() if loud else text

    @property
    def size(self):
        return len(self.tags)


VALUES = {
    "n": 7,
    "f": 2.5,
    "neg": -3,
    "t": "  Hello World ",
    "xs": [5, 1, 4],
    "d": {"k": {"j": [10, 20, 30]}, "i": 1, "items": "shadowed"},
    "doc": Doc(),
    "yes": True,
    "no": False,
    "none": None,
    "i": 1,
    "key": "k",
    "s": {1, 2},
}


def read(make):
    """What a node is given for the input that ``make`` writes over a node with VALUES."""
    with GraphNode(name="g") as graph:
        a = CodeNode(name="a", code_fn=lambda: VALUES, inputs={})
        CodeNode(name="sink", code_fn=lambda x: {"got": x}, inputs={"x": make(a)}, outputs=PARENT)
    return result_of(graph)["got"]


def twice(part):
    return part + part


RECORDED = {
    "an index": (lambda a: a["xs"][0], 5),
    "a negative index": (lambda a: a["xs"][-1], 4),
    "a slice": (lambda a: a["xs"][1:], [1, 4]),
    "a slice with a step": (lambda a: a["t"][::-1], " dlroW olleH  "),
    "a slice between references": (lambda a: a["xs"][a["no"] : a["i"] + 1], [5, 1]),
    "keys": (lambda a: a["d"]["k"]["j"][2], 30),
    "a key that is a reference": (lambda a: a["d"][a["key"]]["j"][a["i"]], 20),
    "an attribute": (lambda a: a["doc"].title, "Ada"),
    "a property": (lambda a: a["doc"].size, 2),
    "an attribute of an attribute's part": (lambda a: a["doc"].tags[0].upper(), "X"),
    "methods in a row": (lambda a: a["t"].strip().lower().split(" ")[1], "world"),
    "a method with reference arguments": (lambda a: a["doc"].say(a["key"], "b", loud=a["yes"]), "K B ADA"),
    "plus": (lambda a: a["n"] + a["f"], 9.5),
    "plus from the right": (lambda a: 1 + a["n"], 8),
    "minus": (lambda a: a["n"] - 2, 5),
    "minus from the right": (lambda a: 10 - a["n"], 3),
    "times": (lambda a: a["xs"] * 2, [5, 1, 4, 5, 1, 4]),
    "times from the right": (lambda a: "ab" * a["i"], "ab"),
    "true division": (lambda a: a["n"] / 2, 3.5),
    "division from the right": (lambda a: 14 / a["n"], 2.0),
    "floor division": (lambda a: a["n"] // 2, 3),
    "modulo": (lambda a: a["n"] % 4, 3),
    "power": (lambda a: a["n"] ** 2, 49),
    "power from the right": (lambda a: 2 ** a["n"], 128),
    "negative": (lambda a: -a["n"], -7),
    "positive": (lambda a: +a["neg"], -3),
    "abs": (lambda a: abs(a["neg"]), 3),
    "text plus text": (lambda a: "<" + a["key"] + ">", "<k>"),
    "equal": (lambda a: a["n"] == 7, True),
    "not equal": (lambda a: a["n"] != 7, False),
    "less": (lambda a: a["n"] < a["f"], False),
    "less from the right": (lambda a: a["n"] > 3, True),
    "at least": (lambda a: a["n"] >= 7, True),
    "equal to None": (lambda a: a["none"] == None, True),  # noqa: E711
    "and": (lambda a: (a["n"] > 1) & (a["n"] < 9), True),
    "or": (lambda a: (a["n"] > 9) | a["yes"], True),
    "not": (lambda a: ~(a["n"] > 9), True),
    "not of a bool": (lambda a: ~a["yes"], False),
    "in": (lambda a: a["n"].in_([1, 7]), True),
    "in with references": (lambda a: a["n"].in_([1, a["i"] + 6]), True),
    "in a reference": (lambda a: a["i"].in_(a["xs"]), True),
    "contains": (lambda a: a["xs"].contains(4), True),
    "contains a reference": (lambda a: a["xs"].contains(a["n"]), False),
    "contains text": (lambda a: a["t"].contains("World"), True),
    "apply": (lambda a: a["xs"].apply(sorted), [1, 4, 5]),
    "apply with a keyword": (lambda a: a["xs"].apply(sorted, reverse=a["yes"]), [5, 4, 1]),
    "apply with references": (lambda a: a["n"].apply(max, a["xs"][0], a["f"]), 7),
    "apply and then more": (lambda a: a["xs"].apply(len) * 2 - 1, 5),
    "precedence": (lambda a: a["n"] + a["f"] * 2 - -a["neg"], 9.0),
    "what is recorded may be used twice": (lambda a: twice(a["xs"][1:]), [1, 4, 1, 4]),
}


@pytest.mark.parametrize("what", RECORDED)
def test_what_is_done_to_a_reference_is_done_to_its_value(what):
    make, expected = RECORDED[what]
    found = read(make)
    assert found == expected
    assert type(found) is type(expected)


REFUSED = {
    "bool": lambda r: bool(r),
    "if": lambda r: 1 if r else 2,
    "and": lambda r: r and r,
    "not": lambda r: not r,
    "chained comparison": lambda r: 1 < r < 3,
    "len": lambda r: len(r),
    "iteration": lambda r: list(r),
    "unpacking": lambda r: max(*r),
    "in": lambda r: 3 in r,
    "in a list of strings": lambda r: r in ["a", "b"],
    "f-string": lambda r: f"{r}",
    "f-string with a format": lambda r: f"{r:>10}",
    "str": lambda r: str(r),
    "format": lambda r: "{}".format(r),  # noqa: UP032
    "percent": lambda r: "%s" % r,  # noqa: UP031
    "join": lambda r: ",".join(r),
    "int": lambda r: int(r),
    "float": lambda r: float(r),
    "index": lambda r: [1, 2][r],
    "range": lambda r: range(r),
    "private attribute": lambda r: r._secret,
    "dunder attribute": lambda r: r.__wrapped__,
    "set an attribute": lambda r: setattr(r, "title", 1),
    "set an item": lambda r: operator.setitem(r, "k", 1),
    "delete an item": lambda r: operator.delitem(r, "k"),
    "with": lambda r: r.__enter__(),
    "round": lambda r: round(r),
    "hash": lambda r: {r: 1},
    "dict": lambda r: dict(r),
    "double star": lambda r: dict(**r),
    "reversed": lambda r: list(reversed(r)),
    "next": lambda r: next(r),
    "sorted": lambda r: sorted(r),
    "sum": lambda r: sum(r),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_recorded_raises_at_the_line_and_not_when_it_runs(what):
    with GraphNode(name="g"):
        a = const("a")
        with pytest.raises((HushError, TypeError, AttributeError)):
            REFUSED[what](a["v"])


@pytest.mark.parametrize(
    ("what", "advice"),
    [
        ("bool", "&"),
        ("and", "&"),
        ("not", "~"),
        ("len", ".apply(len)"),
        ("iteration", "Each"),
        ("in", ".contains("),
        ("f-string", ".apply("),
        ("str", ".apply(str)"),
        ("int", ".apply(int)"),
        ("hash", ".apply("),
        ("private attribute", "_secret"),
    ],
)
def test_the_advice_is_the_line_to_write_instead(what, advice):
    with GraphNode(name="g"):
        a = const("a")
        with pytest.raises(Exception) as caught:
            REFUSED[what](a["v"])
    assert advice in str(caught.value), str(caught.value)


def test_in_with_a_reference_on_the_left_is_not_silently_true():
    """`ref in [1, 2]` asks `1 == ref`, which is recorded and has no truth: it must raise."""
    with GraphNode(name="g"):
        a = const("a")
        with pytest.raises(HushError):
            a["v"] in [1, 2]


def test_a_reference_may_be_shown_without_harm():
    with GraphNode(name="g"):
        a = const("a")
    assert "a" in repr(a["v"]["k"].lower())
    assert "lower" in repr(a["v"]["k"].lower())


def test_parent_is_recorded_alike():
    with GraphNode(name="g") as graph:
        CodeNode(
            name="n",
            code_fn=lambda x, y: {"got": (x, y)},
            inputs={"x": PARENT["d"]["k"].upper() + PARENT["t"], "y": (PARENT["n"] > 1) & ~(PARENT["n"] == 3)},
            outputs=PARENT,
        )
    assert result_of(graph, {"d": {"k": "a"}, "t": "!", "n": 2}) == {"got": ("A!", True)}


def test_operands_of_several_nodes_order_the_reader_after_all_of_them():
    with GraphNode(name="g") as graph:
        a, b, c = const("a", 2), const("b", 3), const("c", 4)
        CodeNode(name="n", code_fn=lambda x: {"got": x}, inputs={"x": a["v"] * b["v"] + c["v"]}, outputs=PARENT)
    assert result_of(graph) == {"got": 10}


def test_operands_of_another_graph_are_an_error():
    with GraphNode(name="other"):
        stranger = const("stranger", 2)
    with GraphNode(name="g") as graph:
        a = const("a", 2)
        CodeNode(name="n", code_fn=lambda x: {"got": x}, inputs={"x": a["v"] + stranger["v"]}, outputs=PARENT)
    with pytest.raises(GraphError, match="stranger"):
        Hush(graph)


def test_what_reading_raises_fails_the_reader_and_says_what_was_read():
    with GraphNode(name="g") as graph:
        a = const("a", {"rows": []})
        CodeNode(name="n", code_fn=lambda x: {"got": x}, inputs={"x": a["v"]["rows"][3]}, outputs=PARENT)
    error = error_of(graph)
    assert isinstance(error, IndexError)
    assert error.hush.path == "g/n"
    assert any("[3]" in note for note in error.__notes__), error.__notes__


def test_a_key_that_was_not_returned_is_never_none_but_an_error_with_the_nearest():
    with GraphNode(name="g") as graph:
        a = CodeNode(name="a", code_fn=lambda: unknown(total=1, count=2), inputs={})
        CodeNode(name="n", code_fn=lambda x=0: {"got": x}, inputs={"x": a["totl"]}, outputs=PARENT)
    error = error_of(graph)
    assert isinstance(error, MissingKeyError)
    assert isinstance(error, KeyError)
    for word in ("a", "'totl'", "count", "total"):
        assert word in str(error).replace('"', "'"), str(error)


def test_a_deep_expression_is_read_without_recursion():
    with GraphNode(name="g") as graph:
        value = const("a", 0)["v"]
        for _ in range(5_000):
            value = value + 1
        CodeNode(name="n", code_fn=lambda x: {"got": x}, inputs={"x": value}, outputs=PARENT)
    assert result_of(graph) == {"got": 5_000}


def test_apply_takes_a_lambda_and_what_it_raises_is_raised():
    with GraphNode(name="g") as graph:
        a = const("a", 0)
        CodeNode(
            name="n",
            code_fn=lambda x: {"got": x},
            inputs={"x": a["v"].apply(lambda v, by: by / v, by=3)},
            outputs=PARENT,
        )
    error = error_of(graph)
    assert isinstance(error, ZeroDivisionError)
    assert error.hush.path == "g/n"


def test_apply_of_what_is_not_callable_raises_at_the_line():
    with GraphNode(name="g"):
        a = const("a")
        with pytest.raises(HushError, match="apply"):
            a["v"].apply(3)

"""Problems as records: all at once, in order, with all that is needed to mend them."""

from __future__ import annotations

import dataclasses

import pytest

from hush.core import PARENT, START, CodeNode, Each, GraphError, GraphNode, Hush, HushError, MapNode, Problem
from unit.checks.corpus import places


def one(x=0):
    return {"y": x}


def five_mistakes():
    with GraphNode(name="g") as g:
        a = CodeNode(name="a", code_fn=one, inputs={"z": 1})  # <-
        with GraphNode(name="inner"):
            CodeNode(name="b", code_fn=lambda left: {"sum": left})  # <-
            CodeNode(name="c", code_fn=one, inputs={"x": a["w"]})  # <-
        with MapNode(name="m", inputs={"i": PARENT["i"]}):  # <-
            CodeNode(name="d", code_fn=one, on_error="skip")  # <-
    return g


def test_all_problems_are_told_at_once():
    """One round of mending for one mistake at a time is what nobody wants."""
    graph = five_mistakes()
    with pytest.raises(GraphError) as caught:
        Hush(graph)
    problems = caught.value.problems
    assert {problem.path for problem in problems} == {"g/a", "g/inner/b", "g/inner/c", "g/m", "g/m/d"}
    assert {(problem.file, problem.line) for problem in problems} == places(five_mistakes)
    assert len(problems) == 5
    for problem in problems:
        assert str(problem) in str(caught.value)


def test_a_check_gives_the_same_problems_and_raises_nothing():
    graph = five_mistakes()
    with pytest.raises(GraphError) as caught:
        Hush(graph)
    assert graph.check() == list(caught.value.problems)
    assert graph.check() == graph.check()


def test_a_right_graph_has_no_problems():
    with GraphNode(name="g") as g:
        CodeNode(code_fn=one)
    assert g.check() == []


def test_a_problem_is_a_record_that_reads_as_one_text():
    (problem,) = [found for found in five_mistakes().check() if found.path == "g/a"]
    assert isinstance(problem, Problem)
    text = str(problem)
    for part in (problem.path, f"{problem.file}:{problem.line}", problem.message, problem.mend):
        assert part
        assert part in text
    with pytest.raises(dataclasses.FrozenInstanceError):
        problem.line = 1


def test_a_graph_error_says_which_graph_and_how_many():
    with pytest.raises(GraphError, match="'g' has 5 problems") as caught:
        Hush(five_mistakes())
    assert isinstance(caught.value, HushError)


def test_mistakes_of_one_node_are_all_told():
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=lambda left: {"sum": left}, inputs={"lfet": 1}, on_error="skip", timeout_s=0)
    assert len(g.check()) == 4


def test_one_mistake_is_told_once_however_many_nodes_stand_behind_it():
    """A cycle of fifty nodes, and a hundred behind it, are one problem."""
    with GraphNode(name="g") as g:
        nodes = [CodeNode(name=f"n{n}", code_fn=one) for n in range(50)]
        for first, then in zip(nodes, [*nodes[1:], nodes[0]], strict=True):
            first >> then
        last = nodes[0]
        for n in range(100):
            after = CodeNode(name=f"after{n}", code_fn=one)
            last >> after
            last = after
    (problem,) = g.check()
    assert "n0 >> n1" in problem.message


def test_a_cycle_of_two_levels_is_told_for_each():
    with GraphNode(name="g") as g:
        a, b = CodeNode(name="a", code_fn=one), CodeNode(name="b", code_fn=one)
        a >> b >> a
        with GraphNode(name="inner"):
            c, d = CodeNode(name="c", code_fn=one), CodeNode(name="d", code_fn=one)
            c >> d >> c
    assert len(g.check()) == 2


def test_two_cycles_of_one_graph_are_both_told():
    """Who mends the first should not meet the second."""
    with GraphNode(name="g") as g:
        for names in ("ab", "cd"):
            first, then = (CodeNode(name=name, code_fn=one) for name in names)
            first >> then >> first
    messages = " ".join(problem.message for problem in g.check())
    assert all(name in messages for name in ("a >> b", "b >> a", "c >> d", "d >> c"))


def test_every_unreachable_start_is_told():
    with GraphNode(name="g") as g:
        START >> CodeNode(name="a", code_fn=one)
        for name in "bcd":
            CodeNode(name=name, code_fn=one)
    assert sorted(problem.mend.split()[-1] for problem in g.check()) == ["b", "c", "d"]


def test_a_file_and_line_are_the_users_also_through_a_function_that_makes_nodes():
    """It is the line that made the node, in whichever file."""

    def make():
        return CodeNode(name="n", code_fn=one, inputs={"z": 1})  # <-

    with GraphNode(name="g") as g:
        make()
    (problem,) = g.check()
    assert (problem.file, problem.line) in places(make)


def test_a_misspelt_key_is_told_where_it_is_read_not_where_the_node_is_made():
    def read(source):
        key = source["z"]  # <-
        return CodeNode(
            name="n",
            code_fn=one,
            inputs={"x": key},
        )

    with GraphNode(name="g") as g:
        read(CodeNode(name="source", code_fn=one))
    (problem,) = g.check()
    assert (problem.file, problem.line) in places(read)


def test_checking_calls_no_function():
    """Not even a cheap one, nor a default, nor what an expression would do."""
    called = []

    def fn(x):
        called.append(x)
        return {"y": x}

    with GraphNode(name="g") as g:
        n = CodeNode(name="n", code_fn=fn, inputs={"x": 1})
        n["y"].apply(called.append) >> PARENT["y"]
        with MapNode(name="m", inputs={"i": Each(called)}):
            CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["i"]})
    assert g.check() == []
    Hush(g)
    assert called == []


def test_checking_pulls_nothing_from_a_source():
    def rows():
        raise AssertionError("pulled")
        yield

    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each(rows())}):
        CodeNode(name="n", code_fn=one, inputs={"x": PARENT["i"]})
    assert g.check() == []
    Hush(g)


def test_a_graph_may_be_checked_while_a_part_of_it_is_wrong_and_its_parts_too():
    """`check` of a nested graph tells of that graph."""
    with GraphNode(name="g") as g:
        CodeNode(name="a", code_fn=one, inputs={"z": 1})
        with GraphNode(name="inner") as inner:
            CodeNode(name="b", code_fn=one, inputs={"w": 1})
    assert [problem.path for problem in g.check()] == ["g/a", "g/inner/b"]
    assert [problem.path for problem in inner.check()] == ["inner/b"]

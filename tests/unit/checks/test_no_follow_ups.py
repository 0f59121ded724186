"""One mistake is one problem, whatever else would follow from it; several mistakes are told together, once each."""

from __future__ import annotations

import pytest

from hush.core import (
    END,
    PARENT,
    START,
    Branch,
    BranchNode,
    CodeNode,
    Each,
    GraphError,
    GraphNode,
    Hush,
    MapNode,
    WhileLoopNode,
    code_node,
)
from unit.checks.corpus import Mistakes, places

mistakes = Mistakes()


@pytest.mark.parametrize("mistake", mistakes, ids=str)
def test_what_follows_from_a_mistake_is_not_told_besides(mistake):
    mistake.must_be_found()


@code_node
def one(x=0):
    return {"y": x}


@code_node
def need(x):
    return {"y": x}


SCORE = {"score": PARENT["score"]}


@mistakes.plant("g/route", says=("'hihg'",), mend=("'high'",), target="high")
def a_misspelt_target_that_start_does_not_reach_then(target="hihg"):
    with GraphNode(name="g") as g:
        branch = BranchNode(name="route", cases={"score > 9": target}, default="low", inputs=SCORE)  # <-
        one(name="high")
        one(name="low")
        START >> branch
    return g


@mistakes.plant("g/route", says=("'hihg'",), mend=("'high'",), target="high")
def a_misspelt_target_that_lies_on_no_arm_then(target="hihg"):
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"score > 9": target}, default="low", inputs=SCORE)  # <-
        one(name="high", outputs=PARENT)
        one(name="low", outputs=PARENT)
    return g


@mistakes.plant("g/route", says=("'lwo'",), mend=("'low'",), target="low")
def a_misspelt_default_before_a_join(target="lwo"):
    with GraphNode(name="g") as g:
        branch = BranchNode(name="route", cases={"score > 9": "high"}, default=target, inputs=SCORE)  # <-
        high, low = one(name="high", outputs=PARENT), one(name="low", outputs=PARENT)
        [high, low] >> one(name="join", inputs={"x": PARENT["y"]})
        START >> branch
    return g


@mistakes.plant("g/route", says=("score = 90",), mend=("==",), sign="==")
def a_condition_that_cannot_be_read_and_its_target(sign="="):
    with GraphNode(name="g") as g:
        branch = BranchNode(name="route", cases={f"score {sign} 90": "high"}, default="low", inputs=SCORE)  # <-
        one(name="high", outputs=PARENT)
        one(name="low", outputs=PARENT)
        START >> branch
    return g


@mistakes.plant("g/route", says=("'score'",), mend=("inputs=",), inputs=SCORE)
def several_conditions_over_one_name_that_is_not_given(inputs=None):
    with GraphNode(name="g") as g:
        cases = {"score > 9": "a", "score > 8": "b", "score > 7": "c"}
        BranchNode(name="route", cases=cases, default=END, inputs=inputs)  # <-
        for name in "abc":
            one(name=name)
    return g


@mistakes.plant("g/inner/a", says=('PARENT["k"]', "inner"), mend=('inputs={"k"',), inputs={"k": 1})
def several_readers_of_a_key_that_is_not_given(inputs=None):
    with GraphNode(name="g") as g, GraphNode(name="inner", inputs=inputs):
        need(name="a", inputs={"x": PARENT["k"]})  # <-
        need(name="b", inputs={"x": PARENT["k"]})
        need(name="c", inputs={"x": PARENT["k"]})
    return g


@mistakes.plant("g", "g/inner", says=("n", "inner"), mend=("START >> inner",), right=True)
def an_edge_from_start_into_a_container(right=False):
    with GraphNode(name="g") as g:
        with GraphNode(name="inner") as inner:
            n = one(name="n")
        START >> (inner if right else n)  # <-
    return g


@mistakes.plant("g", "g/inner", says=("n", "inner"), mend=("a >> inner",), right=True)
def an_edge_into_a_container_that_start_reaches_no_other_way(right=False):
    with GraphNode(name="g") as g:
        a = one(name="a")
        with GraphNode(name="inner") as inner:
            n = one(name="n")
        START >> a >> (inner if right else n)  # <-
    return g


@mistakes.plant("g", says=("n", "m"), mend=("inner >> other",), right=True)
def an_edge_between_nodes_of_two_containers(right=False):
    with GraphNode(name="g") as g:
        with GraphNode(name="inner") as inner:
            n = one(name="n")
        with GraphNode(name="other") as other, GraphNode(name="deep"):
            m = one(name="m")
        if right:
            inner >> other
        else:
            n >> m  # <-
        START >> inner
    return g


@mistakes.plant("g/other", says=("n", "m"), mend=("inner >> other", "after its with block"))
def an_edge_from_one_container_into_the_one_being_written():
    with GraphNode(name="g") as g:
        with GraphNode(name="inner") as inner:
            n = one(name="n")
        START >> inner
        with GraphNode(name="other"):
            m = one(name="m")
            n >> m  # <-
    return g


@mistakes.plant("g/inner", says=("n", "inner"), mend=("START and END",))
def an_edge_to_the_container_being_written():
    with GraphNode(name="g") as g, GraphNode(name="inner") as inner:
        n = one(name="n")
        n >> inner  # <-
    return g


@mistakes.plant("g/inner", "g", says=("n", "inner"), mend=("inner >> END",), right=True)
def an_edge_to_end_from_inside_a_container(right=False):
    with GraphNode(name="g") as g:
        with GraphNode(name="inner") as inner:
            n = one(name="n")
        (inner if right else n) >> END  # <-
    return g


@mistakes.plant("g", says=("n", "inner"), mend=("'inner'",))
def a_key_written_outside_the_block_of_its_container():
    with GraphNode(name="g") as g:
        with GraphNode(name="inner"):
            n = one(name="n")
        n["y"] >> PARENT["y"]  # <-
    return g


@mistakes.plant("g/m", "g", says=("n", "m"), mend=("m >> a",))
def an_edge_out_of_a_container_that_start_reaches_no_other_way():
    with GraphNode(name="g") as g:
        a = one(name="a")
        with MapNode(name="m", inputs={"i": Each([1])}) as m:
            n = one(name="n")
            n >> a  # <-
        START >> m
    return g


@mistakes.plant("g/n", says=("other",), mend=('other: inputs={"x": n["y"]}',), right=True)
def a_value_written_to_the_node_that_needs_it(right=False):
    with GraphNode(name="g") as g:
        n = one(name="n")
        other = need(name="other", inputs={"x": n["y"]} if right else None)
        if not right:
            n["y"] >> other["x"]  # <-
        START >> n
    return g


@mistakes.plant("g/n", says=("*", "PARENT"), mend=("{'*': PARENT}",), source=PARENT)
def a_star_of_a_literal_before_required_parameters(source=5):
    with GraphNode(name="g") as g:
        need(name="n", inputs={"*": source})  # <-
    return g


@mistakes.plant("g/n", says=("generator",), mend=('{"rows": generator}',))
def a_generator_function_whose_rows_are_read():
    def rows():
        yield 1

    with GraphNode(name="g") as g:
        n = CodeNode(name="n", code_fn=rows)  # <-
        need(name="b", inputs={"x": n["rows"]})
    return g


@mistakes.plant("g/n", says=("5", "code_fn"))
def what_is_not_callable_and_is_read():
    with GraphNode(name="g") as g:
        n = CodeNode(name="n", code_fn=5, outputs={"y": PARENT})  # <-
        need(name="b", inputs={"x": n["y"]})
    return g


@mistakes.plant("g/inner", says=("inner", "no nodes"))
def an_empty_graph_whose_output_is_read():
    with GraphNode(name="g") as g:
        with GraphNode(name="inner") as inner:  # <-
            pass
        need(name="b", inputs={"x": inner["y"]})
    return g


@mistakes.plant("g/m", says=("Each",), mend=("Each(",), source=Each([1]))
def a_map_without_inputs_whose_item_is_read(source=None):
    with GraphNode(name="g") as g, MapNode(name="m", inputs=source and {"item": source}):  # <-
        need(name="n", inputs={"x": PARENT["item"]})
    return g


@mistakes.plant("g/n", says=("Each", "x"))
def each_before_a_required_parameter():
    with GraphNode(name="g") as g:
        a = one(name="a")
        need(name="n", inputs={"x": Each(a["y"])})  # <-
        START >> a
    return g


@mistakes.plant("g/inner", says=("a", "b", ">>"))
def a_cycle_through_which_a_key_is_passed():
    with GraphNode(name="g") as g, GraphNode(name="inner"):
        a = one(name="a", outputs={"y": PARENT["k"]})  # <-
        b = need(name="b", inputs={"x": PARENT["k"]})  # <-
        a >> b >> a
    return g


@mistakes.plant("g", says=("a", "b", ">>"))
def a_cycle_of_writers_behind_start():
    with GraphNode(name="g") as g:
        a = one(name="a", outputs=PARENT)  # <-
        b = one(name="b", outputs=PARENT)  # <-
        first = one(name="first")
        START >> first >> a >> b >> a
    return g


@mistakes.plant("g/loop", says=("cuont", "count"), mend=("'count'",), name="count")
def a_condition_over_a_misspelt_variable_of_a_star(name="cuont"):
    with (
        GraphNode(name="g") as g,
        WhileLoopNode(name="loop", inputs={"count": 0}, stop_condition=f"{name} > 1 and {name} < 9"),  # <-
    ):
        step = need(name="step", inputs={"x": PARENT["count"] + 1})
        step["y"] >> PARENT["count"]
    return g


@mistakes.plant("g/b", says=("n", "inner"), mend=('inner["y"]',))
def a_reference_into_a_container_that_start_reaches():
    with GraphNode(name="g") as g:
        with GraphNode(name="inner") as inner:
            n = one(name="n", outputs={"y": PARENT})
        need(name="b", inputs={"x": n["y"]})  # <-
        START >> inner
    return g


@mistakes.plant("g/b", says=("n", "inner"), mend=('inner["y"]',), right=True)
def a_reference_into_a_container_that_hands_everything_out(right=False):
    with GraphNode(name="g") as g:
        with GraphNode(name="inner") as inner:
            n = one(name="n", outputs=PARENT)
        need(name="b", inputs={"x": (inner if right else n)["y"]})  # <-
    return g


@mistakes.plant(
    "g/b",
    says=("n", "inner"),
    mend=('n["y"] >> PARENT["y"] inside \'deep\', deep["y"] >> PARENT["y"] inside \'inner\'',),
    right=True,
)
def a_reference_into_a_container_of_a_container(right=False):
    with GraphNode(name="g") as g:
        with GraphNode(name="inner") as inner:
            with GraphNode(name="deep") as deep:
                n = one(name="n")
                if right:
                    n["y"] >> PARENT["y"]
            if right:
                deep["y"] >> PARENT["y"]
        need(name="b", inputs={"x": (inner if right else n)["y"]})  # <-
    return g


@mistakes.plant("g/m/b", says=("n", "inner"), mend=('inner["y"]',))
def a_reference_from_one_container_into_another():
    with GraphNode(name="g") as g:
        with GraphNode(name="inner") as inner:
            n = one(name="n", outputs={"y": PARENT})
        START >> inner
        with MapNode(name="m", inputs={"i": Each([1])}):
            need(name="b", inputs={"x": n["y"]})  # <-
    return g


# --- several -----------------------------------------------------------------------------------------------------


def seven_mistakes():
    with GraphNode(name="g") as g:
        a = one(name="a")
        Branch("route").if_(a["z"] > 1, "hihg").otherwise("low")  # <-
        one(name="high", outputs=PARENT)
        one(name="low", outputs=PARENT)
        with WhileLoopNode(name="loop", inputs={"n": 0}, stop_condition="m > 3", max_iterations=0):  # <-
            need(name="step", inputs={"x": PARENT["n"]})["y"] >> PARENT["n"]
        with MapNode(name="m", inputs={"i": Each([1])}, batch=0, on_error="skip"):  # <-
            need(name="n")  # <-
    return g


def test_several_mistakes_are_told_together_once_each():
    problems = seven_mistakes().check()
    assert [problem.path for problem in problems] == [
        "g/route",
        "g/route",
        "g/loop",
        "g/loop",
        "g/m",
        "g/m",
        "g/m/n",
    ], "\n".join(map(str, problems))
    assert {(problem.file, problem.line) for problem in problems} == places(seven_mistakes)
    assert len({problem.message for problem in problems}) == len(problems)
    with pytest.raises(GraphError, match="7 problems") as caught:
        Hush(seven_mistakes())
    assert [problem.message for problem in caught.value.problems] == [problem.message for problem in problems]

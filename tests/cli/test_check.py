"""``hush check`` and ``hush graph``: what is wrong with a graph, and how it looks; nothing of it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.command import hush

EXAMPLES = Path(__file__).parents[2] / "examples"
WRONG = """\
from hush.core import *

def two(a, b):
    raise AssertionError("nothing runs")

with GraphNode(name="g") as graph:
    one = CodeNode(name="one", code_fn=two, inputs={"a": 1})
    CodeNode(name="late", code_fn=two, inputs={"a": one["x"], "b": 2, "c": 3}, limit="crm")
"""


def test_all_problems_are_listed_with_file_and_line(write):
    write(text=WRONG)
    ran = hush("check", "graph.py")
    assert ran.code == 4
    assert "graph.py:7: g/one: " in ran.out
    assert "graph.py:8: g/late: " in ran.out
    assert ran.out.endswith("graph.py:graph: 2 problems\n")
    assert "there is no file of resources" in ran.err


def test_problems_as_json(write):
    write(text=WRONG)
    ran = hush("check", "graph.py", "--json")
    assert ran.code == 4
    assert (ran.data["graph"], ran.data["count"]) == ("graph.py:graph", 2)
    assert [(one["path"], one["line"]) for one in ran.data["problems"]] == [("g/one", 7), ("g/late", 8)]
    assert set(ran.data["problems"][0]) == {"path", "file", "line", "column", "message", "mend"}


def test_names_are_looked_up_where_there_is_a_file_of_resources(write):
    write(text=WRONG)
    write("resources.yaml", "limit:crm: {concurrency: many}\nlimit:other: {concurrency: none}\n")
    ran = hush("check", "graph.py")
    assert ran.code == 4
    assert "resources.yaml:1" in ran.out
    assert "limit:other" not in ran.out
    assert ran.out.endswith("3 problems\n")
    assert hush("check", "graph.py", "--skip-resources").out.endswith("2 problems\n")
    write("other.yaml", "limit:crm: {concurrency: 2}\n")
    assert hush("check", "graph.py", "--resources", "other.yaml").out.endswith("2 problems\n")
    assert hush("check", "graph.py", "--resources", "gone.yaml").code == 2


def test_what_is_found_while_the_graph_is_written_is_a_problem_too(write):
    write(
        text="""\
            from hush.core import *
            with GraphNode(name="g") as graph:
                CodeNode(name="n", code_fn=dict, timout_s=3)
            """
    )
    ran = hush("check", "graph.py")
    assert ran.code == 4
    assert ran.out.startswith("graph.py:3: ")
    assert ran.out.endswith("graph.py: 1 problem\n")
    write("engine.py", WRONG + "engine = Hush(graph, limits={'crm': Limit(concurrency=1)})\n")
    ran = hush("check", "engine.py", "--json")
    assert (ran.code, ran.data["count"]) == (4, 2)


def test_a_right_graph_has_none(write):
    write()
    assert hush("check", "graph.py", "--json").data == {"graph": "graph.py:graph", "count": 0, "problems": []}
    assert hush("check", "graph.py").code == 0


# --- drawings ---------------------------------------------------------------------------------------------------------
def test_a_graph_is_drawn_as_text_mermaid_and_svg(write, folder):
    write()
    assert "double" in hush("graph", "graph.py").out
    assert hush("graph", "graph.py", "--format", "mermaid").out.startswith("flowchart")
    ran = hush("graph", "graph.py", "-o", "g.svg")
    assert (ran.code, ran.out, ran.err) == (0, "", "hush: written to g.svg\n")
    assert "<svg" in (folder / "g.svg").read_text(encoding="utf-8")
    assert hush("graph", "graph.py", "--output", "g.mmd").code == 0
    assert (folder / "g.mmd").read_text(encoding="utf-8").startswith("flowchart")
    assert hush("graph", "graph.py", "--output", "no/such/g.txt").code == 2


def test_a_file_whose_name_says_no_form_is_not_filled_with_text(write, folder):
    """A drawing as text was written into x.png, and said to be written."""
    write()
    ran = hush("graph", "graph.py", "-o", "x.png")
    assert (ran.code, ran.out) == (2, "")
    assert "--output x.png: no drawing ends with .png; name it with one of .svg, .mmd, .mermaid, .txt" in ran.err
    assert not (folder / "x.png").exists()
    assert hush("graph", "graph.py", "-o", "x.md", "--format", "mermaid").code == 0
    assert hush("graph", "graph.py", "-o", "drawing").code == 0


def test_a_faulty_graph_can_be_drawn(write):
    write(text=WRONG)
    assert hush("graph", "graph.py").code == 0


@pytest.mark.parametrize("form", ["png", ""])
def test_a_form_that_there_is_not_is_told(write, form):
    write()
    ran = hush("graph", "graph.py", "--format", form)
    assert ran.code == 2
    assert "mermaid" in ran.err


@pytest.mark.parametrize("name", ["etl", "fan_out", "streaming_maps", "branches_and_loops"])
def test_examples_can_be_checked_and_drawn(name):
    path = str(EXAMPLES / f"{name}.py")
    assert hush("check", path) == (0, f"{path}:graph: no problems\n", "")
    assert hush("graph", path).code == 0


def test_a_word_too_many_is_named(write):
    write()
    ran = hush("check", "graph.py", "other.py", "third.py")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "hush: hush check does not take other.py third.py\nhush: `hush check --help` says what there is\n"

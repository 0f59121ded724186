"""Drawings as text: what a terminal shows of graphs of every kind, line by line."""

from __future__ import annotations

import pytest

from hush.core import END, PARENT, START, CodeNode, Each, ForLoopNode, GraphNode, MapNode, Retry, UsageError
from hush.core._spec._render_text import columns
from unit.drawing.pictures import ALL, Shown, chain, crawl, diamond, fan, step, triage

GOLDEN = {
    "chain": """\
chain  graph
┃ a
┃ b
┃ c
""",
    "diamond": """\
diamond  graph
┃ a
┃ ┌ b
┃ └ c
┃ d
""",
    "two_chains": """\
two_chains  graph
┃ split
┃ ┌ left_0
┃ │ left_1
┃ │ left_2
┃ └ right_0
┃   right_1
┃ join
""",
    "woven": """\
woven  graph
┃ ┊ a
┃ ┊ b
┃ ┊ c
┃ ┊ d  after a, b
┃ ┊ e  after b, c
┃ f    after d, e, a
""",
    "nested": """\
nested    graph · takes text · gives answer
┃ prepare
┃ inner   graph
┃ ┃ ┌ one
┃ ┃ └ two
┃ ┃ deep  graph
┃ ┃ ┃ leaf
┃ finish
""",
    "crawl": """\
crawl      graph · gives stored
┃ list_urls
┃ fetch    map · 20 at a time · collects · 5 s an item · reads list_urls
┃ ┃ each url ← list_urls["rows"]
┃ ┃ get
┃ ┃ parts  map · 4 at a time · stops at a failure · reads get
┃ ┃ ┃ each part ← get["rows"]
┃ ┃ ┃ parse
┃ clean    map · 16 at a time · lists of 50 · tolerates 10 % failed ·
┃ ┃        reads list_urls
┃ ┃ each row ← fetch["rows"]
┃ ┃ stream: starts with the first of fetch
┃ ┃ tidy
┃ store    reads clean, fetch
""",
    "triage": """\
triage        graph · takes text · gives result
┃ score
┃ ┌ route     branch
┃ │   if score >= 90 → high
┃ │   if score >= 50 and 'x' in text → middle
┃ │   if score < 0 → END
┃ │   else → low
┃ │ ┌ high    arm of route
┃ │ │ high_more
┃ │ ├ middle  arm of route
┃ │ └ low     arm of route
┃ └ watch
┃ join        after high_more, middle, low, ~watch
""",
    "refine": """\
refine     graph · takes topic · gives url
┃ draft
┃ improve  while · until quality >= 0.9 · at most 5 rounds, then goes on
┃ ┃ edit
┃ ┃ rate
┃ publish
""",
    "fan": """\
fan                 graph
┃ split
┃ work_0 … work_29  30 alike, side by side
┃ join
""",
}


@pytest.mark.parametrize("name", ALL)
def test_a_graph_is_drawn_as_it_always_was(name):
    assert Shown(ALL[name]()).to_text(width=80) + "\n" == GOLDEN[name]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("width", [20, 40, 60])
def test_no_line_is_wider_than_asked(name, width):
    assert max(map(columns, Shown(ALL[name]()).to_text(width=width).split("\n"))) <= width


@pytest.mark.parametrize("name", ALL)
def test_with_ascii_alone_nothing_else_is_drawn(name):
    text = Shown(ALL[name]()).to_text(ascii_only=True, fold=None)
    assert text.isascii()
    assert text.count("\n") == Shown(ALL[name]()).to_text(fold=None).count("\n")


def test_words_that_do_not_fit_go_on_below():
    lines = Shown(crawl()).to_text(width=50).split("\n")
    assert lines[2:5] == [
        "┃ fetch    map · 20 at a time · collects ·",
        "┃ ┃        5 s an item · reads list_urls",
        '┃ ┃ each url ← list_urls["rows"]',
    ]


def test_what_streams_is_told_from_what_is_a_barrier():
    text = Shown(crawl(waits=True)).to_text()
    assert "barrier: waits for all of fetch" in text
    assert "stream" not in text


def test_alike_nodes_are_folded_and_counted_from_the_number_asked():
    assert Shown(fan(5)).to_text(fold=4).split("\n")[2] == "┃ work_0 … work_4  5 alike, side by side"
    assert Shown(fan(5)).to_text(fold=5).count("work_") == 5
    assert Shown(fan(50)).to_text(fold=None).count("work_") == 50


def test_nodes_that_come_before_something_else_are_not_folded():
    with GraphNode(name="g") as graph:
        split, join, other = step("split"), step("join"), step("other")
        works = [step(f"work_{number}") for number in range(10)]
        split >> works >> join
        works[3] >> other
    assert "9 alike" in Shown(graph).to_text(fold=5)
    assert "┊ work_3" in Shown(graph).to_text(fold=5)


def test_a_reference_alone_is_told_from_an_edge():
    with GraphNode(name="g") as graph:
        a = step("a")
        b = step("b", x=a["x"])
        b >> step("c", x=b["x"])
    assert Shown(graph).to_text() == "g    graph\n┃ a\n┃ b  reads a\n┃ c"


def test_many_names_are_counted():
    with GraphNode(name="g") as graph:
        works = [step(f"w{number}") for number in range(9)]
        step("sum", **{f"x{n}": work["x"] for n, work in enumerate(works)})
    assert "reads w0, w1, w2, w3, w4 and 4 more" in Shown(graph).to_text()


def test_a_node_that_start_leads_to_beside_others_says_so():
    with GraphNode(name="g") as graph:
        a, b = step("a"), step("b")
        START >> [a, b]
        a >> b
    assert Shown(graph).to_text().split("\n")[2] == "┃ b  after START"


def test_how_nodes_run_is_told():
    with GraphNode(name="g") as graph:
        CodeNode(name="a", code_fn=dict, executor="thread", timeout_s=2.5, on_error="collect")
        with ForLoopNode(name="b", inputs={"x": Each([1, 2]), "y": Each(range(2))}, first=3, timeout_s=60):
            step("c")
        with MapNode(name="d", inputs={"x": Each({"k": 1}.values())}):
            step("e")
    assert Shown(graph).to_text().split("\n")[1:] == [
        "┃ ┌ a  in a thread · timeout 2.5 s · goes on if it fails",
        "┃ ├ b  for · one at a time · only the first 3 · stops at a failure · timeout 60 s",
        "┃ │ ┃ each x ← a list of 2",
        "┃ │ ┃ each y ← range(0, 2)",
        "┃ │ ┃ c",
        "┃ └ d  map · 16 at a time · collects",
        "┃   ┃ each x ← a dict_values",
        "┃   ┃ e",
    ]


def test_how_a_map_takes_its_items_is_told():
    with MapNode(name="m", inputs={"x": Each([])}, batch=9, batch_wait_s=0.5, window=4, ordered=False) as root:
        step("a", x=PARENT["x"])
    first = Shown(root).to_text().split("\n")[0]
    assert first == "m  map · 16 at a time · lists of 9, or of what 0.5 s bring · window 4 · in any order · collects"


def test_a_map_in_processes_is_told_from_others():
    with MapNode(name="m", inputs={"x": Each([])}, max_concurrency=3, executor="process") as root:
        step("a", x=PARENT["x"])
    assert Shown(root).to_text().split("\n")[0] == "m  map · 3 at a time · in processes · collects"


class Loud:
    def __repr__(self):
        raise AssertionError("a drawing asks no object of its user")


def test_no_value_is_shown_but_short_literals():
    with GraphNode(name="g") as graph:
        a = step("a")
        for name, source in (("b", [Loud()]), ("c", a["rows"].apply(len, Loud())), ("d", a["rows"][0])):
            with MapNode(name=name, inputs={"x": Each(source)}):
                step("inside")
    text = Shown(graph).to_text()
    assert "each x ← a list of 1" in text
    assert 'each x ← made from a["rows"]' in text
    assert 'each x ← a["rows"][0]' in text


def test_a_branch_without_a_default_says_what_happens():
    from hush.core import BranchNode

    with GraphNode(name="g") as graph:
        BranchNode(name="b", cases={"x > 1": "c"}, inputs={"x": PARENT["x"]})
        step("c")
    assert "else NoCaseMatched" in Shown(graph).to_text()


def test_a_map_or_a_node_can_be_drawn_by_itself():
    with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}) as root:
        step("a", x=PARENT["x"])
    assert Shown(root).to_text() == 'm  map · 16 at a time · collects\n┃ each x ← PARENT["xs"]\n┃ a'
    assert Shown(step("alone")).to_text() == "alone"


def test_faulty_graphs_are_drawn_as_far_as_they_go():
    with GraphNode(name="g") as graph:
        a, b, c = step("a"), step("b"), step("c")
        a >> b >> a
        b >> c >> END
        with GraphNode(name="empty"):
            pass
    assert graph.check()
    assert Shown(graph).to_text().split("\n") == [
        "g          graph",
        "┃ ┌ a      after b",
        "┃ │ b",
        "┃ │ c",
        "┃ └ empty  graph",
        "┃   ┃ (empty)",
    ]


def test_what_a_root_gives_is_told_by_key_where_the_keys_are_known():
    """The first words that a newcomer sees of an example had been: gives every key."""
    with GraphNode(name="g") as graph:
        CodeNode(name="one", code_fn=lambda: {"b": 1, "a": 2}, outputs=PARENT)
        CodeNode(name="two", code_fn=dict, outputs=PARENT)["c"] >> PARENT["d"]
    assert Shown(graph).to_text().split("\n")[0] == "g  graph · gives a, b, all of two, d"


def test_deep_blocks_become_weaves_instead_of_a_staircase():
    with GraphNode(name="g") as graph:
        last = step("n0")
        for number in range(1, 60):
            here, beside = step(f"n{number}"), step(f"m{number}")
            last >> [here, beside]
            last = here
    text = Shown(graph).to_text(width=None)
    assert max(map(len, text.split("\n"))) < 60
    assert text.count("\n") == 119


def test_wide_letters_take_two_columns():
    with GraphNode(name="g") as graph:
        step("翻訳", x=step("tải_về")["x"])
    first, second = Shown(graph).to_text().split("\n")[1:]
    assert columns(second.partition("reads")[0]) == columns("┃ tải_về  ") - 2
    assert first == "┃ tải_về"


@pytest.mark.parametrize(
    "wrong", [{"width": 5}, {"width": "80"}, {"width": True}, {"fold": 0}, {"fold": True}, {"fold": 1.5}]
)
def test_wrong_arguments_are_told_at_the_line(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Shown(chain()).to_text(**wrong)


def test_the_same_graph_gives_the_same_text():
    assert Shown(triage()).to_text() == Shown(triage()).to_text()
    assert Shown(diamond()).to_text() == Shown(diamond()).to_text()


def test_the_attempts_of_a_node_are_told():
    with GraphNode(name="g") as graph:
        CodeNode(name="often", code_fn=step, inputs={}, retry=Retry(max_attempts=7), timeout_s=2)
        CodeNode(name="once", code_fn=step, inputs={}, retry=Retry(max_attempts=1))
    often, once = graph.to_text().splitlines()[1:]
    assert often.endswith("up to 7 attempts · timeout 2 s")
    assert "attempt" not in once

"""Runs that make spans faster than these are exported: items that ended well are left out by rule, and nothing else."""

from __future__ import annotations

import random
import re
from collections import Counter
from contextlib import nullcontext
from threading import Condition
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hush.cli._timeline import UNICODE
from hush.cli._tree import Tree as Drawn
from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, WhileLoopNode
from hush.core.events import (
    ItemFinished,
    MapStarted,
    NodeAnswered,
    NodeCalled,
    NodeFinished,
    NodeRan,
    NodeRetrying,
    NodeStarted,
    RunStarted,
)
from hush.observability._bounds import PREVIEW
from hush.observability._pending import Pending
from hush.observability._recorder import SLICE, RunRecorder
from hush.observability._sampling import Sampling
from hush.observability._span import Failure, Generation, Span
from hush.observability._tree import Tree
from hush.testing import run_virtual
from kit.sinks import Sink
from kit.tiers import every_change


class Slow(Sink):
    """A pipeline whose exporter takes now and then some of what waits."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.pending = Pending(Condition(), most)
        self.highest = 0

    def take(self, spans: list[Span], run: str, /) -> int:
        dropped = self.pending.take(spans)
        self.highest = max(self.highest, len(self.pending))
        return dropped

    def crowd(self, held: int, /) -> tuple[int, int]:
        return self.pending.crowd(held)

    def export(self, most: int) -> None:
        taken = self.pending.first(most)
        self.spans += taken
        self.pending.done(len(taken), len(taken))


class _Of:
    """Hands the engine a recorder."""

    def __init__(self, recorder: RunRecorder) -> None:
        self.for_run = lambda: recorder
        self.emit = recorder.emit


class Crowded:
    """A run whose exporter takes ``share`` of what it makes; ``seed`` says when."""

    def __init__(self, graph: GraphNode, most: int, share: float, seed: int = 0, **sampling: Any) -> None:
        self.sink = sink = Slow(most)
        self.recorder = recorder = RunRecorder(sink, PREVIEW, Sampling(**sampling), (), None)
        run_virtual(lambda: Hush(graph).run({}, tracer=_Of(recorder)))
        rng = random.Random(seed)
        while recorder.fold(rng.randrange(1, SLICE)):
            sink.export(int(rng.random() * 2 * share * SLICE))
        sink.export(10**9)
        self.spans = sink.spans
        self.record = recorder.tree.record()
        self.dropped = sink.pending.dropped

    def hold(self) -> None:
        """What holds of every run."""
        tree = self.recorder.tree
        assert tree.produced == len(self.spans) + tree.left_out + self.dropped
        assert self.dropped == tree.dropped
        assert self.sink.highest <= 2 * self.sink.pending.most
        assert tree.crowding.held == 0
        assert self.sink.crowd(0)[0] == 0
        assert len({span.id for span in self.spans}) == len(self.spans)


def add(x: int, k: int) -> dict[str, int]:
    return {"x": x + k}


def chain(nodes: int, before: Any) -> Any:
    """Nodes one after the other."""
    for number in range(nodes):
        before = CodeNode(name=f"n{number}", code_fn=add, inputs={"x": before["x"], "k": 1}, executor="inline")
    return before


def mapped(items: int, nodes: int, failing: set[int], inner: int = 0) -> GraphNode:
    """A map whose items are so many nodes, and a map in them; the last node fails for some."""

    def last(x: int) -> dict[str, int]:
        if x - nodes in failing:
            raise ValueError(f"item {x - nodes}")
        return {"y": x}

    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(range(items))}):
        before = chain(nodes, PARENT)
        if inner:
            with MapNode(name="inside", inputs={"x": Each(range(inner))}) as inside:
                CodeNode(name="n", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]}, executor="inline")
            before >> inside
        end = CodeNode(name="last", code_fn=last, inputs={"x": before["x"]}, outputs=PARENT, executor="inline")
        if inner:
            inside >> end
    return graph


@settings(every_change, max_examples=60)
@given(
    st.integers(1, 60),
    st.integers(1, 12),
    st.integers(0, 5),
    st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    st.sampled_from([0.0, 0.3, 2.0]),
    st.sampled_from([30, 100, 400]),
    st.integers(0, 1 << 20),
)
def test_what_failed_is_there_with_all_that_led_to_it_or_says_what_is_not(
    items, nodes, inner, fails, share, most, seed
):
    failing = {item for item in range(items) if random.Random(seed + item).random() < fails}
    run = Crowded(mapped(items, nodes, failing, inner), most, share, seed)
    run.hold()
    size = nodes + 2 + (1 + 2 * inner if inner else 0)
    inside = Counter(span.items[0] for span in run.spans if span.items)
    failed = [span for span in run.spans if span.kind == "item" and span.status == "failed" and len(span.items) == 1]
    if run.dropped == 0:
        assert {span.items[0] for span in failed} == failing
        for span in failed:
            here = inside[span.items[0]] + (span.left_out or 0)
            maps = [
                one for one in run.spans if one.path == "g/m/inside" and one.kind == "map" and one.items == span.items
            ]
            if maps or not inner:
                assert here + 2 * sum(one.left_out or 0 for one in maps) == size
            else:
                assert span.left_out
                assert nodes + 2 < here <= size
        for span in run.spans:
            assert span.status != "ok" or span.kind != "item" or len(span.items) > 1 or not span.left_out
    # Of what ended well no more is kept than fits, so what failed has the other half to itself.
    if len(failing) * size + 2 * size + SLICE <= most // 2:
        assert run.dropped == 0
        assert not any(span.left_out for span in failed)
    totals = {one.path: (one.calls, one.failed) for one in run.record.totals}
    if run.record.left_out:
        assert totals["g/m/last"] == (items, len(failing))
        assert totals["g/m/n0"] == (items, 0)
        assert not inner or totals["g/m/inside/n"] == (items * inner, 0)


def test_a_thousand_items_of_sixty_nodes_lose_nothing_of_those_that_failed():
    failing = set(range(4, 1_000, 10))
    run = Crowded(mapped(1_000, 59, failing), 40_000, 0.2)
    run.hold()
    assert run.dropped == 0
    inside = Counter(span.items[0] for span in run.spans if span.items)
    assert {item for item in failing if inside[item] != 61} == set()
    assert set(inside.values()) == {61}  # whole, or not at all
    assert len(inside) > 300


def test_where_there_is_room_nothing_is_left_out():
    run = Crowded(mapped(300, 20, set()), 40_000, 0.5)
    run.hold()
    assert run.record.left_out == run.dropped == 0


def looped(rounds: int, nodes: int, failing: set[int] = frozenset()) -> GraphNode:  # type: ignore[assignment]
    """A loop whose rounds are so many nodes, one of which fails in some of them, and is handled."""

    def fail(x: int) -> dict[str, int]:
        if x in failing:
            raise ValueError(f"round {x}")
        return {}

    with GraphNode(name="g") as graph, WhileLoopNode(name="w", inputs={"x": 0}, max_iterations=rounds):
        before = CodeNode(name="fail", code_fn=fail, inputs={"x": PARENT["x"]}, on_error="collect", executor="inline")
        for number in range(nodes - 1):
            node = CodeNode(name=f"n{number}", code_fn=add, inputs={"x": PARENT["x"], "k": 1}, executor="inline")
            before >> node
            before = node
        before["x"] >> PARENT["x"]
    return graph


def plain(nodes: int, graphs: int, failing: set[int]) -> GraphNode:
    """So many nodes, and as many in each of some graphs, one after the other; those at some places fail, handled."""

    def fail() -> None:
        raise ValueError("no")

    with GraphNode(name="g") as graph:
        before: Any = None
        for name in ("", *(f"in{number}" for number in range(graphs))):
            with GraphNode(name=name) if name else nullcontext() as inside:
                last = before if inside is None else None
                for number in range(nodes):
                    fn = fail if number in failing else dict
                    node = CodeNode(name=f"n{number}", code_fn=fn, executor="inline", on_error="collect")
                    if last is not None:
                        last >> node
                    last = node
            if inside is not None and before is not None:
                before >> inside
            before = inside or last
    return graph


@settings(every_change, max_examples=60)
@given(
    st.integers(1, 120),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.05, 0.3]),
    st.sampled_from([0.0, 0.3, 2.0]),
    st.sampled_from([20, 100, 2_000]),
    st.integers(0, 1 << 20),
)
def test_of_calls_in_no_item_those_that_say_little_are_left_out_and_counted_where_they_were(
    nodes, graphs, fails, share, most, seed
):
    failing = {number for number in range(nodes) if random.Random(seed + number).random() < fails}
    run = Crowded(plain(nodes, graphs, failing), most, share, seed)
    run.hold()
    assert run.dropped == 0 or (1 + graphs) * (len(failing) + 1) > most
    if run.dropped:
        return
    inside = Counter(span.parent for span in run.spans)
    holders = [span for span in run.spans if span.kind in ("run", "graph")]
    assert len(holders) == 1 + graphs
    for span in holders:
        assert inside[span.id] + (span.left_out or 0) == nodes + graphs * (span.kind == "run")
    assert sum(span.left_out or 0 for span in holders) == run.record.left_out
    failed = Counter(span.parent for span in run.spans if span.status == "handled")
    assert all(failed[span.id] == len(failing) for span in holders)
    if run.record.left_out:
        calls = {one.path: (one.calls, one.failed) for one in run.record.totals if one.kind == "code"}
        assert calls == {
            f"g/{name}n{number}": (1, int(number in failing))
            for name in ("", *(f"in{number}/" for number in range(graphs)))
            for number in range(nodes)
        }
    drawn = Drawn(run.record, run.spans, run.record.ended_ns or 0, UNICODE, everything=True)
    said = [re.search(r"(\d+) more nodes? ok, left out", row.name) for row in drawn.rows()]
    assert sum(int(one[1]) for one in said if one) == run.record.left_out


def crowded_tree() -> Tree:
    """One for which there is hardly any room, in a run that has begun."""
    tree = Tree(Sampling())
    tree.feed(RunStarted("r", "g", None, 0, 10**18, kinds=dict.fromkeys(("g/a", "g/b", "g/c"), "code")))
    tree.crowding.most, tree.crowding.others = 10, 9
    return tree


def test_of_calls_in_no_item_the_slow_ones_are_kept_longest():
    """While there is room, those of a millisecond; later those that may have been told of as being under way."""
    for others, kept in ((4, "abc"), (5, "bc"), (9, "bc"), (10, "c"), (40, "c")):
        tree = crowded_tree()
        tree.crowding.others = others - 3
        for number, (path, took_ns) in enumerate((("g/a", 999_999), ("g/b", 1_000_000), ("g/c", 450_000_000)), 1):
            tree.feed(NodeStarted("r", path, None, 5, (), number))
            tree.feed(NodeFinished("r", path, None, 5 + took_ns))
        assert "".join(span.name for span in tree.take_ended(450_000_000)) == kept
        assert tree.left_out == 3 - len(kept)


@pytest.mark.parametrize("terse", [False, True])
def test_a_call_under_which_spans_of_yours_hang_is_kept_however_full_it_is(terse):
    tree = crowded_tree()
    tree.seen.add(2)
    for number, path in enumerate(("g/a", "g/b"), 1):
        if terse:
            tree.feed(NodeRan("r", path, None, 9, (), 5, 5, {}, {}, number))
        else:
            tree.feed(NodeStarted("r", path, None, 5, (), number))
            tree.feed(NodeFinished("r", path, None, 9))
    assert [span.name for span in tree.take_ended(450_000_000)] == ["b"]
    assert not tree.hung


def test_a_call_that_was_tried_again_or_asked_a_model_is_kept_however_full_it_is():
    tree = crowded_tree()
    for number, path in enumerate(("g/a", "g/b", "g/c"), 1):
        tree.feed(NodeStarted("r", path, None, 5, (), number))
    tree.feed(NodeRetrying("r", "g/a", None, 6, 1, Failure("OSError", "no"), 0.0))  # type: ignore[arg-type]
    tree.feed(NodeCalled("r", "g/a", None, 7, None, 2))
    tree.feed(NodeAnswered("r", "g/b", None, 6, "llm:a", Generation(resource="llm:a")))  # type: ignore[arg-type]
    for path in ("g/a", "g/b", "g/c"):
        tree.feed(NodeFinished("r", path, None, 9))
    assert [span.name for span in tree.take_ended(450_000_000)] == ["a, attempt 1", "a, attempt 2", "a", "b"]


@pytest.mark.parametrize(("first", "most"), [(1_000, 40_000), (100, 40_000), (1_000, 2_000)])
def test_the_rounds_of_a_loop_are_sampled_as_items_are(first, most):
    failing = {1_500, 2_999}
    run = Crowded(looped(3_000, 3, failing), most, 0.1, first=first)
    run.hold()
    assert run.dropped == 0
    rounds = {span.round: span.id for span in run.spans if span.kind == "round"}
    assert failing <= rounds.keys()
    if most == 40_000:
        assert set(range(first)) <= rounds.keys()
        assert first + 29 < len(rounds) < first + 200  # a percent of them all, the slowest, and one in a hundred
    else:
        assert len(rounds) < first
    inside = Counter(span.parent for span in run.spans)
    assert all(inside[id_] == 3 for id_ in rounds.values())
    (loop,) = [span for span in run.spans if span.kind == "while"]
    assert loop.left_out == 3_000 - len(rounds)
    assert {one.path: one.calls for one in run.record.totals}["g/w/n0"] == 3_000
    drawn = Drawn(run.record, run.spans, run.record.ended_ns or 0, UNICODE, everything=False)
    said = [row.name for row in drawn.rows()]
    folded = [int(row.split()[1].replace(",", "")) for row in said if " more round" in row]
    assert sum(folded) + sum(row.startswith("round ") for row in said) == 3_000


def test_a_round_that_is_kept_in_any_case_is_shown_as_it_goes_on():
    sink = Slow(1_000)
    recorder = RunRecorder(sink, PREVIEW, Sampling(), (), None)
    run_virtual(lambda: Hush(looped(3, 3)).run({}, tracer=_Of(recorder)))
    while recorder.waiting():
        recorder.fold(1)
        if any(one.path == "g/w/n0" for one in sink.pending.first(10)):
            break
    assert not any(span.kind == "round" for span in sink.pending.first(10))


def test_the_tree_says_of_a_failed_item_what_is_not_in_it():
    run = Crowded(mapped(40, 10, set(range(40))), 200, 0.0)
    run.hold()
    assert run.dropped == 0
    assert run.record.left_out
    drawn = Drawn(run.record, run.spans, run.record.ended_ns or 0, UNICODE, everything=True)
    said = [f"{row.name} {row.note}" for row in drawn.rows()]
    bare = [number for number, row in enumerate(said) if "10 more spans in it that ended well, left out" in row]
    whole = [row for row in said if row.startswith("n9 ")]
    assert len(bare) + len(whole) == 40
    assert all(said[number - 1].startswith("last ValueError") for number in bare)


def test_an_item_in_which_spans_of_yours_hang_is_kept_whole_however_full_it_is():
    tree = Tree(Sampling(first=0, slowest=0.0, random=0.0))
    kinds = {"g/m": "map", "g/m/a": "code", "g/m/b": "code"}
    tree.feed(RunStarted("r", "g", None, 0, 10**18, kinds=kinds))
    tree.crowding.most, tree.crowding.others = 10, 20
    tree.feed(NodeStarted("r", "g/m", None, 1, (), 1))
    tree.feed(MapStarted("r", "g/m", None, 2, 100))
    tree.seen.add(7)
    for number, path in ((7, "g/m/a"), (8, "g/m/b")):
        tree.feed(NodeStarted("r", path, 0, number, (), number))
        tree.feed(NodeFinished("r", path, 0, number + 2))
    tree.feed(ItemFinished("r", "g/m", 0, 12))
    assert [span.name for span in tree.ended] == ["a", "b", "m[0]"]
    assert tree.left_out == 0

"""What runs of a graph share of its nodes, and the sums of nodes, which are made for the second call of each."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.core.events import NodeFinished, NodeRan, NodeStarted, RunFinished, RunStarted
from hush.observability import _nodes
from hush.observability._condense import Condenser, Gave
from hush.observability._ids import Ids
from hush.observability._nodes import nodes_of
from hush.observability._sampling import Sampling
from hush.observability._tree import Tree
from kit.tiers import every_change

KINDS = {"g/a": "code", "g/b": "code"}


@pytest.fixture(autouse=True)
def _no_tables() -> Iterator[None]:
    before = _nodes._tables.copy()
    _nodes._tables.clear()
    yield
    _nodes._tables.clear()
    _nodes._tables.update(before)


def run_of(*told: Any, kinds: Any = KINDS) -> Tree:
    """The tree of a run of which this is told."""
    tree = Tree(Sampling())
    tree.feed(Condenser(None)(RunStarted("r", "g", None, 0, 10**18, inputs={}, kinds=kinds)))  # type: ignore[arg-type]
    for event in told:
        tree.feed(event)
    return tree


def quick(path: str, began_ns: int, took_ns: int) -> NodeRan:
    return NodeRan("r", path, None, began_ns + took_ns, (), began_ns - 3, began_ns, {}, {})


def slow(path: str, began_ns: int, took_ns: int) -> list[Any]:
    gave: Any = Gave(None)
    ended = NodeFinished("r", path, None, began_ns + took_ns, (), gave)
    return [NodeStarted("r", path, None, began_ns, (), 7), ended]


# ── Nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_runs_of_one_engine_share_its_nodes_and_those_of_others_do_not():
    first = run_of(quick("g/a", 10, 1))
    assert nodes_of(KINDS)["g/a"].kind == "code"
    other = run_of(quick("g/a", 10, 1), kinds={"g/a": "llm"})
    again = run_of(quick("g/a", 10, 1))
    assert [tree.ended[0].kind for tree in (first, other, again)] == ["code", "llm", "code"]
    assert nodes_of(KINDS) is nodes_of(KINDS)
    assert run_of(quick("g/a", 10, 1), kinds=None).ended[0].kind == "node"


def test_of_graphs_that_come_and_go_few_are_remembered_and_none_is_taken_for_another():
    for number in range(100):
        kinds = {"g/a": f"kind {number}"}  # at the place of the last, unless that is kept
        assert run_of(quick("g/a", 10, 1), kinds=kinds).ended[0].kind == f"kind {number}"
        del kinds
    assert len(_nodes._tables) == _nodes._MOST_TABLES


def test_several_threads_may_begin_runs_of_new_graphs():
    wrong: list[BaseException] = []

    def begins() -> None:
        try:
            for number in range(2_000):
                nodes_of({"g/a": number})
        except BaseException as exc:
            wrong.append(exc)

    threads = [Thread(target=begins) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    nodes_of({"g/a": "the last"})
    assert not wrong
    assert len(_nodes._tables) == _nodes._MOST_TABLES


# ── Sums ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

calls = st.lists(st.tuples(st.sampled_from(["g/a", "g/b"]), st.booleans(), st.integers(1, 9)).map(tuple), max_size=6)


@every_change
@given(calls, st.sampled_from(["", "dropped", "left_out"]))
def test_sums_are_those_of_all_calls_however_each_was_told(calls, lost):
    told: list[Any] = []
    for number, (path, is_quick, took_ns) in enumerate(calls):
        began_ns = 100 * (number + 1)
        told += [quick(path, began_ns, took_ns)] if is_quick else slow(path, began_ns, took_ns)
    tree = run_of(*told, RunFinished("r", "g", None, 10_000, "ok", 1.0, None, {}, ()))
    if lost:
        setattr(tree, lost, 1)
    found = {one.path: one for one in tree.record().totals}
    for path in KINDS:
        mine = [(is_quick, took_ns) for each, is_quick, took_ns in calls if each == path]
        if len(mine) > 1 or (lost and mine):
            one = found.pop(path)
            assert (one.calls, one.attempts, one.kind) == (len(mine), len(mine), "code")
            assert one.seconds == sum(took_ns for _, took_ns in mine) / 1e9
            assert one.slowest_s == max(took_ns for _, took_ns in mine) / 1e9
            assert one.ready_s == 3 * sum(is_quick for is_quick, _ in mine) / 1e9
    assert not found


# ── Ids ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@every_change
@given(st.integers(0, 2**128 - 1), st.sets(st.integers(1, 2**40), min_size=1, max_size=20), st.booleans())
def test_ids_are_sixteen_digits_of_which_no_two_are_the_same(trace, numbers, nodes):
    ids = Ids(f"{trace:032x}", nodes=nodes)
    made = {ids.of(number) for number in numbers}
    assert len(made) == len(numbers)
    assert all(len(one) == 16 and 0 < int(one, 16) < 2**64 for one in made)


def test_no_id_is_nothing_but_noughts():
    assert Ids(f"{7:016x}{0:016x}", nodes=True).of(7) == f"{1:016x}"

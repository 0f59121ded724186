"""What goes down a stream dies when its last reader has ended, however long the stream is."""

from __future__ import annotations

import asyncio
import gc

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from hush.testing import run_virtual
from kit.dying import Watch
from kit.faults import Boom

COUNT = 300
SMALL = {"window": 3, "max_concurrency": 2}
WINDOW = 3
paces = pytest.mark.parametrize("pace", ["inline", "async"])
pytestmark = pytest.mark.usefixtures("no_garbage_collector")


def body(fn, pace):
    """A node's function of `p`, that lets go of it."""
    if pace == "inline":
        return lambda p: fn(p)

    async def later(p):
        given = [p]
        del p
        await asyncio.sleep(0)
        return fn(given.pop())

    return later


def over(name, source, fn, pace, **options):
    """A map through it as `p`; its body gives what `fn` says."""
    with MapNode(name=name, inputs={"p": Each(source)}, **SMALL, **options) as each:
        CodeNode(
            name=f"{name}_n", code_fn=body(fn, pace), inputs={"p": PARENT["p"]}, outputs={"p": PARENT, "n": PARENT}
        )
    return each


@paces
@pytest.mark.parametrize("seed", range(3))
def test_a_stream_of_three_maps_holds_as_much_as_their_windows(pace, seed):
    watch = Watch()

    def rows():
        for _ in range(COUNT):
            yield watch.make()

    with GraphNode(name="g") as graph:
        a = over("a", PARENT["rows"], lambda p: {"p": watch.make(), "n": 1}, pace)
        b = over("b", a["p"], lambda p: {"p": watch.make(), "n": 1}, pace)
        c = over("c", b["p"], lambda p: {"p": watch.make(), "n": 1}, pace)
        c["n"] >> PARENT["ns"]
    result = run_virtual(lambda: Hush(graph).run({"rows": rows()}), seed=seed)
    assert result["ns"] == [1] * COUNT
    assert watch.most <= 3 * WINDOW + 3 * 2 + 1, "what is on its way, and what each body has just made"
    assert len(watch.alive) == 0


@paces
def test_only_what_is_read_to_the_end_is_kept(pace):
    """A node that reads one column whole keeps that one, and not those that stream."""
    watch = Watch()
    with GraphNode(name="g") as graph:
        a = over("a", range(COUNT), lambda p: {"p": watch.make(), "n": p}, pace)
        b = over("b", a["p"], lambda p: {"p": None, "n": 1}, pace)
        CodeNode(name="k", code_fn=lambda ns: {"total": sum(ns)}, inputs={"ns": a["n"]}, outputs=PARENT)
        b["n"] >> PARENT["ns"]
    result = run_virtual(Hush(graph).run)
    assert result["total"] == sum(range(COUNT))
    assert watch.most <= 2 * WINDOW + 2
    assert len(watch.alive) == 0


@paces
def test_a_column_that_is_read_whole_dies_after_its_reader(pace):
    watch = Watch()
    with GraphNode(name="g") as graph:
        a = over("a", range(20), lambda p: {"p": watch.make(), "n": p}, pace)
        b = over("b", a["p"], lambda p: {"p": None, "n": 1}, pace)
        read = CodeNode(
            name="read", code_fn=lambda ps: {"then": len(watch.alive)}, inputs={"ps": a["p"]}, executor="inline"
        )
        look = lambda then, ns: {"then": then, "now": len(watch.alive)}  # noqa: E731
        CodeNode(
            name="look", code_fn=look, inputs={"then": read["then"], "ns": b["n"]}, outputs=PARENT, executor="inline"
        )
    assert run_virtual(Hush(graph).run) == {"then": 20, "now": 0}


@paces
@pytest.mark.parametrize("more", [{"batch": 4}, {"batch": 4, "batch_wait_s": 5}, {"ordered": False}], ids=str)
def test_lists_and_items_out_of_order_die_as_well(pace, more):
    watch = Watch()
    with GraphNode(name="g") as graph:
        a = over("a", range(COUNT), lambda p: {"p": watch.make(), "n": p}, pace)
        b = over("b", a["p"], lambda p: {"p": None, "n": 1}, pace, **more)
        b["n"] >> PARENT["ns"]
    assert set(run_virtual(Hush(graph).run)["ns"]) == {1}
    assert watch.most <= WINDOW + WINDOW * more.get("batch", 1) + 3
    assert len(watch.alive) == 0


@paces
def test_a_reader_that_takes_the_first_alone_lets_the_rest_die(pace):
    watch = Watch()
    with GraphNode(name="g") as graph:
        a = over("a", range(COUNT), lambda p: {"p": watch.make(), "n": p}, pace)
        b = over("b", a["p"], lambda p: {"p": None, "n": 1}, pace, first=5)
        b["n"] >> PARENT["ns"]
    assert run_virtual(Hush(graph).run)["ns"] == [1] * 5
    assert watch.most <= 2 * WINDOW + 3
    assert len(watch.alive) == 0


@paces
def test_failed_items_on_their_way_hold_nothing(pace):
    watch = Watch()

    def fail(p):
        raise Boom("bad")

    with GraphNode(name="g") as graph:
        a = over("a", range(50), lambda p: {"p": watch.make(), "n": p}, pace)
        b = over("b", a["p"], fail, pace)
        c = over("c", b["p"], lambda p: {"p": None, "n": 1}, pace)
        c["error"] >> PARENT["errors"]
    errors = run_virtual(Hush(graph).run)["errors"]
    gc.collect()
    assert [type(error) for error in errors] == [Boom] * 50
    assert len(watch.alive) == 0


@paces
def test_a_run_that_fails_in_the_middle_of_a_stream_keeps_nothing(pace):
    watch = Watch()

    def fail_late(p):
        fail_late.calls += 1
        if fail_late.calls > 20:
            raise Boom("bad")
        return {"p": None, "n": 1}

    fail_late.calls = 0
    with GraphNode(name="g") as graph:
        a = over("a", range(COUNT), lambda p: {"p": watch.make(), "n": p}, pace)
        over("b", a["p"], fail_late, pace, on_error="raise")
    engine = Hush(graph)
    with pytest.raises(Boom) as caught:
        run_virtual(engine.run)
    error = caught.value.with_traceback(None)
    del caught
    gc.collect()
    assert isinstance(error, Boom)
    assert len(watch.alive) == 0

"""Sources of every kind are closed in every ending, whichever map of a pipeline it is that ends."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, ItemFinished, MapNode, SourceError
from hush.testing import leak_check, run_virtual
from kit.faults import Boom
from runtime.from_design.streamed import Tap, over

COUNT = 200
SMALL = {"window": 4, "max_concurrency": 2}
kinds = pytest.mark.parametrize("kind", ["lines", "rows"])
loops = pytest.mark.parametrize("run", [run_virtual, lambda make: asyncio.run(make())], ids=["virtual", "real"])


class Ending:
    """A pipeline over two sources (`a` and, zipped in `b`, a second), and what ends it."""

    def __init__(self, **options):
        self.fails = options.pop("fails", "")
        self.first = options.pop("first", None)
        self.other = options.pop("other", COUNT)

    def graph(self, tap, beside, kind):
        def body(name):
            async def code(x):
                await asyncio.sleep(0)
                if name == self.fails and x == 20:
                    raise Boom(name)
                return {"y": x}

            return code

        fast = {"on_error": "raise"}
        first = {} if self.first is None else {"first": self.first}
        with GraphNode(name="g") as graph:
            make = CodeNode(
                name="make",
                code_fn=lambda: {"rows": tap.source(kind, COUNT), "more": beside.source(kind, self.other)},
                inputs={},
            )
            a = over("a", make["rows"], body("a"), **SMALL, **fast)
            with MapNode(name="b", inputs={"x": Each(a["y"]), "z": Each(make["more"])}, **SMALL, **fast, **first) as b:
                CodeNode(name="n", code_fn=body("b"), inputs={"x": PARENT["x"]}, outputs=PARENT)
            c = over("c", b["y"], body("c"), **SMALL, **fast)
            c["y"] >> PARENT["ys"]
        return Hush(graph)


ENDINGS = {
    "the end": (Ending(), None),
    "a fails": (Ending(fails="a"), Boom),
    "b fails": (Ending(fails="b"), Boom),
    "c fails": (Ending(fails="c"), Boom),
    "the other is shorter": (Ending(other=30), SourceError),
    "the other is longer": (Ending(other=COUNT + 1), SourceError),
    "only the first": (Ending(first=10), None),
}


@kinds
@loops
@pytest.mark.parametrize("ending", ENDINGS)
def test_sources_are_closed_however_a_pipeline_ends(kind, run, ending):
    tap, beside = Tap(), Tap()
    what, error = ENDINGS[ending]
    engine = what.graph(tap, beside, kind)
    with leak_check():
        if error is None:
            assert len(run(engine.run)["ys"]) == (what.first or COUNT)
        else:
            with pytest.raises(error):
                run(engine.run)
        assert (tap.open, beside.open) == (0, 0)


@kinds
@loops
@pytest.mark.parametrize("passes", [1, 3, 8, 50])
def test_sources_are_closed_when_the_run_is_cancelled(kind, run, passes):
    tap, beside = Tap(), Tap()
    engine = Ending().graph(tap, beside, kind)

    async def main():
        task = asyncio.ensure_future(engine.run())
        for _ in range(passes):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert (tap.open, beside.open) == (0, 0)
        assert task.cancelled()

    run(main)


@kinds
@loops
@pytest.mark.parametrize("items", ["a", "b", "c", None])
def test_sources_are_closed_when_the_reader_of_the_run_leaves(kind, run, items):
    tap, beside = Tap(), Tap()
    engine = Ending().graph(tap, beside, kind)

    async def main():
        async with engine.stream(items=items) as events:
            async for event in events:
                if isinstance(event, ItemFinished) and event.item == 5:
                    break
        assert (tap.open, beside.open) == (0, 0)
        assert tap.pulled < COUNT

    run(main)


@kinds
@loops
def test_sources_are_closed_when_a_sibling_of_the_pipeline_fails(kind, run):
    tap = Tap()

    async def fail():
        await asyncio.sleep(0.05)  # the source is open by then, and far from its end
        raise Boom("sibling")

    with GraphNode(name="g") as graph:
        make = CodeNode(name="make", code_fn=lambda: {"rows": tap.source(kind, COUNT)}, inputs={})
        a = over("a", make["rows"], tap.body("a", seconds=0.01), **SMALL)
        over("b", a["y"], tap.body("b", seconds=9), **SMALL)
        CodeNode(name="fail", code_fn=fail, inputs={})
    with pytest.raises(Boom, match="sibling"):
        run(Hush(graph).run)
    assert tap.open == 0


@kinds
def test_sources_are_closed_when_the_run_is_out_of_time(kind):
    tap = Tap()
    with GraphNode(name="g") as graph:
        make = CodeNode(name="make", code_fn=lambda: {"rows": tap.source(kind, COUNT)}, inputs={})
        a = over("a", make["rows"], tap.body("a", seconds=1), **SMALL)
        over("b", a["y"], tap.body("b", seconds=1), **SMALL)
    with pytest.raises(TimeoutError):
        run_virtual(lambda: Hush(graph).run(timeout_s=10))
    assert tap.open == 0


def test_what_a_body_opens_for_the_map_behind_is_a_source_of_its_own_and_closed():
    """Each item of `a` gives a generator, and `b` goes through it, until one fails."""
    tap = Tap()

    def fail(x):
        if x == 3:
            raise Boom(x)
        return {"y": x}

    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"n": Each(range(6))}, **SMALL) as a:
            CodeNode(name="n", code_fn=lambda n: {"rows": tap.lines(n)}, inputs={"n": PARENT["n"]}, outputs=PARENT)
        with MapNode(name="b", inputs={"rows": Each(a["rows"])}, **SMALL) as b:
            over("c", PARENT["rows"], fail, on_error="raise")
        b["error"] >> PARENT["errors"]
    result = run_virtual(Hush(graph).run)
    assert [error is not None for error in result["errors"]] == [False] * 4 + [True] * 2
    assert tap.open == 0


# ── Files and cursors ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.txt"
    path.write_text("".join(f"{number}\n" for number in range(COUNT)))
    return path


@loops
def test_an_open_file_gives_its_lines_down_the_stream(page, run):
    tap = Tap()
    with open(page) as lines:
        with GraphNode(name="g") as graph:
            a = over("a", lines, lambda x: {"y": int(x)}, **SMALL)
            b = over("b", a["y"], tap.body("b", seconds=0), **SMALL)
            b["y"] >> PARENT["ys"]
        assert run(Hush(graph).run)["ys"] == list(range(COUNT))


@loops
@pytest.mark.parametrize("ends", ["well", "badly"])
def test_a_generator_that_holds_a_file_open_is_closed_with_it(page, run, ends):
    def lines():
        with open(page) as opened:
            for line in opened:
                yield int(line)

    async def body(x):
        await asyncio.sleep(0)
        if x == 50 and ends == "badly":
            raise Boom(x)
        return {"y": x}

    with GraphNode(name="g") as graph:
        make = CodeNode(name="make", code_fn=lambda: {"rows": lines()}, inputs={})
        a = over("a", make["rows"], body, **SMALL)
        b = over("b", a["y"], body, on_error="raise", **SMALL)
        b["y"] >> PARENT["ys"]
    with leak_check():
        if ends == "well":
            assert run(Hush(graph).run)["ys"] == list(range(COUNT))
        else:
            with pytest.raises(Boom):
                run(Hush(graph).run)


@loops
def test_a_cursor_that_is_bound_to_its_thread_is_pulled_inline(run):
    base = sqlite3.connect(":memory:")
    try:
        base.execute("create table t (n integer)")
        base.executemany("insert into t values (?)", [(number,) for number in range(COUNT)])
        cursor = base.execute("select n from t order by n")
        tap = Tap()
        with GraphNode(name="g") as graph:
            a = over("a", PARENT["rows"], lambda x: {"y": x[0]}, **SMALL)
            with MapNode(name="b", inputs={"x": Each(a["y"]), "again": Each(cursor, pull="inline")}, **SMALL) as b:
                note = tap.body("n")
                CodeNode(
                    name="n",
                    code_fn=lambda x, again: note(x == again[0]),
                    inputs={"x": PARENT["x"], "again": PARENT["again"]},
                    outputs=PARENT,
                )
            b["y"] >> PARENT["same"]
        rows = base.execute("select n from t order by n").fetchall()
        assert run(lambda: Hush(graph).run({"rows": rows}))["same"] == [True] * COUNT
    finally:
        base.close()

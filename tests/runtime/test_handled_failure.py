"""Failures that a graph goes on with: who handles them, who runs then, and what the result says of them."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from hush.core import PARENT, CodeNode, GraphNode
from kit.faults import Boom, label
from runtime.observing import outcome, unknown


def bad():
    raise Boom("bad")


async def bad_later():
    await asyncio.sleep(1)
    raise Boom("bad")


def give(value):
    return {"y": value}


def leaf(name, fn, inputs=None, **options):
    return CodeNode(name=name, code_fn=fn, inputs=inputs or {}, **options)


both = pytest.mark.parametrize("fn", [bad, bad_later])


# ── What handles a failure ───────────────────────────────────────────────────────────────────────────────────────────


@both
def test_an_input_that_names_the_error_handles_it(fn):
    with GraphNode(name="g") as graph:
        one = leaf("one", fn)
        leaf("two", lambda e: {"said": label(e)}, {"e": one["error"]}, outputs=PARENT)
    found = outcome(graph)
    assert found.result == {"said": "bad"}
    assert found.result.status == "ok"
    (error,) = found.result.errors
    assert (label(error), error.hush.path) == ("bad", "g/one")


@both
@pytest.mark.parametrize("how", ["outputs", "statement"])
def test_a_parent_write_that_names_the_error_handles_it(fn, how):
    with GraphNode(name="g") as graph:
        if how == "outputs":
            leaf("one", fn, outputs={"error": PARENT["went_wrong"]})
        else:
            leaf("one", fn)["error"] >> PARENT["went_wrong"]
    found = outcome(graph)
    assert label(found.result["went_wrong"]) == "bad"
    assert (found.result.status, len(found.result.errors)) == ("ok", 1)


@both
def test_on_error_collect_handles_it_and_the_result_is_partial(fn):
    with GraphNode(name="g") as graph:
        leaf("one", fn, on_error="collect")
        leaf("two", give, {"value": 2}, outputs=PARENT)
    found = outcome(graph)
    assert found.result == {"y": 2}
    assert found.result.status == "partial"
    assert (list(map(label, found.result.errors)), found.result.errors.total) == (["bad"], 1)


def test_collect_with_a_named_error_is_ok():
    with GraphNode(name="g") as graph:
        leaf("one", bad, on_error="collect", outputs={"error": PARENT["e"]})
    assert outcome(graph).result.status == "ok"


@both
def test_an_explicit_raise_wins(fn):
    with GraphNode(name="g") as graph:
        one = leaf("one", fn, on_error="raise", outputs={"error": PARENT["e"]})
        leaf("two", give, {"value": one["error"]})
    assert label(outcome(graph).error) == "bad"


@both
def test_a_star_does_not_name_the_error(fn):
    with GraphNode(name="g") as graph:
        leaf("one", fn, outputs=PARENT)
    assert label(outcome(graph).error) == "bad"


def test_a_star_input_does_not_name_the_error():
    with GraphNode(name="g") as graph:
        one = leaf("one", bad)
        leaf("two", lambda error=None: {}, {"*": one})
    assert label(outcome(graph).error) == "bad"


@pytest.mark.parametrize(
    "use",
    [
        lambda e: e.apply(label),
        lambda e: e == None,  # noqa: E711
        lambda e: e.args[0],
        lambda e: [1, {"deep": e}],
    ],
    ids=["apply", "compare", "attribute", "literal"],
)
def test_whatever_is_done_to_the_error_names_it(use):
    with GraphNode(name="g") as graph:
        one = leaf("one", bad)
        leaf("two", give, {"value": use(one["error"])}, outputs=PARENT)
    found = outcome(graph)
    assert found.error is None
    value = found.result["y"]
    assert value in ("bad", False) or label(value[1]["deep"]) == "bad"


def test_a_failure_is_handled_by_a_reader_in_a_nested_graph():
    """The reference is passed down as if each container listed it."""
    with GraphNode(name="g") as graph:
        one = leaf("one", bad)
        with GraphNode(name="inner", outputs=PARENT):
            leaf("two", lambda e: {"said": label(e)}, {"e": one["error"]}, outputs=PARENT)
    assert outcome(graph).result == {"said": "bad"}


def test_reading_another_key_does_not_handle_a_failure():
    with GraphNode(name="g") as graph:
        one = leaf("one", bad)
        leaf("two", give, {"value": one["y"]})
    assert label(outcome(graph).error) == "bad"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_is_no_ordinary_exception_is_never_handled(kind):
    def stop():
        raise kind

    with GraphNode(name="g") as graph:
        leaf("one", stop, on_error="collect", outputs={"error": PARENT["e"]})
    assert isinstance(outcome(graph).error, kind)


# ── Who runs then ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_edges_of_a_handled_failure_are_live():
    with GraphNode(name="g") as graph:
        one = leaf("one", bad, on_error="collect")
        one >> leaf("two", give, {"value": 2}, outputs=PARENT)
    assert outcome(graph).result == {"y": 2}


def test_a_reader_of_other_keys_is_skipped_and_what_it_would_write_is_none():
    ran = []
    with GraphNode(name="g") as graph:
        one = leaf("one", bad, on_error="collect")
        leaf("two", lambda x: {"z": ran.append(x)}, {"x": one["y"]}, outputs={"z": PARENT["z"]})
    found = outcome(graph)
    assert ran == []
    assert found.result == {"z": None}


def test_a_reader_of_other_keys_is_skipped_though_its_edge_is_live():
    """The one exception to the law that edges decide."""
    ran = []
    with GraphNode(name="g") as graph:
        one = leaf("one", bad, on_error="collect")
        two = leaf("two", lambda x: {"z": ran.append(x)}, {"x": one["y"]})
        one >> two
        three = leaf("three", lambda: ran.append("three"))
        two >> three
        leaf("four", lambda: ran.append("four"))
    outcome(graph)
    assert ran == ["four"]


def test_what_reads_from_a_skipped_node_gets_its_default_or_none():
    """Edges decide whether it runs; without edges, a skipped node is forgiven where there is a default."""
    with GraphNode(name="g") as graph:
        one = leaf("one", bad, on_error="collect")
        skipped = leaf("skipped", give, {"value": one["y"]})
        alive = leaf("alive", dict)
        leaf("forgiven", lambda x=7: {"forgiven": x}, {"x": skipped["y"]}, outputs=PARENT)
        leaf("not_forgiven", lambda x: {"not_forgiven": x}, {"x": skipped["y"]}, outputs=PARENT)
        alive >> leaf("by_edge", lambda x: {"by_edge": [x]}, {"x": skipped["y"]}, outputs=PARENT)
        alive >> leaf("by_edge_too", lambda x=7: {"by_edge_too": [x]}, {"x": skipped["y"]}, outputs=PARENT)
        skipped >> leaf("dead_edge", lambda: {"dead_edge": 1}, outputs=PARENT)
        [skipped, alive] >> leaf("one_is_live", lambda: {"one_is_live": 1}, outputs=PARENT)
    assert outcome(graph).result == {
        "forgiven": 7,
        "not_forgiven": None,
        "by_edge": [None],
        "by_edge_too": [7],
        "dead_edge": None,
        "one_is_live": 1,
    }


def test_naming_the_error_of_one_node_does_not_excuse_reading_another():
    with GraphNode(name="g") as graph:
        one, two = leaf("one", bad, on_error="collect"), leaf("two", bad, on_error="collect")
        leaf("three", lambda e, y: {"z": 1}, {"e": one["error"], "y": two["y"]}, outputs={"z": PARENT["z"]})
    found = outcome(graph).result
    assert (found["z"], len(found.errors)) == (None, 2)


def test_a_node_that_names_the_error_runs_and_other_keys_are_none():
    with GraphNode(name="g") as graph:
        one = leaf("one", bad)
        inputs = {"e": one["error"], "y": one["y"], "z": one["z"]}
        leaf("two", lambda e, y, z: {"saw": (label(e), y, z)}, inputs, outputs=PARENT)
    assert outcome(graph).result["saw"] == ("bad", None, None)


def test_parent_writes_of_a_handled_failure_happen():
    with GraphNode(name="g") as graph:
        leaf("one", bad, outputs={"error": PARENT["e"], "y": PARENT["y"]})
    found = outcome(graph).result
    assert (label(found["e"]), found["y"], set(found)) == ("bad", None, {"e", "y"})


def test_without_a_failure_the_error_is_none():
    with GraphNode(name="g") as graph:
        one = leaf("one", lambda: {"y": 1})
        leaf("two", lambda e, y: {"saw": (e, y)}, {"e": one["error"], "y": one["y"]}, outputs=PARENT)
    found = outcome(graph).result
    assert (found["saw"], found.status, found.errors) == ((None, 1), "ok", ())


def test_two_handlers_of_one_failure_both_run():
    with GraphNode(name="g") as graph:
        one = leaf("one", bad)
        leaf("two", lambda e: {"two": label(e)}, {"e": one["error"]}, outputs=PARENT)
        leaf("three", lambda e: {"three": label(e)}, {"e": one["error"]}, outputs=PARENT)
    found = outcome(graph).result
    assert found == {"two": "bad", "three": "bad"}
    assert len(found.errors) == 1


def test_a_handler_that_fails_is_an_ordinary_failure():
    def worse(e):
        raise LookupError("worse")

    with GraphNode(name="g") as graph:
        one = leaf("one", bad)
        leaf("two", worse, {"e": one["error"]})
    assert isinstance(outcome(graph).error, LookupError)


def test_the_siblings_of_a_handled_failure_go_on():
    async def slow():
        await asyncio.sleep(5)
        return {"y": "done"}

    with GraphNode(name="g") as graph:
        leaf("one", bad_later, on_error="collect")
        leaf("two", slow, outputs=PARENT)
    found = outcome(graph)
    assert (found.result, found.at_s) == ({"y": "done"}, 5)


# ── An `error` of the function's own ─────────────────────────────────────────────────────────────────────────────────


def test_a_functions_own_error_wins_and_is_no_failure():
    with GraphNode(name="g") as graph:
        one = leaf("one", lambda: {"error": "no such city", "y": 1})
        leaf("two", lambda e, y: {"saw": (e, y)}, {"e": one["error"], "y": one["y"]}, outputs=PARENT)
    found = outcome(graph).result
    assert (found["saw"], found.status, found.errors) == (("no such city", 1), "ok", ())


def test_a_function_with_an_error_of_its_own_may_leave_its_other_keys_out():
    def fetch(city):
        return {"temperature": 20, "error": None} if city == "Huế" else {"error": "no such city"}

    with GraphNode(name="g") as graph:
        one = leaf("one", fetch, {"city": PARENT["city"]}, outputs={"temperature": PARENT["t"]})
        leaf("two", lambda e, t: {"saw": (e, t)}, {"e": one["error"], "t": one["temperature"]}, outputs=PARENT)
    assert outcome(graph, {"city": "Huế"}).result == {"saw": (None, 20), "t": 20}
    assert outcome(graph, {"city": "Atlantis"}).result == {"saw": ("no such city", None), "t": None}


def test_an_error_of_none_does_not_let_keys_be_missing():
    with GraphNode(name="g") as graph:
        one = leaf("one", lambda: unknown(error=None))
        leaf("two", give, {"value": one["y"]})
    assert isinstance(outcome(graph).error, KeyError)


# ── Containers ───────────────────────────────────────────────────────────────────────────────────────────────────────


@both
def test_the_failure_of_a_nested_graph_is_handled_by_its_name(fn):
    ended = []

    async def slow():
        try:
            await asyncio.sleep(9)
        finally:
            ended.append("slow")

    with GraphNode(name="g") as graph:
        with GraphNode(name="inner") as inner:
            leaf("one", fn)
            leaf("slow", slow)
        leaf("two", lambda e: {"said": label(e), "path": e.hush.path}, {"e": inner["error"]}, outputs=PARENT)
    found = outcome(graph)
    assert found.result == {"said": "bad", "path": "g/inner/one"}
    assert ended in ([], ["slow"])
    assert found.at_s <= 1


def test_a_failure_handled_inside_a_nested_graph_is_nothing_outside():
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner", outputs=PARENT) as inner:
            leaf("one", bad, outputs={"error": PARENT["e"]})
        leaf("two", give, {"value": inner["error"]}, outputs=PARENT)
    found = outcome(graph).result
    assert label(found["e"]) == "bad"
    assert found["y"] is None


def test_several_failures_of_a_nested_graph_are_one_error():
    async def breaks_down():
        try:
            await asyncio.sleep(9)
        finally:
            raise Boom("cleanup")

    with GraphNode(name="g") as graph, GraphNode(name="inner", outputs={"error": PARENT["e"]}):
        leaf("one", bad_later)
        leaf("two", breaks_down)
    error = outcome(graph).result["e"]
    assert sorted(map(label, error.exceptions)) == ["bad", "cleanup"]


def test_a_collected_graph_gives_none_for_everything_it_would_write():
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner", on_error="collect") as inner:
            leaf("early", give, {"value": 1}, outputs={"y": PARENT["y"]}) >> leaf("one", bad)
        inner["y"] >> PARENT["y"]
    found = outcome(graph).result
    assert (found["y"], found.status) == (None, "partial")


def test_an_error_that_a_nested_graph_writes_itself_wins():
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner") as inner:
            leaf("one", bad, outputs={"error": PARENT["error"]})
        leaf("two", lambda e: {"said": label(e)}, {"e": inner["error"]}, outputs=PARENT)
    found = outcome(graph).result
    assert (found["said"], len(found.errors)) == ("bad", 1)


# ── What is kept ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_errors_come_in_the_order_of_their_paths_whenever_they_happened():
    def later(seconds, name):
        async def code():
            await asyncio.sleep(seconds)
            raise Boom(name)

        return code

    with GraphNode(name="g") as graph:
        for seconds, name in zip((3, 1, 2), "abc", strict=True):
            leaf(name, later(seconds, name), on_error="collect")
    found = outcome(graph).result
    assert (list(map(label, found.errors)), found.errors.total) == (["a", "b", "c"], 3)


class Payload:
    pass


@pytest.mark.parametrize("policy", ["collect", None])
def test_a_kept_exception_keeps_nothing_alive_but_itself(policy):
    """A result may live long, and with it the exceptions in it: not so what the functions had at hand."""
    refs = []

    def heavy():
        here = Payload()
        refs.append(weakref.ref(here))
        try:
            raise LookupError("cause")
        except LookupError as cause:
            raise Boom("heavy") from cause

    with GraphNode(name="g") as graph:
        leaf("one", heavy, on_error=policy, outputs={} if policy else {"error": PARENT["e"]})
    found = outcome(graph)
    gc.collect()
    assert len(found.result.errors) == 1
    assert [ref() for ref in refs] == [None]

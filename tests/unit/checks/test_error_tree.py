"""The tree of errors, as `except` clauses meet it."""

from __future__ import annotations

import pytest

import hush.core as hush
from hush.core import PARENT, BranchNode, CodeNode, Each, GraphNode, Hush, MapNode, Tolerate, WhileLoopNode

PARENTS = {
    "GraphError": (),
    "UsageError": (hush.GraphError, TypeError),
    "InputError": (ValueError,),
    "MissingKeyError": (KeyError,),
    "OutputError": (TypeError,),
    "SourceError": (ValueError,),
    "ReportedError": (),
    "TooManyFailures": (),
    "TooManyIterations": (RuntimeError,),
    "NoCaseMatched": (ValueError,),
    "ResourceError": (),
    "CacheError": (),
    "NodeTimeout": (TimeoutError,),
    "RunTimeout": (TimeoutError,),
    "WorkerDied": (RuntimeError,),
    "TransportError": (TypeError,),
}


def test_every_error_that_is_exported_is_in_the_tree():
    errors = {name for name in hush.__all__ if isinstance(getattr(hush, name), type)}
    errors = {name for name in errors if issubclass(getattr(hush, name), BaseException)}
    assert errors == {*PARENTS, "HushError"}


@pytest.mark.parametrize("name", PARENTS)
def test_an_error_is_caught_as_what_it_is_and_as_hush_s_own(name):
    kind = getattr(hush, name)
    assert issubclass(kind, hush.HushError)
    assert all(issubclass(kind, parent) for parent in PARENTS[name])
    assert not issubclass(kind, hush.GraphError) or name in ("GraphError", "UsageError")


def test_a_node_that_is_timed_out_is_told_from_a_run_that_is():
    assert not issubclass(hush.NodeTimeout, hush.RunTimeout)
    assert not issubclass(hush.RunTimeout, hush.NodeTimeout)


def boom(x=0):
    raise ZeroDivisionError("boom")


def one(x=0):
    return {"y": x}


def lone(fn, **inputs):
    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=fn, inputs=inputs, outputs=PARENT)
    return g


def no_case():
    with GraphNode(name="g") as g:
        BranchNode(name="route", cases={"x > 1": "n"}, inputs={"x": 0})
        CodeNode(name="n", code_fn=one)
    return g


def for_ever():
    with GraphNode(name="g") as g, WhileLoopNode(name="loop", inputs={"x": 0}, stop_condition="x > 1"):
        CodeNode(name="n", code_fn=one, inputs={"x": PARENT["x"]})["y"] >> PARENT["x"]
    return g


def too_many():
    with GraphNode(name="g") as g, MapNode(name="m", inputs={"i": Each([1])}, on_error=Tolerate(count=0)):
        CodeNode(name="n", code_fn=boom)
    return g


def a_missing_key():
    def some(x=0):
        return {"y": 1} if x else dict(z=1)  # noqa: C408  # whose keys nobody can read off

    with GraphNode(name="g") as g:
        CodeNode(name="n", code_fn=some)["y"] >> PARENT["y"]
    return g


@pytest.mark.parametrize(
    ("graph", "error"),
    [
        (lone(boom), ZeroDivisionError),
        (lone(lambda: [1]), hush.OutputError),
        (lone(lambda x: {"y": x}, x=PARENT["x"]), hush.InputError),
        (no_case(), hush.NoCaseMatched),
        (for_ever(), hush.TooManyIterations),
        (too_many(), hush.TooManyFailures),
        (a_missing_key(), hush.MissingKeyError),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_a_check_cannot_know_is_raised_by_the_run_as_itself(graph, error):
    """A user's own exception passes through unchanged; Hush's are of the kind that says what happened."""
    assert graph.check() == []
    with pytest.raises(error) as caught:
        Hush(graph).run_sync()
    assert type(caught.value) is error

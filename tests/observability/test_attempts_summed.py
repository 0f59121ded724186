"""Attempts that failed are counted exactly, by why, however few spans of a run are kept."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, Retry
from hush.core.events import (
    ItemFailed,
    ItemFinished,
    MapFinished,
    MapStarted,
    NodeCalled,
    NodeFailed,
    NodeFinished,
    NodeRerouted,
    NodeRetrying,
    NodeStarted,
    RunFinished,
    RunStarted,
)
from hush.observability import LocalTracer, Sampling, TraceStore
from hush.observability._alike import pattern_of
from hush.observability._attempts import MOST_REASONS
from hush.observability._condense import Condenser
from hush.observability._report import Report, report
from hush.observability._report_json import report_json
from hush.observability._span import Failure, RunRecord, Span
from hush.observability._tree import Tree
from kit.tiers import every_change

NONE, ALL = Sampling(0, 0, 0), Sampling(random=1.0)
NODE = "g/m/n"

# ── Of events ────────────────────────────────────────────────────────────────────────────────────────────────────────

errors = st.builds(
    lambda kind, message: Failure(kind, message),
    st.sampled_from(["ValueError", "TimeoutError"]),
    st.sampled_from(["reset by 'peer'", "no answer in 5 s", "no answer in 71 s", ""]),
)
items = st.lists(
    st.tuples(
        st.lists(st.tuples(errors, st.integers(1, 900), st.sampled_from([None, None, "llm:a", "llm:b"])), max_size=4),
        st.sampled_from(["ok", "ok", "failed"]),
        st.integers(1, 900),
    ),
    max_size=12,
)
"""Of each: the attempts that failed, how long each took and whether another resource was asked then; how it ended."""


def told(calls: Any, sampling: Sampling, *, cut: bool = False) -> Report:
    """The report of a run of a map in which this happens; ``cut``: it is cancelled in its last item."""
    return report(*traced(calls, sampling, cut=cut))


def traced(calls: Any, sampling: Sampling, *, cut: bool = False) -> tuple[RunRecord, list[Span]]:
    tree, feed, at_ns = Tree(sampling), Condenser(None), 10

    def tell(event: Any) -> None:
        tree.feed(event)

    tree.feed(feed(RunStarted("r", "g", None, 0, 10**18, inputs={}, kinds={"g/m": "map", NODE: "code"})))  # type: ignore[arg-type]
    tell(NodeStarted("r", "g/m", None, 1))
    tell(MapStarted("r", "g/m", None, 2, len(calls)))
    for item, (failed, end, took_ns) in enumerate(calls):
        tell(NodeStarted("r", NODE, item, at_ns))
        tell(NodeCalled("r", NODE, item, at_ns, None, 1))
        number = 1
        for error, took, instead_of in failed:
            at_ns += took
            if instead_of is None:
                tell(NodeRetrying("r", NODE, item, at_ns, number, error, 0.0))  # type: ignore[arg-type]
            else:
                tell(NodeRerouted("r", NODE, item, at_ns, number, error, instead_of, "llm:c"))  # type: ignore[arg-type]
            number += 1
            tell(NodeCalled("r", NODE, item, at_ns, None, number))
        at_ns += took_ns
        if cut and item == len(calls) - 1:
            break
        last = Failure("OSError", "it is over")
        if end == "ok":
            tell(NodeFinished("r", NODE, item, at_ns))
            tell(ItemFinished("r", "g/m", item, at_ns))
        else:
            tell(NodeFailed("r", NODE, item, at_ns, last))  # type: ignore[arg-type]
            tell(ItemFailed("r", "g/m", item, at_ns, last))
    if not cut:
        tell(MapFinished("r", "g/m", None, at_ns, len(calls), 0, (), len(calls)))
        tell(NodeFinished("r", "g/m", None, at_ns))
    tell(RunFinished("r", "g", None, at_ns, "cancelled" if cut else "partial", 1.0))
    return tree.record(), tree.ended


@every_change
@given(items, st.booleans(), st.sampled_from([NONE, Sampling(2, 0, 0), Sampling(0, 0.3, 0.2), ALL]))
def test_what_is_kept_changes_nothing_and_all_is_counted(calls, cut, sampling):
    found = told(calls, sampling, cut=cut)
    times: Counter[Any] = Counter()
    vain: Counter[str] = Counter()
    took_ns = 0
    for number, (failed, end, last_ns) in enumerate(calls):
        for error, took, instead_of in failed:
            times[error.type, pattern_of(error.message)] += 1
            took_ns += took
            vain[instead_of or ""] += 1
        if failed and end == "failed" and not (cut and number == len(calls) - 1):
            took_ns += last_ns  # an attempt that failed, after which it was not tried again
    del vain[""]
    assert {(one.first.type, pattern_of(one.first.message)): one.times for one in found.retried} == times
    assert {one.resource: one.times for one in found.rerouted} == vain
    assert found.time.again_s == pytest.approx(took_ns / 1e9)
    assert found.time.again_exact
    assert all(one.exact and not one.others for one in (*found.retried, *found.rerouted))
    whole = told(calls, ALL, cut=cut)
    assert (found.retried, found.rerouted) == (whole.retried, whole.rerouted)  # with the same first failures too


def test_more_reasons_than_are_told_apart_are_counted_together():
    many = MOST_REASONS + 7
    words = ["".join(chr(97 + int(digit)) for digit in str(number)) for number in range(many)]
    calls = [
        ([(Failure("ValueError", word), 3, None)] * (1 + (number == 0)), "ok", 5) for number, word in enumerate(words)
    ]
    found = told(calls, NONE)
    assert len(found.retried) == MOST_REASONS + 1
    assert sum(one.times for one in found.retried) == many + 1
    [rest] = [one for one in found.retried if one.others]
    assert (rest.times, rest.first.message, rest.exact) == (7, words[MOST_REASONS], True)
    assert found.time.again_s == pytest.approx(3 * (many + 1) / 1e9)
    assert len(told(calls, ALL).retried) == many  # of each there is a span


def test_what_an_earlier_version_did_not_count_is_told_as_far_as_spans_were_kept():
    calls = [([(Failure("ValueError", "x"), 3, None)], "ok", 5)] * 10
    well = [([], "ok", 5)] * 10
    for each, is_exact in ((calls, False), (well, True)):  # that there were none can be seen all the same
        run, spans = traced(each, Sampling(3, 0, 0))
        old = tuple(one._replace(failed_attempts=None, in_vain=None) for one in run.totals)
        found = report(run._replace(totals=old), spans)
        assert [(one.times, one.exact) for one in found.retried] == ([] if is_exact else [(3, False)])
        assert found.time.again_exact == is_exact
        assert not report(run._replace(totals=()), spans).time.again_exact  # it was killed


# ── Of a run ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_of_a_run_in_a_file(tmp_path, run_virtual):
    """As a reviewer found it: of 20,000 items each second one was tried again, and 783 were said to have been."""
    seen: set[int] = set()

    async def fetch(number):
        if number % 2 and number not in seen:
            seen.add(number)
            raise ConnectionError(f"{number}: reset by peer")
        return {"number": number}

    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"number": Each(PARENT["numbers"])}):
        retry = Retry(3, backoff_s=0.001, budget=None)
        CodeNode(name="n", code_fn=fetch, inputs={"number": PARENT["number"]}, outputs=PARENT, retry=retry)
    tracer = LocalTracer(tmp_path / "traces.db", sampling=Sampling(first=10, slowest=0.01, random=0.0))
    run_virtual(lambda: Hush(graph).run({"numbers": range(400)}, tracer=tracer, request_id="r"))
    tracer.flush()
    store = TraceStore(tmp_path / "traces.db")
    run = store.find("r")
    found = report(run, store.spans(run.trace))
    assert run.left_out
    [node] = found.nodes
    assert (node.calls, node.attempts) == (400, 600)
    document = report_json(found)
    [retried] = document["retried"]
    assert (retried["path"], retried["count"], retried["exact"], retried["others"]) == (NODE, 200, True, False)
    assert retried["first"]["type"] == "ConnectionError"
    assert retried["first"]["frames"][-1]["function"].endswith("fetch")
    assert document["time"]["again_exact"]

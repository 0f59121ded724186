"""What a run cost: exact, by model, also where calls are left out of the trace, cached, failed or have no price."""

from __future__ import annotations

import json
import sqlite3

import pytest

from hush.core import PARENT, Each, GraphNode, Hush, MapNode, ResourceHub
from hush.observability import LocalTracer, Sampling
from hush.observability._local._rows import RUN_COLUMNS, run_of, run_row
from hush.observability._model_use import OTHERS, ModelSums
from hush.observability._report import report
from hush.observability._report_json import report_json
from hush.observability._span import Generation, ModelUse, Totals
from hush.providers import LLMNode
from hush.testing import Fault, ScriptedLLM
from kit import runs_seen, span_records

FEW = Sampling(first=5, slowest=0.0, random=0.0)
CALLS = 200


def asking(llm: ScriptedLLM, count: int = CALLS, *, cache: str | None = None, price: bool = True) -> Hush:
    """Asks a model ``count`` questions, of which only ``count // 2`` differ."""
    hub = ResourceHub(
        {
            "llm:m": {"type": "scripted", "model": "m", "llm": llm}
            | ({"price": {"input": 2.0, "output": 10.0}} if price else {})
        }
    )
    more = {} if cache is None else {"cache": cache}
    with GraphNode(name="g") as graph:
        with MapNode(name="each", inputs={"q": Each(PARENT["qs"])}, max_concurrency=1) as each:
            LLMNode(
                name="ask",
                resource_key="m",
                inputs={"messages": [{"role": "user", "content": PARENT["q"]}]},
                outputs={"content": PARENT, "cost": PARENT, "usage": PARENT},
                **more,
            )
        each["cost"] >> PARENT["costs"]
        each["usage"] >> PARENT["usages"]
    return Hush(graph, resources=hub)


async def ran(engine: Hush, file, count: int = CALLS, sampling: Sampling = FEW):
    tracer = LocalTracer(file, sampling=sampling)
    qs = [f"question number {n % (count // 2)}" for n in range(count)]
    result = await engine.run(inputs={"qs": qs}, tracer=tracer)
    assert tracer.flush()
    return result


async def test_a_sampled_run_says_exactly_what_it_cost(file, store):
    result = await ran(asking(ScriptedLLM()), file)
    run = store.find("last")
    assert run.left_out > CALLS
    [use] = next(one.models for one in run.totals if one.path == "g/each/ask")
    assert (use.name, use.calls, use.failed, use.priced) == ("m", CALLS, 0, CALLS)
    assert use.cost == pytest.approx(sum(result["costs"]))
    assert use.usage["input_tokens"] == sum(usage["input_tokens"] for usage in result["usages"])
    found = report(run, store.spans(run.trace))
    assert found.models == (use,)
    assert found.generations == (CALLS, CALLS)
    assert report_json(found)["models"][0]["cost"] == use.cost
    assert (run.items, run.items_failed) == found.items == (CALLS, 0)


async def test_what_failed_is_counted_and_costs_nothing(file, store):
    llm = ScriptedLLM(faults=[Fault("bad_request", every=10)])
    result = await ran(asking(llm), file)
    run = store.find("last")
    assert result.status == "partial"
    found = report(run, store.spans(run.trace))
    calls, failed = sum(use.calls for use in found.models), sum(use.failed for use in found.models)
    assert (calls, failed) == (CALLS, CALLS // 10)
    assert sum(use.cost or 0 for use in found.models) == pytest.approx(
        sum(cost for cost in result["costs"] if cost is not None)
    )
    assert (run.items, run.items_failed) == found.items == (CALLS, CALLS // 10)


async def test_what_a_cache_answered_is_paid_once(file, store, tmp_path):
    result = await ran(asking(ScriptedLLM(), cache=str(tmp_path / "cache.db")), file, sampling=Sampling())
    run = store.find("last")
    found = report(run, store.spans(run.trace))
    [use] = found.models
    assert found.cached == CALLS // 2
    assert (use.calls, use.priced) == (CALLS // 2, CALLS // 2)
    assert use.cost == pytest.approx(sum(result["costs"]) / 2)
    hits = [span for span in store.spans(run.trace) if span.cached]
    assert len(hits) == CALLS // 2
    assert all(span.generation is None or span.generation.cost is None for span in hits)


async def test_calls_without_a_price_are_told_apart(file, store):
    await ran(asking(ScriptedLLM(), price=False), file)
    [use] = report(store.find("last"), ()).models
    assert (use.calls, use.priced, use.cost) == (CALLS, 0, None)


async def test_a_model_that_was_asked_once_is_in_the_totals(file, store):
    await ran(asking(ScriptedLLM(), 2), file, 2)
    one = store.find("last")
    assert [use.calls for each in one.totals for use in each.models] == [2]
    hub = ResourceHub({"llm:m": {"type": "scripted", "model": "m", "llm": ScriptedLLM()}})
    with GraphNode(name="g") as graph:
        LLMNode(name="ask", resource_key="m", inputs={"messages": PARENT["messages"]}, outputs=PARENT)
    tracer = LocalTracer(file)
    messages = [{"role": "user", "content": "Hm?"}]
    await Hush(graph, resources=hub).run(inputs={"messages": messages}, tracer=tracer)
    assert tracer.flush()
    [totals] = store.find("last").totals
    assert [(use.name, use.calls) for use in totals.models] == [("m", 1)]


# ── Totals and spans ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_totals_win_where_they_know_as_much_as_the_spans():
    seen = runs_seen.llm_batch(10)
    plain = report(seen.record(), seen.spans)
    [priced] = plain.models
    path = "answers/questions/ask"
    more = priced._replace(calls=priced.calls + 5, cost=1.0, priced=priced.calls + 5)
    fewer = priced._replace(calls=priced.calls - 1, cost=1.0)
    for told, expected in ((more, more), (fewer, priced)):
        totals = (Totals(path, "llm", calls=10, models=(told,)),)
        assert report(seen.record(totals=totals), seen.spans).models == (expected,)
    assert report(seen.record(totals=(Totals(path, "llm", calls=10),)), seen.spans).models == (priced,)


def test_a_call_under_way_is_added_to_the_totals():
    seen = runs_seen.llm_batch(2)
    last = next(span for span in seen.spans if span.generation)
    late = last._replace(id="f" * 16, ended_ns=None, status="running", generation=Generation(resource="llm:gpt-4o"))
    totals = (Totals(last.path, "llm", calls=2, models=(ModelUse("gpt-4o", 2, cost=0.5, priced=2),)),)
    found = report(seen.record(totals=totals), [*seen.spans, late])
    assert [(use.name, use.calls, use.cost) for use in found.models] == [("gpt-4o", 2, 0.5), ("llm:gpt-4o", 1, None)]


def test_names_made_up_for_each_call_do_not_fill_the_memory():
    sums = ModelSums()
    for number in range(1_000):
        sums.add(Generation(f"m{number}", usage={"input_tokens": 1}, cost=0.5), "ask", failed=False)
    uses = sums.uses()
    assert len(uses) == 101
    assert uses[0].name == OTHERS
    assert sum(use.cost or 0 for use in uses) == 500
    assert sums.calls == sum(use.usage["input_tokens"] for use in uses) == 1_000


# ── In the file ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_row_of_an_older_hush_is_read(file, store, writer):
    use = ModelUse("m", 2, 0, {"input_tokens": 4}, 0.25, 1)
    run = span_records.run_record(totals=(Totals("ask", "llm", calls=2, models=(use,)),), items=7, items_failed=2)
    assert run_of(run_row(run, 1), crashed=False) == run
    writer.export(span_records.batch(**run._asdict()))
    assert store.find(run.trace) == run
    connection = sqlite3.connect(file)
    try:
        more = json.loads(connection.execute("SELECT more FROM runs").fetchone()[0])
        del more["items"], more["items_failed"], more["totals"][0]["models"]
        connection.execute("UPDATE runs SET more = ?", (json.dumps(more),))
        connection.commit()
    finally:
        connection.close()
    plain = run._replace(totals=(Totals("ask", "llm", calls=2),), items=0, items_failed=0)
    assert store.find(run.trace) == plain


def test_a_row_of_a_newer_hush_is_read():
    run = span_records.run_record(totals=(Totals("ask", "llm", models=(ModelUse("m", 1),)),))
    row = list(run_row(run, 1))
    at = RUN_COLUMNS.index("more")
    more = json.loads(row[at])
    more["totals"][0]["models"][0]["colour"] = "red"
    row[at] = json.dumps(more)
    assert run_of(tuple(row), crashed=False) == run

"""`LocalTracer` from end to end: runs of graphs are in the file, also of processes that were killed in the middle."""

from __future__ import annotations

import sqlite3
import subprocess
import sys

import pytest

from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, Hush, MapNode, UsageError
from hush.observability import LocalTracer, TraceError, TraceStore
from kit.trace_file import ENV


def pipeline_of_three() -> GraphNode:
    with GraphNode(name="etl") as graph:
        load = CodeNode(name="load", code_fn=lambda n: {"rows": list(range(n))}, inputs={"n": PARENT["n"]})
        with MapNode(name="each", inputs={"row": Each(load["rows"])}) as each:
            one = CodeNode(
                name="one",
                code_fn=lambda row: {"y": 10 // (row - 3)},
                inputs={"row": PARENT["row"]},
                outputs={"y": PARENT},
            )
            START >> one >> END
        total = CodeNode(
            name="total", code_fn=lambda ys: {"n": len(ys)}, inputs={"ys": each["y"]}, outputs={"n": PARENT}
        )
        START >> load >> each >> total >> END
    return graph


async def test_a_run_is_in_the_file_with_what_failed(file, store):
    tracer = LocalTracer(file, tags=["nightly"])
    assert not file.parent.exists()
    result = await Hush(pipeline_of_three()).run(inputs={"n": 5}, tracer=tracer, request_id="đ'1", user_id="u")
    assert tracer.flush()
    run = store.find("đ'1")
    assert (run.status, run.name, run.user_id, run.tags) == (result.status, "etl", "u", ("nightly",))
    assert run.ended_ns is not None
    spans = list(store.spans(run.trace))
    assert len(spans) == run.produced == tracer.counts.exported
    assert tracer.counts.pending == tracer.counts.dropped == 0
    assert spans[0].kind == "run"
    assert {span.path for span in spans} >= {"etl", "etl/load", "etl/each", "etl/each/one", "etl/total"}
    failed = [span for span in store.spans(run.trace, failed=True) if span.path == "etl/each/one"]
    assert [(span.items, span.failure.type) for span in failed] == [((3,), "ZeroDivisionError")]
    assert {span.id for span in spans} >= {span.parent for span in spans if span.parent}


async def test_all_tracers_of_one_file_share_a_writer(file, store, tmp_path):
    (tmp_path / "link").symlink_to(file.parent)
    first, second = LocalTracer(file), LocalTracer(str(tmp_path / "link" / "traces.db"))
    engine = Hush(pipeline_of_three())
    await engine.run(inputs={"n": 2}, tracer=first)
    await engine.run(inputs={"n": 2}, tracer=second)
    assert first.flush()
    assert len(store.runs()) == 2
    assert first.counts == second.counts
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT count(*) FROM processes").fetchone() == (1,)
    connection.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"path": 5}, r"LocalTracer\(5\)"),
        ({"path": "/"}, "is a folder"),
        ({"tags": "one"}, "list of strings"),
        ({"keep_values": "all"}, "keep_values='all'"),
        ({"max_pending": 0}, "at least 1"),
        ({"sampling": 0.5}, "sampling=0.5"),
    ],
)
def test_wrong_arguments_raise_at_the_line(arguments, said):
    with pytest.raises(UsageError, match=said):
        LocalTracer(**arguments)


KILLED = """
import os, sys, time
from hush.core import END, START, CodeNode, GraphNode, Hush
from hush.observability import LocalTracer
def wait():
    print("under way", flush=True)
    tracer.flush()
    time.sleep(60)
with GraphNode(name="g") as graph:
    quick = CodeNode(name="quick", code_fn=lambda: {})
    slow = CodeNode(name="slow", code_fn=wait, executor="thread")
    START >> quick >> slow >> END
tracer = LocalTracer(sys.argv[1])
Hush(graph).run_sync(tracer=tracer, request_id="killed")
"""


def test_a_run_that_was_killed_shows_what_it_was_at(file):
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(file)],
        stdout=subprocess.PIPE,
        env=ENV,
    ) as process:
        process.stdout.readline()
        store = TraceStore(file)
        # It is told what has been under way for half a second.
        while shown(store, "running") != {"g", "g/slow"}:
            assert process.poll() is None
        process.kill()
        process.wait()
        assert store.find("killed").status == "crashed"
        assert shown(store, "crashed") == {"g", "g/slow"}
        assert shown(store, "ok") == {"g/quick"}


def shown(store: TraceStore, status: str) -> set[str]:
    try:
        found = store.find("killed")
    except TraceError:  # not yet
        return set()
    return {span.path for span in store.spans(found.trace) if span.status == status}


def test_the_end_of_a_process_closes_its_traces(file, store):
    code = """
import sys
from hush.core import GraphNode, CodeNode, Hush, START, END
from hush.observability import LocalTracer
with GraphNode(name="g") as graph:
    START >> CodeNode(name="one", code_fn=lambda: {}) >> END
Hush(graph).run_sync(tracer=LocalTracer(sys.argv[1]), request_id="short")
"""
    subprocess.run(
        [sys.executable, "-c", code, str(file)],
        check=True,
        timeout=30,
        env=ENV,
    )
    assert store.find("short").status == "ok"
    assert {span.path for span in store.spans(store.find("short").trace)} == {"g", "g/one"}
    assert [each.name for each in file.parent.iterdir()] == ["traces.db"]

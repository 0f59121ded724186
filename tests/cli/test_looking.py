"""`hush show`, `hush traces` and `hush traces prune` as they are typed, over a file that a tracer wrote."""

from __future__ import annotations

import json

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from hush.observability import LocalTracer
from hush.observability._local._writer import LocalWriter
from hush.observability._span import Batch
from kit import records as kit
from kit.command import hush


def price(number):
    if number % 10 == 3:
        raise ValueError(f"order {number} has no price")
    return {"price": number * 2}


def gone(prices):
    raise RuntimeError("the warehouse is gone")


@pytest.fixture
def traces(folder, monkeypatch):
    """A file of traces of two runs: one that failed, nine items of a map before it, and one that went well."""
    monkeypatch.setenv("HUSH_TRACES_DB", str(folder / "traces.db"))
    with GraphNode(name="shop") as shop:
        with MapNode(name="orders", inputs={"number": Each(range(90))}) as orders:
            CodeNode(
                name="price",
                code_fn=price,
                inputs={"number": PARENT["number"]},
                outputs=PARENT,
            )
        CodeNode(name="load", code_fn=gone, inputs={"prices": orders["price"]})
    with GraphNode(name="quick") as quick:
        CodeNode(name="one", code_fn=lambda: {"x": 1}, outputs=PARENT)
    tracer = LocalTracer()
    Hush(quick).run_sync({}, tracer=tracer, request_id="well")
    with pytest.raises(RuntimeError):
        Hush(shop).run_sync({}, tracer=tracer, request_id="badly")
    assert tracer.flush(20)


@pytest.mark.usefixtures("traces")
def test_a_failed_run_says_what_failed_why_and_where_the_time_went():
    ran = hush("show")
    assert ran.code == 0
    assert ran.out.startswith("✗ shop  failed after ")
    assert "10 failures, of 2 causes" in ran.out
    assert "   the warehouse is gone\n" in ran.out
    assert '       raise RuntimeError("the warehouse is gone")\n' in ran.out
    assert "shop/orders/price  ValueError  9 times, the run went on" in ran.out
    assert "items 3, 13, 23, 33 and 5 more" in ran.out
    assert "Where the time went" in ran.out
    assert "! orders  90 items, 9 failed" in ran.out
    assert hush("show", "last failed").out == ran.out
    assert hush("show", "badly").out == ran.out
    assert hush("show", "well").out.startswith("✓ quick  done in ")


@pytest.mark.usefixtures("traces")
def test_other_forms(folder):
    document = hush("show", "badly", "--json").data
    assert [(one["path"], one["count"]) for one in document["failures"]] == [("shop/load", 1), ("shop/orders/price", 9)]
    assert document["failures"][0]["failure"]["frames"][-1]["source"] == 'raise RuntimeError("the warehouse is gone")'
    assert len(hush("show", "badly", "--json", "--all").data["spans"]) == document["run"]["spans"]["kept"]
    ran = hush("show", "badly", "-f", "chrome", "-o", "run.json")
    assert (ran.code, ran.out) == (0, "")
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["traceEvents"]
    assert hush("show", "badly", "-o", "data.JSON").code == 0
    assert json.loads((folder / "data.JSON").read_text(encoding="utf-8")) == document
    assert hush("show", "badly", "-o", "run.txt").code == 0
    assert (folder / "run.txt").read_text(encoding="utf-8").startswith("✗ shop")
    assert hush("show", "-o", "none/run.json").code == 2


@pytest.mark.usefixtures("traces")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--width", "-5"], "--width -5: it is a number of columns, 40 to 9,999"),
        (["--width", "0"], "--width 0: it is a number of columns, 40 to 9,999"),
        (["--width", "39"], "--width 39: it is a number of columns, 40 to 9,999"),
        (["--width", "10000"], "--width 10000: it is a number of columns, 40 to 9,999"),
        (["--json", "--format", "chrome"], "--json and --format chrome: these are two forms; leave one of them out"),
        (["--json", "--format", "text"], "--json and --format text: these are two forms; leave one of them out"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments, said):
    """It printed nothing, or something else, and exited with 0."""
    ran = hush("show", "well", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


@pytest.mark.usefixtures("traces")
def test_what_says_the_same_twice_is_taken():
    assert hush("show", "well", "--json", "--format", "json").out == hush("show", "well", "--json").out
    assert hush("show", "well", "--width", "40").code == 0


@pytest.mark.usefixtures("traces")
def test_the_list_and_what_is_removed():
    assert [(run["name"], run["status"], run["failed"]) for run in hush("traces", "--json").data["runs"]] == [
        ("shop", "failed", 10),
        ("quick", "ok", 0),
    ]
    assert "quick" not in hush("traces", "--status", "failed").out
    assert hush("traces", "--limit", "0").out == "no run\n"
    assert hush("traces", "--limit", "-1").code == 2
    assert hush("traces", "prune").out.startswith("0 runs removed")
    assert hush("traces", "prune", "--keep", "1").out.startswith("1 run removed with 2 spans")
    assert hush("traces", "prune", "--max-size", "many").code == 2
    assert [run["name"] for run in hush("traces", "--json").data["runs"]] == ["shop"]


@pytest.mark.usefixtures("traces")
def test_what_is_not_there():
    ran = hush("show", "worse")
    assert (ran.code, ran.out) == (2, "")
    assert "has no run 'worse'" in ran.err
    assert hush("show", "--traces", "none.db").code == 2
    assert hush("traces", "--traces", "none.db").code == 2


def test_the_last_one_that_failed_need_not_be_quoted(tmp_path):
    writer = LocalWriter(str(tmp_path / "traces.db"))
    writer.export(Batch(runs=(kit.run("a" * 32, "one", "failed"), kit.run("b" * 32, "other run", "ok"))))
    writer.close()
    for words, request in (("last failed", "one"), ("other run", "other run")):
        done = hush("show", *words.split(), "--traces", str(tmp_path / "traces.db"), "--json")
        assert done.data["run"]["request_id"] == request
    assert "Usage: hush show [OPTIONS] [RUN]" in hush("show", "--help").out

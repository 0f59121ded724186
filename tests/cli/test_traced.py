"""``hush run --trace``: the run is recorded, and its trace is closed, however it ends."""

from __future__ import annotations

import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys

import pytest

from hush.cli._safe import safe
from hush.observability import TraceError, TraceStore
from kit.command import ENV, hush

GRAPH = """
    from hush.core import *

    def half(n):
        if n % 2:
            raise ValueError("odd")
        return {"half": n // 2}

    with GraphNode(name="g") as graph:
        CodeNode(name="half", code_fn=half, inputs={"n": PARENT["n"]}, outputs=PARENT)
"""
SLEEPERS = """
    import asyncio, sys, time
    from hush.core import *

    async def waits():
        print("ready", flush=True)
        await asyncio.sleep(60)

    async def holds():
        print("ready", flush=True)
        time.sleep(60)

    def works(n):
        print("ready", flush=True)
        time.sleep(60)

    def computes(n):
        if n == 7:
            print("ready", flush=True)
        while True:
            pass

    with GraphNode(name="computing") as computing:
        with MapNode(name="m", inputs={"n": Each(range(8))}):
            CodeNode(name="n", code_fn=computes, inputs={"n": PARENT["n"]}, executor="thread")
    with GraphNode(name="waiting") as waiting:
        CodeNode(name="n", code_fn=waits)
    with GraphNode(name="holding") as holding:
        CodeNode(name="n", code_fn=holds)
    with MapNode(name="working", inputs={"n": Each([1])}, executor="process") as working:
        CodeNode(name="n", code_fn=works, inputs={"n": PARENT["n"]})
"""


def recorded(path):
    """Name, status and request id of each run in the file, the newest first."""
    return [(run.name, run.status, run.request_id) for run in TraceStore(path).runs()]


def test_a_recorded_run_says_how_to_look_at_it(write, folder):
    write(text=GRAPH)
    ran = hush("run", "graph.py", "-i", "n=2", "--trace-to", "t.db", "--request-id", "a b")
    assert (ran.code, ran.data) == (0, {"half": 1})
    assert ran.err == "trace: hush show 'a b' --traces t.db\n"
    assert recorded(folder / "t.db") == [("g", "ok", "a b")]


def test_what_is_printed_is_a_run_that_has_begun(write, folder):
    """And not one that was refused because of its inputs."""
    write(text=GRAPH)
    (folder / "two.jsonl").write_text('{"n": 2}\n{"m": 2}\n')
    ran = hush("run", "graph.py", "--inputs", "two.jsonl", "--trace-to", "t.db", "--request-id", "shop")
    assert ran.err.splitlines()[-1] == "trace: hush show shop-1 --traces t.db"
    assert recorded(folder / "t.db") == [("g", "ok", "shop-1")]


def test_the_usual_file_is_that_of_the_environment(write, folder, monkeypatch):
    write(text=GRAPH)
    monkeypatch.setenv("HUSH_TRACES_DB", str(folder / "deep" / "u.db"))
    ran = hush("run", "graph.py", "-i", "n=3", "--trace")
    assert ran.code == 1
    found = re.search(r"^trace: hush show (\w+)$", ran.err, re.MULTILINE)
    assert found is not None
    assert recorded(folder / "deep" / "u.db") == [("g", "failed", found[1])]


def test_several_runs_are_told_once(write, folder):
    write(text=GRAPH)
    write("in.jsonl", '{"n": 2}\n{"n": 3}\n')
    ran = hush("run", "graph.py", "--inputs", "in.jsonl", "--trace-to", "t.db", "--request-id", "r")
    assert ran.code == 3
    assert ran.err.endswith("traces of 2 runs: hush traces --traces t.db; last: hush show r-2 --traces t.db\n")
    assert sorted(recorded(folder / "t.db")) == [("g", "failed", "r-2"), ("g", "ok", "r-1")]


def test_what_is_printed_opens_the_run_whatever_its_id_is(write, folder):
    """Such ids came out as escapes, which name no run, or as a word that means another one later."""
    write(text=GRAPH)
    ids = [
        "r",
        "a b",
        "đơn-7",
        "last",
        "last failed",
        "../../etc/x\nevil",
        "-x",
        "--help",
        " ",
        "a\x1b[2J",
        "\u202e",
        "a'b",
    ]
    ids += ["$(id)", "a\\b", "x" * 5_000, "\udcff", "~", "r;ls"]
    told = []
    for one in ids:
        ran = hush("run", "graph.py", "-i", "n=2", "--trace-to", "t.db", f"--request-id={one}")
        (line,) = ran.err.splitlines()
        told.append(line.removeprefix("trace: "))
    assert told[:3] == [f"hush show {one} --traces t.db" for one in ("r", "'a b'", "'đơn-7'")]
    newest_first = [run.trace for run in TraceStore(folder / "t.db").runs()]
    for line, trace in zip(told, reversed(newest_first), strict=True):
        assert safe(line) == line
        program, *arguments = shlex.split(line)
        assert program == "hush"
        assert hush(*arguments, "--json").data["run"]["trace"] == trace


def test_a_run_that_does_not_begin_leaves_no_trace(write, folder):
    write(text=GRAPH)
    ran = hush("run", "graph.py", "-i", "m=2", "--trace-to", "t.db")
    assert ran.code == 2
    assert "trace:" not in ran.err
    assert not (folder / "t.db").exists()


def test_a_file_that_cannot_be_is_told_and_one_that_cannot_be_written_costs_no_run(write, folder):
    write(text=GRAPH)
    ran = hush("run", "graph.py", "-i", "n=2", "--trace-to", ".")
    assert (ran.code, ran.out) == (2, "")
    assert "it is a folder" in ran.err
    write("file", "")
    ran = hush("run", "graph.py", "-i", "n=2", "--trace-to", "file/t.db")
    assert (ran.code, ran.data) == (0, {"half": 1})
    assert ran.err.startswith("hush: the trace is not complete: 2 of 2 spans could not be written")
    assert "hush show" not in ran.err  # there is nothing to see


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
@pytest.mark.parametrize("which", ["waiting", "working", "holding", "computing"])
def test_a_signal_closes_the_trace(write, folder, which):
    """Also of a run that holds up its loop, so that it cannot even be told, and of one whose threads never rest."""
    write(text=SLEEPERS)
    command = [sys.executable, "-m", "hush", "run", f"graph.py:{which}", "--trace-to", "t.db", "--request-id", "r"]
    with subprocess.Popen(command, env=ENV, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as running:
        try:
            assert running.stderr is not None
            assert running.stderr.readline() == "ready\n"
            running.send_signal(signal.SIGTERM)
            said = running.stderr.read()
            assert running.wait(20) == 143
        finally:
            running.kill()
    assert "trace: hush show r --traces t.db\n" in said
    assert recorded(os.path.join(folder, "t.db")) == [(which, "cancelled", "r")]
    store = TraceStore(os.path.join(folder, "t.db"))
    calls = [span.status for span in store.spans(store.find("r").trace) if span.kind == "code"]
    assert set(calls) == (set() if which == "working" else {"cancelled"})  # what is in worker processes has no spans
    left = "" if which != "holding" else "; something in the run did not end, and was left behind"
    shown = hush("show", "r", "--traces", "t.db")
    assert shown.out.splitlines()[1] == f"  by SIGTERM{left}"
    assert "FAILURE" not in shown.out.upper()
    assert "  r  by SIGTERM" in hush("traces", "--traces", "t.db").out
    assert hush("show", "r", "--traces", "t.db", "--json").data["failures"] == []


def begun(path):
    """Whether a run is in the file, which may not be made yet."""
    try:
        return recorded(path)
    except TraceError:
        return False


POOLED = """
    import asyncio, threading
    from concurrent.futures import ThreadPoolExecutor
    from hush.core import *

    pool = ThreadPoolExecutor(1)

    async def waits():
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(pool, threading.Event().wait)

    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=waits)
"""


@pytest.mark.parametrize("locked", [False, True])
def test_a_signal_ends_the_process_also_when_what_comes_after_the_run_does_not_end(write, folder, locked):
    """A thread of the user's that Python waits for, or a file of traces that somebody else keeps locked."""
    write(text=SLEEPERS if locked else POOLED)
    command = [
        sys.executable,
        "-m",
        "hush",
        "run",
        f"graph.py:{'waiting' if locked else 'graph'}",
        "--trace-to",
        "t.db",
    ]
    with subprocess.Popen(command, env=ENV, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as running:
        keeper = None
        try:
            assert running.stderr is not None
            assert running.stderr.readline() == "ready\n"
            if locked:
                while not begun(folder / "t.db"):
                    pass
                keeper = sqlite3.connect(os.path.join(folder, "t.db"), isolation_level=None)
                keeper.execute("BEGIN IMMEDIATE")
            running.send_signal(signal.SIGTERM)
            said = running.stderr.read()
            assert running.wait(20) == 143
        finally:
            running.kill()
            if keeper is not None:
                keeper.close()
    assert "something does not end; leaving it (SIGTERM)\n" in said

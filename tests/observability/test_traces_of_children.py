"""Runs traced in processes that ``multiprocessing`` makes: what they did is written, whichever way they end."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hush.observability import TraceStore
from hush.observability._ending import Process
from kit.trace_file import ENV, assert_whole
from observability.fakes import PATIENCE_S

# Its children are told what to do by name: they may have it pickled, and import this file.
BEGIN = """
import multiprocessing, os, sys, threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from hush.core import PARENT, GraphNode, Hush, code_node
from hush.observability import LocalTracer

@code_node
def invert(x):
    return {"y": 1 / x}

with GraphNode(name="g") as graph:
    invert(inputs={"x": PARENT["x"]}, outputs=PARENT)

def trace(name, x=1, tracer=None):
    Hush(graph).run_sync({"x": x}, tracer=tracer or LocalTracer(FILE), request_id=name)

def raise_(name):
    trace(name, x=0)

def in_thread(name):
    threading.Thread(target=trace, args=(name,)).start()

def in_idle_executor(name):
    global kept  # nobody shuts it down: its thread ends when Python tells it to
    kept = ThreadPoolExecutor(1)
    kept.submit(trace, name).result()

def in_child_of_child(name):
    trace(name)
    inner = multiprocessing.get_context("fork").Process(target=trace, args=(f"{name}, inner",))
    inner.start()
    inner.join()

def in_fork_of_child(name):
    trace(name)
    child = os.fork()
    if child == 0:
        trace(f"{name}, fork")
        sys.exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3

def hang():
    from observability.fakes import Fake, SpanTracer, Told
    class Hanging(Fake):
        def export(self, batch):
            threading.Event().wait()
    global kept
    kept = SpanTracer(Hanging())
    Told(kept).quick(2).end()

FILE, METHOD = sys.argv[1:3]

def started(target, *arguments):
    process = multiprocessing.get_context(METHOD).Process(target=target, args=arguments)
    process.start()
    return process

def joined(*processes):
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]
"""


def ran(folder: Path, method: str, code: str) -> subprocess.CompletedProcess[str]:
    """A program that makes children by ``method``, and has ended well."""
    inside = "".join(f"    {line}\n" for line in code.strip().splitlines())
    return python(folder, method, f'{BEGIN}\nif __name__ == "__main__":\n{inside}')


def python(folder: Path, method: str, code: str) -> subprocess.CompletedProcess[str]:
    program = folder / "program.py"
    program.write_text(code)
    command = [sys.executable, program, folder / "traces.db", method]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_S, env=ENV)
    assert done.returncode == 0, done.stderr
    return done


def statuses(folder: Path) -> dict[str, str]:
    assert_whole(folder / "traces.db")
    return {run.request_id: run.status for run in TraceStore(folder / "traces.db").runs()}


METHODS = pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])


@METHODS
def test_however_a_child_ends_its_runs_are_in_the_file(tmp_path, method):
    code = """
hows = trace, in_thread, in_idle_executor, in_child_of_child, in_fork_of_child, raise_
assert joined(*(started(how, how.__name__) for how in hows)) == [0, 0, 0, 0, 0, 1]
"""
    ran(tmp_path, method, code)
    well = "trace", "in_thread", "in_idle_executor"
    well += "in_child_of_child", "in_child_of_child, inner", "in_fork_of_child", "in_fork_of_child, fork"
    assert statuses(tmp_path) == {"raise_": "failed"} | dict.fromkeys(well, "ok")


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_what_pools_did_is_in_the_file_if_they_are_let_end(tmp_path, method):
    code = """
context = multiprocessing.get_context(METHOD)
with ProcessPoolExecutor(2, mp_context=context) as executor:
    list(executor.map(trace, [f"executor {number}" for number in range(5)]))
pool = context.Pool(2)
pool.map(trace, [f"pool {number}" for number in range(5)], 1)
pool.close()
pool.join()
"""
    ran(tmp_path, method, code)
    assert statuses(tmp_path) == {f"{who} {n}": "ok" for who in ("executor", "pool") for n in range(5)}


def test_what_workers_of_loky_did_is_in_the_file(tmp_path):
    code = """
import loky, program  # as a module: it would take along all that a function of the program itself refers to
executor = loky.ProcessPoolExecutor(2)
list(executor.map(program.trace, [f"run {number}" for number in range(5)]))
executor.shutdown(wait=True)
"""
    ran(tmp_path, "loky", code)
    assert statuses(tmp_path) == {f"run {number}": "ok" for number in range(5)}


def test_a_tracer_that_was_made_before_the_fork_writes_for_parent_and_child(tmp_path):
    code = """
tracer = LocalTracer(FILE)
assert joined(started(trace, "before", 1, tracer)) == [0]
trace("parent", tracer=tracer)
assert joined(started(trace, "after", 1, tracer)) == [0]
assert tracer.flush(60)
assert tracer.counts.produced == 2
"""
    ran(tmp_path, "fork", code)
    assert statuses(tmp_path) == dict.fromkeys(["before", "parent", "after"], "ok")


LATE = """
import atexit, multiprocessing, sys

def trace(name):
    from hush.core import PARENT, CodeNode, GraphNode, Hush
    from hush.observability import LocalTracer
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]}, outputs=PARENT)
    Hush(graph).run_sync({"x": 1}, tracer=LocalTracer(sys.argv[1]), request_id=name)

def work():
    trace("run")
    atexit.register(trace, "at exit")

if __name__ == "__main__":
    child = multiprocessing.get_context(sys.argv[2]).Process(target=work)
    child.start()
    child.join()
    assert child.exitcode == 0
    assert not any(name.startswith("hush") for name in sys.modules)
"""


@METHODS
def test_a_child_that_imports_tracers_itself_writes_too(tmp_path, method):
    """As in a program whose parent does not trace. Where Python calls what ``atexit`` has, that may run graphs."""
    done = python(tmp_path, method, LATE)
    assert done.stderr == ""
    found = statuses(tmp_path)
    assert set(found.values()) == {"ok"}
    assert found.keys() >= ({"run", "at exit"} if method == "spawn" else {"run"})


def test_children_send_over_the_wire(tmp_path, receiver):
    code = f"""
from hush.observability import OTelTracer
tracer = OTelTracer({receiver.url!r})
assert joined(*(started(trace, f"run {{number}}", 1, tracer) for number in range(3))) == [0, 0, 0]
"""
    ran(tmp_path, "fork", code)
    assert len(receiver.spans) == 6
    assert len({span.trace for span in receiver.spans}) == 3


def test_children_whose_exporter_hangs_end_and_say_once_what_was_lost(tmp_path):
    """Also those that come to their end twice."""
    code = """
children = [multiprocessing.get_context(method).Process(target=hang) for method in ("fork", "forkserver", "spawn")]
for child in children:
    child.start()
assert joined(*children) == [0, 0, 0]
"""
    done = ran(tmp_path, "", code)
    assert done.stderr.count("3 spans were not exported before the process ended: no answer yet") == 3
    assert done.stderr.count("\n") == 3


class Hanging:
    """Uses up all the time that it is given."""

    def __init__(self):
        self.given_s = []

    def begin_to_close(self, until_s):
        pass

    def close(self, timeout_s):
        self.given_s.append(timeout_s)
        threading.Event().wait(timeout_s)


def test_a_process_that_comes_to_its_end_twice_has_its_time_once():
    process, hanging = Process(0.05), Hanging()
    process.all.add(hanging)
    process.end()
    process.end()
    assert hanging.given_s == [pytest.approx(0.05, abs=0.01), 0.01]

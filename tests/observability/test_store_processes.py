"""Several processes write one file of traces, and some of them die: nothing of what was written is lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from hush.observability import TraceStore
from hush.observability._local._process import SILENT_NS, Identity, began_of, is_gone, this_process
from hush.observability._span import Batch
from kit import records as kit
from kit.trace_file import ENV, assert_whole, take_for_dead

A, B = "a" * 32, "b" * 32
RUNNING = kit.run(status="running")
BEGUN = kit.span(1, status="running", ended_ns=None)

# Writes batches of ten spans, and says after each that it is in the file.
WRITES = """
import os, sys
from hush.observability._exporter import ExportError
from hush.observability._local._writer import LocalWriter
from hush.observability._span import Batch
from kit import records as kit
path, number, batches = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
trace = f"{number:032x}"
writer = LocalWriter(path)
def export(batch):
    while True:
        try:
            return writer.export(batch)
        except ExportError as exc:
            if not exc.again:
                raise
begun = kit.span(10**6, trace, status="running", ended_ns=None)
export(Batch(running=(begun,), runs=(kit.run(trace, f"run {number}", "running"),)))
for batch in range(batches or 10**9):
    export(Batch(ended=tuple(kit.span(10 * batch + n, trace) for n in range(10))))
    print(batch + 1, flush=True)
export(Batch(ended=(kit.span(10**6, trace),), runs=(kit.run(trace, f"run {number}"),)))
writer.close()
"""


@contextmanager
def python(code: str, *arguments: str, **options: int):
    """A process whose standard output is read; it is gone afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=ENV,
        **options,
    )
    try:
        yield process
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


@contextmanager
def together(*managers):
    with ExitStack() as stack:
        yield [stack.enter_context(each) for each in managers]


def test_ten_processes_write_one_file_and_some_are_killed(file, store):
    calm = [python(WRITES, str(file), str(number), "40") for number in range(7)]
    killed = [python(WRITES, str(file), str(number), "0") for number in range(7, 10)]
    with together(*calm, *killed) as processes:
        said = {}
        for number, process in enumerate(processes[7:], 7):
            for _ in range(15):
                said[number] = int(process.stdout.readline())
        for number, process in enumerate(processes[7:], 7):
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().split()
            said[number] = int(rest[-1]) if rest else said[number]
        for process in processes[:7]:
            assert process.stdout.read().split()[-1] == "40"
            assert process.wait(30) == 0
    for number in range(10):
        trace = f"{number:032x}"
        run = store.find(f"run {number}")
        found = [int(span.id, 16) for span in store.spans(trace)]
        assert len(found) == len(set(found))
        if number < 7:
            assert run.status == "ok"
            assert found == [*range(400), 10**6]
        else:
            assert run.status == "crashed"
            assert [int(span.id, 16) for span in store.spans(trace, failed=True)] == [10**6]
            done = found[:-1]
            # What it said it had written is there, and at most the batch that it could not say.
            assert done == list(range(len(done)))
            assert len(done) in (10 * said[number], 10 * said[number] + 10)
    assert len(store.runs(status="crashed")) == 3
    assert_whole(file)


STAYS = """
import sys
import threading
from hush.observability._local._writer import LocalWriter
from hush.observability._span import Batch
from kit import records as kit
writer = LocalWriter(sys.argv[1])
for number, _ in enumerate(sys.stdin):
    spans = tuple(kit.span(100 * number + n, "b" * 32) for n in range(100))
    writer.export(Batch(ended=spans, runs=(kit.run("b" * 32),)))
    print(number, flush=True)
"""


def test_a_file_that_is_deleted_alone_while_several_write_it_is_begun_anew_by_all(writer, file, store):
    """What lies beside it is still open elsewhere, and would be taken for the new one's."""
    with python(STAYS, str(file), stdin=subprocess.PIPE) as process:

        def other_writes() -> None:
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline()

        other_writes()
        writer.export(Batch(ended=(kit.span(1),), runs=(kit.run(status="running"),)))
        file.unlink()
        for number in range(2, 50):
            writer.export(Batch(ended=(kit.span(number),)))
        other_writes()
        writer.export(Batch(ended=(kit.span(50),), runs=(kit.run(),)))
        assert [int(span.id, 16) for span in store.spans(A)] == list(range(2, 51))
        assert [int(span.id, 16) for span in store.spans(B)] == list(range(100, 200))
        process.stdin.close()
        process.wait(30)
    assert len(list(store.spans(A))) == 49
    assert_whole(file)


# ── Crashes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_whose_process_was_killed_is_crashed_and_that_is_written_down_once(file, store):
    before_ns = time.time_ns()
    with python(WRITES, str(file), "5", "0") as process:
        assert process.stdout.readline() == "1\n"
        assert store.find("last").status == "running"
        assert store.runs(status="crashed") == []
        process.kill()
        until = time.monotonic() + 30
        while began_of(process.pid):  # a zombie is no process
            assert time.monotonic() < until
        crashed = store.find("last failed")
        assert crashed.status == "crashed"
    assert before_ns < crashed.seen_ns < time.time_ns()  # when it was last alive: what it was at took as long as that
    [span] = store.spans(f"{5:032x}", failed=True)
    assert (span.status, span.ended_ns) == ("crashed", None)
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT status FROM runs").fetchall() == [("crashed",)]
    assert connection.execute("SELECT count(*) FROM spans WHERE status = 'running'").fetchall() == [(0,)]
    version = connection.execute("PRAGMA data_version").fetchone()
    store.runs()
    assert connection.execute("PRAGMA data_version").fetchone() == version  # nothing was written again
    connection.close()


def test_a_number_that_another_process_has_now_does_not_hide_a_crash(writer, file, store):
    writer.export(Batch(running=(BEGUN,), runs=(RUNNING,)))
    assert store.runs() == [RUNNING._replace(produced=1)]
    take_for_dead(file)
    [run] = store.runs()
    assert run == RUNNING._replace(status="crashed", seen_ns=run.seen_ns, produced=1)


def test_of_a_run_that_has_not_ended_no_fewer_spans_are_counted_than_are_there(writer, file, store):
    """How many there are is told twice a second, and spans more often: a run that was killed had 40, and kept 48."""
    told = RUNNING._replace(produced=5, left_out=2, dropped=1)
    writer.export(Batch(running=(BEGUN,), runs=(told,)))
    assert store.find(A).produced == 5  # more were made than have arrived
    writer.export(Batch(ended=tuple(kit.span(number) for number in range(2, 9))))
    for _ in range(2):
        for run in (store.find(A), store.find(A[:9]), *store.runs()):
            assert run.produced == len(list(store.spans(A))) + run.left_out + run.dropped == 11
        take_for_dead(file)
    assert store.find(A).status == "crashed"


def test_a_run_that_was_taken_for_dead_goes_on(writer, file, store):
    writer.export(Batch(running=(BEGUN,), runs=(RUNNING,)))
    take_for_dead(file)
    assert store.runs()[0].status == "crashed"
    writer.export(Batch(ended=(kit.span(1),), runs=(kit.run(),)))
    assert store.runs() == [kit.run()]
    assert list(store.spans(A)) == [kit.span(1)]
    assert list(store.spans(A, failed=True)) == []


@pytest.mark.parametrize(
    ("changed", "silent_ns", "gone"),
    [
        ({}, 10 * SILENT_NS, False),
        ({"began": "1"}, 0, True),
        ({"pid": 2**22 + 1}, 0, True),
        ({"boot": "another"}, SILENT_NS, False),
        ({"boot": "another"}, SILENT_NS + 1, True),
        ({"space": "pid:[1]"}, SILENT_NS, False),
        ({"space": "pid:[1]", "pid": 2**22 + 1}, SILENT_NS, False),
        ({"host": "elsewhere", "boot": "another"}, SILENT_NS + 1, True),
        ({"boot": ""}, SILENT_NS, False),
        ({"boot": ""}, SILENT_NS + 1, True),
        ({"pid": 1, "began": began_of(1)}, 10 * SILENT_NS, False),
    ],
)
def test_which_processes_are_gone(changed, silent_ns, gone):
    here = this_process()
    assert is_gone(here._replace(**changed), 10**18, here=here, now_ns=10**18 + silent_ns) is gone


def test_this_process_is_known_by_more_than_its_number():
    here = this_process()
    assert here.pid == os.getpid()
    assert began_of(here.pid) == here.began != ""
    assert here == this_process()
    assert isinstance(here, Identity)


# ── Forks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_fork_writes_as_a_process_of_its_own(writer, file, store):
    """The parent closes the file while the child goes on, which must not take the log away from it."""
    writer.export(Batch(ended=(kit.span(1),), runs=(kit.run(A, "parent", "running"),)))
    parent_closed, child_wrote = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            writer.export(Batch(ended=(kit.span(1, B),), runs=(kit.run(B, "child", "running"),)))
            os.write(child_wrote[1], b"x")
            os.read(parent_closed[0], 1)
            for n in range(2, 30):
                writer.export(Batch(ended=(kit.span(n, B),)))
            status = 0
        finally:
            os._exit(status)
    os.read(child_wrote[0], 1)
    writer.export(Batch(ended=(kit.span(2),)))
    writer.close()
    os.write(parent_closed[1], b"x")
    assert os.waitpid(child, 0)[1] == 0
    for each in (*parent_closed, *child_wrote):
        os.close(each)
    writer.export(Batch(ended=(kit.span(3),)))
    assert [span.id for span in store.spans(A)] == [kit.span(n).id for n in (1, 2, 3)]
    assert [span.id for span in store.spans(B)] == [kit.span(n).id for n in range(1, 30)]
    assert [(run.request_id, run.status) for run in store.runs()] == [("child", "crashed"), ("parent", "running")]
    assert_whole(file)


def test_threads_fork_at_once_while_another_writes(writer, file, store):
    """Each fork holds the file until it is over, and not until the first of them is."""
    forks, codes = 6, []
    writer.export(Batch(runs=(kit.run(A),)))

    def fork(who: int) -> None:
        for number in range(forks):
            child = os.fork()
            if child == 0:
                try:
                    writer.export(Batch(ended=(kit.span(100 + who * forks + number),)))
                    os._exit(0)
                finally:
                    os._exit(1)
            codes.append(os.waitpid(child, 0)[1])

    threads = [threading.Thread(target=fork, args=(who,)) for who in range(3)]
    for thread in threads:
        thread.start()
    for number in range(1, 40):
        writer.export(Batch(ended=(kit.span(number),)))
    for thread in threads:
        thread.join()
    assert codes == [0] * 3 * forks
    expected = {kit.span(number).id for number in [*range(1, 40), *range(100, 100 + 3 * forks)]}
    assert {span.id for span in store.spans(A)} == expected
    assert_whole(file)


def test_exporters_that_are_closed_leave_no_file_open(writer, file):
    writer.export(Batch(runs=(kit.run(),)))
    assert open_files(file)
    writer.close()
    TraceStore(file).runs()
    assert open_files(file) == []


def open_files(file: Path) -> list[str]:
    found = []
    for each in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{each}"))
        except OSError:
            continue
    return [each for each in found if each.startswith(str(file))]

"""Several processes write one file: each has its turn soon, and keeps the others waiting for as little as can be."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from contextlib import closing

import pytest

from hush.observability._exporter import ExportError
from hush.observability._local._turns import in_short_turns
from hush.observability._span import Batch
from hush.observability._tracer import SpanTracer
from kit import records as kit
from observability.fakes import PATIENCE_S, Fake, Told, flushed


def trace(number: int) -> str:
    return f"{number:032x}"


def test_few_statements_are_made_while_nobody_else_can_write(writer):
    """Beside a busy loop each takes 5 ms: for 20 runs of 50 spans it was a hundred and more."""
    runs = [trace(number) for number in range(1, 21)]
    begun = [kit.span(10**6, each, status="running", ended_ns=None) for each in runs[:10]]
    writer.export(Batch(running=tuple(begun), runs=tuple(kit.run(each, status="running") for each in runs[:10])))
    spans = [kit.span(number, each) for each in runs for number in range(49)]
    ends = [kit.span(10**6, each, kind="run") for each in runs]
    said: list[str] = []
    writer._connection.set_trace_callback(said.append)
    writer.export(Batch(ended=(*spans, *ends), runs=tuple(kit.run(each) for each in runs)))
    writer._connection.set_trace_callback(None)
    inside = said[said.index("BEGIN IMMEDIATE") :]
    assert inside[-1] == "COMMIT"
    assert len(inside) <= len(runs) + 25


def test_rows_are_made_before_others_are_kept_from_writing(writer, file):
    """What is costly in Python is done by then; a span whose preview can still be looked at tells when."""
    when: list[bool] = []

    class Looked(dict):  # type: ignore[type-arg]
        def items(self):
            with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")  # raises where somebody else writes
                other.execute("ROLLBACK")
            when.append(True)
            return super().items()

    writer.export(Batch(runs=(kit.run(status="running"),)))
    span = kit.span(1, ready_ns=4, inputs=Looked(x=1), outputs={})
    writer.export(Batch(ended=(span._replace(called_ns=span.started_ns),)))
    assert when == [True]


def test_one_that_waits_has_its_turn_beside_one_that_hardly_lets_go(writer, file):
    """SQLite's own waiting would look again every 100 ms, and hit upon the gap once in a while."""
    writer.export(Batch(runs=(kit.run(status="running"),)))
    over, held = threading.Event(), threading.Event()
    turns = [0]

    def hog() -> None:
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            while not over.is_set():
                other.execute("BEGIN IMMEDIATE")
                held.set()
                time.sleep(0.03)
                other.execute("ROLLBACK")
                turns[0] += 1
                time.sleep(0.004)

    thread = threading.Thread(target=hog)
    thread.start()
    try:
        assert held.wait(PATIENCE_S)
        for number in range(10):
            while True:
                try:
                    writer.export(Batch(ended=(kit.span(number),)))
                    break
                except ExportError as exc:  # on a machine that has no time for us
                    if not exc.soon:
                        raise
    finally:
        over.set()
        thread.join()
    with closing(sqlite3.connect(file)) as reader:
        assert reader.execute("SELECT count(*) FROM spans").fetchone() == (10,)


def test_who_is_in_the_way_of_others_is_not_taken_for_down():
    """It is tried again in half a second, however often it was in vain; a server that is down, later each time."""
    pauses: dict[bool, list[float]] = {True: [], False: []}
    for soon, found in pauses.items():
        fake = Fake(lambda _, soon=soon: ExportError("busy", again=True, soon=soon))
        tracer = SpanTracer(fake)
        told = Told(tracer).quick(3)
        for _ in range(6):
            assert not tracer.flush(PATIENCE_S)
            found.append(tracer._pipeline._delivery._pause_s)
        fake.refuse = lambda _: None
        told.end()
        flushed(tracer)
    assert set(pauses[True]) == {0.5}
    assert pauses[False][-1] > 2


def test_turns_are_short_while_somebody_needs_it_and_then_what_they_were():
    before = sys.getswitchinterval()
    try:
        sys.setswitchinterval(0.01)
        with in_short_turns():
            short = sys.getswitchinterval()
            with in_short_turns():
                assert sys.getswitchinterval() == short
            assert sys.getswitchinterval() == short < 0.001
        assert sys.getswitchinterval() == pytest.approx(0.01)
        with in_short_turns():
            sys.setswitchinterval(0.02)  # the user's word
        assert sys.getswitchinterval() == pytest.approx(0.02)
        sys.setswitchinterval(0.0001)
        with in_short_turns():
            assert sys.getswitchinterval() == pytest.approx(0.0001)
        assert sys.getswitchinterval() == pytest.approx(0.0001)
        first, second = in_short_turns(), in_short_turns()
        sys.setswitchinterval(0.01)
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert sys.getswitchinterval() == short
        second.__exit__(None, None, None)
        assert sys.getswitchinterval() == pytest.approx(0.01)
    finally:
        sys.setswitchinterval(before)

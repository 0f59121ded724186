"""A pause that a server has asked for is kept: by who flushes, and by the end of the process."""

from __future__ import annotations

import logging
import re
from time import monotonic

import pytest

from hush.core import PARENT, CodeNode, GraphNode, Hush
from hush.observability import OTelTracer
from hush.observability._exporter import ExportError
from hush.observability._tracer import SpanTracer
from kit.otlp_receiver import Answer
from observability.fakes import PATIENCE_S, Fake, Told, again

SHORT_S = 0.02  # really waited for: a pause is between a process and a server
LONG_S = 60.0


def refusing(times, asked_s):
    """Refuses so often, asking each time for a pause, and notes how long each was kept."""
    kept_s, refused_s = [], []

    def refuse(_):
        if refused_s:
            kept_s.append(monotonic() - refused_s[-1])
        if len(refused_s) == times:
            return None
        refused_s.append(monotonic())
        return ExportError("busy", again=True, retry_after_s=asked_s)

    fake = Fake(refuse, live=False)
    fake.kept_s = kept_s
    return fake


def test_flushes_ask_nothing_of_a_server_that_has_asked_for_a_pause():
    fake = refusing(1, LONG_S)
    tracer = SpanTracer(fake)
    for number in range(10):
        Told(tracer, f"call {number}").quick(3).end()
        assert not tracer.flush(LONG_S / 2)
        assert fake.calls == 1
    assert tracer.counts == (40, 0, 0, 0, 40)
    tracer._pipeline.close(LONG_S / 4)


@pytest.mark.parametrize("times", [1, 3])
def test_a_flush_with_time_for_it_waits_for_the_end_of_a_pause(times):
    fake = refusing(times, SHORT_S)
    tracer = SpanTracer(fake)
    Told(tracer).quick(3).end()
    assert tracer.flush(PATIENCE_S)
    assert len(fake.kept_s) == times
    assert min(fake.kept_s) >= SHORT_S
    assert tracer.counts == (4, 4, 0, 0, 0)


def test_a_pause_of_our_own_is_cut_short_by_a_flush():
    fake = Fake(lambda batch: again(batch) if fake.calls < 8 else None)  # the last of them would be of half a minute
    tracer = SpanTracer(fake)
    Told(tracer).quick(3).end()
    while not tracer.flush(PATIENCE_S):
        assert fake.calls < 8
    assert tracer.counts.exported == 4


@pytest.mark.parametrize("asked_s", [0.0, None])
def test_who_asks_for_no_pause_gets_ours(asked_s):
    """Else a flush would ask again and again, for as long as it may take."""
    fake = refusing(1_000, asked_s)
    tracer = SpanTracer(fake)
    Told(tracer).end()
    assert not tracer.flush(PATIENCE_S)
    assert fake.calls <= 2  # the thread may have been there before
    tracer._pipeline.close(LONG_S / 4)


def said_at_the_end(caplog):
    return [record.getMessage() for record in caplog.records if "before the process ended" in record.getMessage()]


def test_at_the_end_of_the_process_a_pause_that_is_over_in_time_is_waited_for(caplog):
    caplog.set_level(logging.WARNING, "hush.tracing")
    fake = refusing(2, SHORT_S)
    tracer = SpanTracer(fake)
    Told(tracer).quick(3).end()
    tracer._pipeline.close(LONG_S / 4)
    assert min(fake.kept_s) >= SHORT_S
    assert tracer.counts == (4, 4, 0, 0, 0)
    assert not said_at_the_end(caplog)


def test_at_the_end_of_the_process_a_pause_that_is_too_long_is_kept_and_the_log_says_so(caplog):
    caplog.set_level(logging.WARNING, "hush.tracing")
    fake = refusing(1, LONG_S)
    tracer = SpanTracer(fake)
    Told(tracer).quick(3).end()
    assert not tracer.flush(0.5)
    tracer._pipeline.close(LONG_S / 2)
    assert fake.calls == 1
    assert fake.closed == 1
    assert tracer.counts == (4, 0, 0, 4, 0)
    (said,) = said_at_the_end(caplog)
    assert re.fullmatch(r"4 spans were not exported .* ended: busy; it is to be left alone for [3-6]\d s more", said)


def test_a_collector_that_says_retry_after_is_asked_once_by_many_flushes(receiver):
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]}, outputs=PARENT)
    receiver.always = Answer(429, {"retry-after": "60"})
    tracer = OTelTracer(receiver.url)
    for _ in range(3):  # as calls of a function without a server of its own
        Hush(graph).run_sync({"x": 1}, tracer=tracer)
        assert not tracer.flush(LONG_S / 2)
    tracer._pipeline.close(LONG_S / 4)
    assert len(receiver.asked) == 1

"""What the log says of lost spans: each of them once, with the reason for which it was lost, and not too often."""

from __future__ import annotations

import itertools
import logging
import re
from collections import Counter
from threading import Condition

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.observability._complaints import EVERY_S, MOST_REASONS, OTHERS, Complaints
from hush.observability._exporter import ExportError
from hush.observability._tracer import SpanTracer
from observability.fakes import PATIENCE_S, Fake, Gate, Told

SAID = re.compile(r"(?P<why>.*) \((?P<lost>[\d,]+) spans? lost\)")


class Log(logging.Handler):
    """Keeps what is said, with when it was."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock
        self.said = []

    def emit(self, record):
        self.said.append((self.clock(), record.getMessage()))

    def __enter__(self):
        logging.getLogger("hush.tracing").addHandler(self)
        return self

    def __exit__(self, *_):
        logging.getLogger("hush.tracing").removeHandler(self)

    def lost(self):
        """How many spans it says were lost, by why."""
        found = Counter()
        for _, text in self.said:
            if match := SAID.fullmatch(text):
                found[match["why"]] += int(match["lost"].replace(",", ""))
        return +found


class Clock:
    now_s = 1_000.0

    def __call__(self):
        return self.now_s


def complaints():
    clock = Clock()
    return Complaints(Condition(), clock), clock


REASONS = st.sampled_from(["full", "refused", "odd", "too large"])
HAPPENS = st.lists(
    st.tuples(st.sampled_from(["note", "say", "say noted"]), REASONS, st.integers(0, 3_000), st.floats(0.0, 50.0))
)


@given(HAPPENS)
def test_each_loss_is_said_once_with_its_own_reason(happens):
    spoken, clock = complaints()
    truth = Counter()
    with Log(clock) as log:
        for what, why, lost, after_s in happens:
            clock.now_s += after_s
            if what == "say noted":
                spoken.say_noted()
            else:
                getattr(spoken, what)(why, lost)
                truth[why] += lost
        before_the_end = sorted({at_s for at_s, _ in log.said})
        spoken.say_rest()
        spoken.say_rest()
    assert log.lost() == +truth
    assert all(after - before >= EVERY_S for before, after in itertools.pairwise(before_the_end))


def test_what_cost_nothing_is_not_said_when_it_is_long_over():
    spoken, clock = complaints()
    with Log(clock) as log:
        spoken.say("the first", 0, passing=True)
        spoken.say("not now", 0, passing=True)
        clock.now_s += 2 * EVERY_S
        spoken.say_noted()
        spoken.say_rest()
    assert [text for _, text in log.said] == ["the first (0 spans lost)"]


def test_a_fault_that_cost_nothing_is_said_all_the_same_and_once():
    spoken, clock = complaints()
    with Log(clock) as log:
        spoken.say("the first", 1)
        spoken.note("two tracers write to the same place")
        spoken.note("two tracers write to the same place")
        spoken.say_noted()
        clock.now_s += EVERY_S
        spoken.say_noted()
        spoken.note("an event was not understood")
        spoken.say_rest()
    assert [text for _, text in log.said][1:] == [
        "two tracers write to the same place (0 spans lost)",
        "an event was not understood (0 spans lost)",
    ]


def test_of_reasons_without_end_only_so_many_are_kept_and_no_loss_is_forgotten():
    spoken, clock = complaints()
    with Log(clock) as log:
        spoken.say("the first", 1)
        for number in range(1_000):
            spoken.say(f"reason {number}", 2)
        spoken.say_rest()
    assert len(log.said) == MOST_REASONS + 2
    lost = log.lost()
    assert lost.total() == 2_001
    assert lost[OTHERS] == 2 * (1_000 - MOST_REASONS)


def test_what_was_held_back_is_said_when_a_minute_is_over():
    spoken, clock = complaints()
    with Log(clock) as log:
        spoken.say("the first", 1)
        spoken.say("full", 5)
        spoken.say("odd", 2)
        spoken.say_noted()
        assert len(log.said) == 1
        clock.now_s += EVERY_S
        spoken.say_noted()
        assert log.lost() == {"the first": 1, "full": 5, "odd": 2}


# ── As a tracer says it ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def log():
    with Log(Clock()) as found:
        yield found


def complain(pipeline):
    """Something is said, so that all else is held back for a minute."""
    pipeline._complaints.say("the first", 0)


def test_spans_for_which_there_was_no_room_are_said_to_be_that_at_the_end(log):
    """All others were exported: there was time enough."""
    gate = Gate()
    tracer = SpanTracer(gate, max_pending=100)
    told = Told(tracer)
    assert gate.entered.wait(PATIENCE_S)
    complain(tracer._pipeline)
    told.slow(20_000).end()
    gate.open.set()
    assert tracer.flush(PATIENCE_S)
    tracer._pipeline.close(PATIENCE_S)
    counts = tracer.counts
    assert counts.pending == 0
    assert counts.dropped > 0
    assert log.lost() == {"spans are dropped: 100 wait already": counts.dropped}
    assert "before the process ended" not in str(log.said)


def test_losses_of_several_kinds_are_told_apart_at_the_end(log):
    opened = []

    def refuse(batch):
        opened.append(len(batch.ended))
        return ExportError("too old", again=len(opened) > 1)

    tracer = SpanTracer(Fake(refuse, live=False, most=50))
    complain(tracer._pipeline)
    Told(tracer).quick(99).end()
    tracer.flush(PATIENCE_S)
    tracer._pipeline.close(PATIENCE_S)
    assert tracer.counts.dropped == 100
    assert log.lost() == {"spans cannot be exported: too old": opened[0]}
    (last,) = (text for _, text in log.said if "before the process ended" in text)
    assert last == f"{100 - opened[0]} spans were not exported before the process ended: too old"


def test_a_batch_that_was_refused_for_good_is_no_reason_for_what_comes_after_it(log):
    gate = Gate()
    fakes = iter([Fake(lambda _: ExportError("too old", again=False), live=False, most=10), gate])
    first = next(fakes)

    class Both(Fake):
        def export(self, batch):
            (first if not first.calls else gate).export(batch)

    tracer = SpanTracer(Both(live=False, most=10))
    Told(tracer).quick(49).end()
    assert gate.entered.wait(PATIENCE_S)
    tracer._pipeline.close(0.0)
    (last,) = (text for _, text in log.said if "before the process ended" in text)
    assert last == "40 spans were not exported before the process ended: no answer yet"
    gate.open.set()


def test_what_a_tracer_that_is_thrown_away_has_lost_is_said(log):
    """Nobody will ask for it at the end of the process: it is gone by then."""
    tracer = SpanTracer(Fake(lambda _: ExportError("too old", again=False), live=False))
    complain(tracer._pipeline)
    Told(tracer).quick(9).end()
    assert tracer.flush(PATIENCE_S)
    assert not log.lost()
    thread = tracer._pipeline._thread
    del tracer
    thread.join(PATIENCE_S)
    assert log.lost() == {"spans cannot be exported: too old": 10}


def test_a_shared_exporter_whose_thread_has_ended_says_it_at_the_end_of_the_process(log):
    tracer = SpanTracer(Fake(lambda _: ExportError("too old", again=False), live=False))
    pipeline = tracer._pipeline
    pipeline.linger_s = 0.001  # as one that is kept for the next tracer
    complain(pipeline)
    Told(tracer).quick(9).end()
    assert tracer.flush(PATIENCE_S)
    thread = pipeline._thread
    del tracer
    thread.join(PATIENCE_S)
    assert not log.lost()
    pipeline.close(PATIENCE_S)
    assert log.lost() == {"spans cannot be exported: too old": 10}

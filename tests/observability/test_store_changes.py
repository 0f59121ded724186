"""Whatever the order in which spans begin, change, end and are left out: the file holds what was told last."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hush.observability import TraceStore
from hush.observability._exporter import ExportError
from hush.observability._local._writer import LocalWriter
from hush.observability._span import Batch, RunRecord, Span
from kit import records as kit
from kit.tiers import every_change

# What happens to a span in a batch, or to the writer before it.
SPANS = st.lists(
    st.tuples(st.sampled_from(["begin", "begin", "end", "end", "leave out"]), st.integers(0, 2), st.integers(0, 5)),
    max_size=6,
    unique_by=lambda each: each[1:],
)
BATCHES = st.lists(
    st.tuples(SPANS, st.sampled_from(["", "", "", "reopen", "fail", "lock"]), st.sampled_from(["", "", "run"])),
    min_size=1,
    max_size=8,
)


@pytest.fixture(scope="module")
def one_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("traces") / "t.db"
    return LocalWriter(str(path)), LocalWriter(str(path)), TraceStore(path), count()


@settings(every_change, max_examples=60)
@given(batches=BATCHES)
def test_the_file_holds_what_was_told_last(one_file, batches):
    writer, other, store, numbers = one_file
    base = next(numbers) * 10
    traces = [f"{base + n:032x}" for n in range(3)]
    told: dict[str, dict[str, Span]] = {trace: {} for trace in traces}
    for at, (spans, before, after) in enumerate(batches):
        ended, running, gone, now = [], [], [], {trace: dict(found) for trace, found in told.items()}
        for what, run, number in spans:
            trace = traces[run]
            span = kit.span(number, trace, round=at)
            there = now[trace].get(span.id)
            if there is not None and there.ended_ns is not None:
                continue  # it has ended, once and for all
            if what == "begin":
                span = span._replace(ended_ns=None, status="running")
                running.append(span)
                now[trace][span.id] = span
            elif what == "end":
                ended.append(span)
                now[trace][span.id] = span
            elif what == "leave out" and there is not None:
                gone.append((trace, span.id))
                del now[trace][span.id]
        runs: list[RunRecord] = []
        if after == "run":
            last = at == len(batches) - 1
            runs = [kit.run(traces[0])] if last else [kit.run(trace, trace, "running") for trace in traces]
        if runs and runs[0].status == "ok":  # what is under way then never ends: its end was dropped
            now[traces[0]] = {key: span for key, span in now[traces[0]].items() if span.ended_ns is not None}
        batch = Batch(tuple(ended), tuple(running), tuple(gone), tuple(runs))
        if before == "reopen":
            writer.close()
        elif before == "fail":
            with pytest.raises(ExportError):
                writer.export(batch._replace(ended=(*ended, kit.span(9, traces[1], path=None))))
        elif before == "lock":
            other.export(Batch())
        writer.export(batch)
        told = now
        for trace, found in told.items():
            if found:
                assert {span.id: span for span in store.spans(trace)} == found

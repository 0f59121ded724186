"""Traces in Chrome's format: valid, nothing lost, and in no lane do two events overlap without nesting."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.observability._chrome import chrome_events, write_chrome
from hush.observability._span import Wait
from kit import runs_seen
from kit.runs_seen import Seen, failure, ns
from kit.tiers import every_change

SCENES = {
    "thousand": lambda: runs_seen.failed_thousand(items=200),
    "killed": runs_seen.killed,
    "models": runs_seen.llm_batch,
    "nested": runs_seen.nested,
    "empty": runs_seen.empty,
}


def written(seen: Seen, **more):
    file = io.StringIO()
    count = write_chrome(seen.record(), seen.spans, file, **more)
    document = json.loads(file.getvalue(), parse_constant=pytest.fail)
    assert len(document["traceEvents"]) == count
    return document


def assert_nested(events):
    """In each lane whatever begins inside an event ends inside it, to the nanosecond, and as viewers add it up."""
    lanes: dict[tuple[int, str], list[tuple[float, float]]] = {}
    for event in events:
        if event["ph"] == "X":
            start, tid = round(event["ts"] * 1000), event["tid"]
            lanes.setdefault((tid, "ns"), []).append((start, start + round(event["dur"] * 1000)))
            lanes.setdefault((tid, "us"), []).append((event["ts"], event["ts"] + event["dur"]))
    for stretches in lanes.values():
        open_until: list[float] = []
        for start, end in sorted(stretches, key=lambda one: (one[0], -one[1])):
            while open_until and open_until[-1] <= start:
                open_until.pop()
            assert not open_until or end <= open_until[-1]
            open_until.append(end)


@pytest.mark.parametrize("scene", SCENES)
def test_events_are_as_the_format_has_them(scene):
    seen = SCENES[scene]()
    document = written(seen)
    assert document["displayTimeUnit"] == "ms"
    assert document["otherData"]["trace"] == runs_seen.TRACE
    events = document["traceEvents"]
    named: set[int] = set()
    for event in events:
        assert {"ph", "name", "pid", "tid"} <= event.keys()
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name", "thread_sort_index")
            named.add(event["tid"])
        else:
            assert event["ph"] == "X"
            assert event["ts"] >= 0
            assert event["dur"] >= 0
            assert event["tid"] in named
    assert_nested(events)
    ids = [event["args"]["id"] for event in events if event["ph"] == "X" and event["cat"] not in ("wait", "retry")]
    assert sorted(ids) == sorted(span.id for span in seen.spans)
    waits = [event for event in events if event.get("cat") == "wait"]
    assert len(waits) == sum(wait.admitted_ns != wait.queued_ns for span in seen.spans for wait in span.waits)


def test_a_map_has_a_lane_for_each_slot():
    seen = runs_seen.failed_thousand(items=200)
    events = written(seen)["traceEvents"]
    lanes = [event["args"]["name"] for event in events if event["name"] == "thread_name"]
    assert lanes[0] == "shop"
    assert len(lanes) == 16  # the first of each is in the lane of what is around it
    assert lanes[1:3] == ["shop/orders 1", "shop/orders 2"]


def test_what_has_not_ended_ends_with_the_trace():
    seen = runs_seen.killed()
    events = written(seen, until_ns=runs_seen.ns(10_000))["traceEvents"]
    (run,) = (event for event in events if event.get("cat") == "run")
    assert run["dur"] == 10_000_000
    assert run["args"]["status"] == "crashed"


@st.composite
def anything(draw):
    """Spans with any instants: inside what is around them or not, with waits anywhere."""
    seen = Seen("any")
    spans = [seen.run(100)]
    instant = st.integers(0, 120)
    for _ in range(draw(st.integers(0, 25))):
        parent = draw(st.sampled_from(spans))
        start = draw(instant)
        end = draw(st.none() | st.integers(start, 130))
        waits = tuple(
            ("l", asked, draw(st.none() | st.integers(asked, 130))) for asked in draw(st.lists(instant, max_size=2))
        )
        kind = draw(st.sampled_from(["code", "graph", "map", "item", "attempt", "llm"]))
        more = {"index": draw(st.integers(0, 3))} if kind == "item" else {}
        if kind == "attempt":
            more["attempt"] = 1
        spans.append(seen.add(parent, kind, draw(st.sampled_from("abc")), start, end, waits=waits, **more))
    return seen, draw(st.permutations(spans))


@every_change
@given(anything())
def test_no_lane_has_a_collision_whatever_the_spans(drawn):
    seen, spans = drawn
    events = list(chrome_events(seen.record(), spans))
    assert_nested(events)
    ids = [event["args"]["id"] for event in events if event["ph"] == "X" and event["cat"] not in ("wait", "retry")]
    assert sorted(ids) == sorted(span.id for span in spans)


def test_names_and_messages_are_data():
    seen = runs_seen.one_node('"}]\x1b[31m\n</script>\ud800')
    text = io.StringIO()
    write_chrome(seen.record(request_id="\x1b]0;x\x07"), seen.spans, text)
    assert "\x1b" not in text.getvalue()
    assert text.getvalue().isascii()
    json.loads(text.getvalue())


def test_what_was_between_attempts_is_an_event_with_its_reason():
    seen = Seen()
    root = seen.run(3000)
    no = failure("app.Busy", "come back in 1 s")
    ask = seen.add(root, "code", "ask", 0, 2500, called=0, attempts=2, retry_s=1.0)
    seen.end(ask, waits=(Wait(("api",), ns(0), ns(0), ns(20), 1), Wait(("api",), ns(1020), ns(1500), ns(2500), 2)))
    seen.add(ask, "attempt", "ask, attempt 1", 0, 20, status="failed", failure=no, attempt=1)
    seen.add(ask, "attempt", "ask, attempt 2", 1500, 2500, attempt=2)
    events = written(seen)["traceEvents"]
    assert_nested(events)
    (pause,) = (event for event in events if event.get("cat") == "retry")
    assert (pause["name"], pause["ts"], pause["dur"]) == ("between attempts", 20_000.0, 1_000_000.0)
    assert pause["args"] == {"path": "shop/ask", "attempt": 1, "error": "app.Busy: come back in 1 s"}
    assert len({event["tid"] for event in events if event["ph"] == "X"}) == 1


@given(st.lists(st.integers(1, 10**9), min_size=2, max_size=30))
@every_change
def test_what_follows_at_once_is_not_taken_to_be_inside(ends_ns):
    """Speedscope drew all that came after an attempt inside it: `ts + dur` was a rounding above the next `ts`."""
    seen = Seen()
    root = seen.run(40_000)
    at_ns = runs_seen.START_NS
    for number, took_ns in enumerate(ends_ns):
        call = seen.add(root, "code", f"call_{number}", 0, 1)
        seen.end(call, started_ns=at_ns, ended_ns=at_ns + took_ns)
        at_ns += took_ns
    events = [event for event in written(seen)["traceEvents"] if event["ph"] == "X"]
    assert len({event["tid"] for event in events}) == 1
    assert_nested(events)

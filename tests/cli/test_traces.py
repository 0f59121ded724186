"""`hush traces`: the list of runs, and what `prune` understands."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.cells import cell_len

from hush.cli._exit import Stop
from hush.cli._traces import bytes_of, listed, seconds_of, size
from hush.cli._words import money
from hush.observability._report import report
from kit import runs_seen

SEEN = [runs_seen.failed_thousand(items=60), runs_seen.killed(), runs_seen.llm_batch(10)]


class Store:
    def __init__(self, seen=SEEN, **more):
        self.seen = {f"{number:x}" * 32: one for number, one in enumerate(seen)}
        self.more = more
        self.asked = []

    def runs(self, limit=20, *, status=None, name=None):
        self.asked.append((limit, status, name))
        return [seen.record(trace=trace, **self.more) for trace, seen in self.seen.items()][:limit]

    def spans(self, trace, *, failed=False):
        return [one for one in self.seen[trace].spans if not failed or one.status in ("failed", "handled", "crashed")]


def said(store=None, *, width=100, **more):
    file = io.StringIO()
    listed(store or Store(), file, width=width, **more)
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "2026-09-21 12:00:00", file.getvalue())


def test_the_list():
    assert said(width=108) == (
        "run       began                graph      status     time  failed     cost  items failed  request\n"
        "00000000  2026-09-21 12:00:00  shop       failed   9.00 s       4                3 of 60  order-7  UniqueVi…\n"
        "11111111  2026-09-21 12:00:00  summaries  crashed                                0 of 40  order-7\n"
        "22222222  2026-09-21 12:00:00  answers    ok       3.10 s          $0.0279       0 of 10  order-7\n"
    )


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
def test_however_narrow_it_is_a_run_has_its_name_how_it_ended_and_its_request(width):
    lines = said(width=width).splitlines()
    assert all(len(line) <= width for line in lines)
    for line, run, status in zip(lines[1:], "012", ("failed", "crashed", "ok"), strict=True):
        assert line.startswith(run * 8)
        assert status in line
        assert "order-7" in line


def test_as_many_failures_as_the_run_is_shown_with():
    """A loop that fails by itself is a failure too, and what fails because of it is none."""
    seen = runs_seen.Seen()
    late = runs_seen.failure("hush.core.errors.TooManyIterations", "5 rounds")
    root = seen.run(100, "partial")
    rows = seen.add(root, "map", "rows", 0, 99, status="partial", done=2, failed=2, total=2)
    for index in range(2):
        item = seen.add(rows, "item", "rows", 1, 9, index=index, status="failed", failure=late)
        loop = seen.add(item, "while", "wait", 2, 8, status="failed", failure=late)
        seen.add(loop, "code", "poll", 3, 7)
    [run] = json.loads(said(Store([seen]), as_json=True))["runs"]
    found = report(seen.record(), seen.spans)
    assert run["failed"] == sum(group.number for group in found.failures) == 2


def test_columns_that_no_run_has_are_not_shown():
    assert said(Store([runs_seen.one_node("no")])) == (
        "run       began                graph  status    time  failed  request\n"
        "00000000  2026-09-21 12:00:00  tiny   failed  3.0 ms       1  order-7  ValueError: no\n"
    )


def test_no_span_is_read_to_say_what_models_cost():
    class Many(Store):
        def spans(self, trace, *, failed=False):
            assert failed
            return super().spans(trace, failed=failed)

    [run] = json.loads(said(Many([runs_seen.llm_batch(20)]), as_json=True))["runs"]
    assert run["cost"] == pytest.approx(16 * 0.0031)
    assert run["unpriced_calls"] == 1


def test_the_list_as_json():
    found = json.loads(said(as_json=True))
    assert found["version"] == 1
    assert [(run["name"], run["status"], run["failed"]) for run in found["runs"]] == [
        ("shop", "failed", 4),
        ("summaries", "crashed", 0),
        ("answers", "ok", 0),
    ]
    assert found["runs"][0]["error"].startswith("psycopg.errors.UniqueViolation: ")
    assert found["runs"][1]["seconds"] is None
    assert found["runs"][2]["cost"] == pytest.approx(9 * 0.0031)
    assert [run["items"] for run in found["runs"]] == [
        {"done": 60, "failed": 3},
        {"done": 40, "failed": 0},
        {"done": 10, "failed": 0},
    ]


def test_what_is_asked_for_goes_to_the_store():
    store = Store()
    said(store, limit=2, status="failed", name="shop")
    assert store.asked == [(2, "failed", "shop")]


def test_none():
    assert said(Store([])) == "no run\n"


def test_hostile_texts_in_the_list():
    evil = "[red]x\x1b[2J\nnext\u202e" * 3
    text = said(Store(request_id=evil, name=evil, failure=None), width=70)
    assert len(text.splitlines()) == 4
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert all(cell_len(line) <= 70 for line in text.splitlines())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30d", 2_592_000),
        ("12h", 43_200),
        ("1.5m", 90),
        ("10s", 10),
        ("2w", 1_209_600),
        (" 3 d ", 259_200),
        ("7", 604_800),
    ],
)
def test_ages(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    ("text", "number"),
    [("500MB", 500_000_000), ("2GiB", 2 << 30), ("10k", 10_000), ("7", 7), ("1.5 kib", 1536), ("3b", 3)],
)
def test_sizes(text, number):
    assert bytes_of(text) == number


@pytest.mark.parametrize("text", ["", "d", "-1d", "3y", "1e9d", "٣d", "9" * 400])
def test_what_is_no_age_or_size_is_refused(text):
    with pytest.raises(Stop, match="--older-than"):
        seconds_of(text)
    with pytest.raises(Stop, match="--max-size"):
        bytes_of(text if text != "d" else "x")


def test_sizes_in_words():
    assert [size(number) for number in (0, 999, 1500, 2_000_000, 123_456_789)] == [
        "0 bytes",
        "999 bytes",
        "1.5 KB",
        "2.0 MB",
        "123 MB",
    ]


def test_costs_in_words():
    assert [money(dollars) for dollars in (0, 6e-8, 0.00006, 0.00404, 1, 1234.5)] == [
        "$0.00",
        "<$0.0001",  # "$0.0000" said that it was for nothing
        "$0.0001",
        "$0.0040",
        "$1.00",
        "$1,234.50",
    ]

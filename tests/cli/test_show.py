"""`hush show`: what it says of all kinds of runs, on any width, in any encoding, whatever the texts in a trace are."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from hush.cli._exit import Stop
from hush.cli._show import shown
from hush.cli._timeline import UNICODE, Stretch, cells, stretches
from hush.cli._tree import Tree
from hush.core.errors import HushError
from hush.observability._report import report
from hush.observability._span import Failure, Frame, Generation, Totals, Wait
from kit import runs_seen
from kit.runs_seen import Seen, failure, ns
from kit.tiers import every_change

SCREENS = Path(__file__).parent / "screens"
STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
SCENES = ["failed_thousand", "killed", "llm_batch", "nested", "one_node", "empty", "in_threads"]


class Store:
    """A store of one run."""

    def __init__(self, seen: Seen, **more):
        self.seen, self.record = seen, seen.record(**more)

    def find(self, text):
        if text not in ("last", self.record.request_id):
            raise HushError(f"there is no run {text!r}")
        return self.record

    def spans(self, trace):
        assert trace == self.record.trace
        return iter(self.seen.spans)


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def said(seen: Seen, *, width: int | None = 80, file: io.StringIO | None = None, **more) -> str:
    file = io.StringIO() if file is None else file
    shown(Store(seen), width=width, file=file, **more)
    return file.getvalue()


# ── What it says ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("scene", SCENES)
def test_the_screen(scene):
    """As it was when somebody last looked at it. To look again: delete the file, run this twice, and read it."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "2026-09-21 12:00:00", said(getattr(runs_seen, scene)()))
    file = SCREENS / f"{scene}.txt"
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        pytest.fail(f"{file.name} is new")
    assert text == file.read_text(encoding="utf-8")


def test_a_failed_run_of_a_thousand_says_what_why_and_where_the_time_went_in_its_first_lines():
    lines = said(runs_seen.failed_thousand()).splitlines()
    assert "failed after 9.00 s" in lines[0]
    first = "\n".join(lines[:25])
    assert 'duplicate key value violates "orders_pkey"' in first
    assert "32 times" in first
    assert "items 12 (SKU-84), 43 (SKU-301)" in first
    assert "/home/me/shop/prices.py:31 in parse" in first
    assert "\n".join(lines).index("Where the time went") < "\n".join(lines).index("Timeline")


def test_source_is_shown_where_it_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prices.py").write_text("\n" * 30 + "    raise ValueError('no [bold]price[/bold]')\n", encoding="utf-8")
    os.utime(tmp_path / "prices.py", (1, 1))
    seen = Seen("s")
    boom = failure("ValueError", "no", file=str(tmp_path / "prices.py"))
    root = seen.run(9, "failed", failure=boom)
    seen.add(root, "code", "a", 1, 2, status="failed", failure=boom)
    text = said(seen)
    assert "   prices.py:31 in parse\n       raise ValueError('no [bold]price[/bold]')\n" in text


def test_causes_notes_and_long_messages():
    seen = Seen("s")
    inner = Failure("OSError", "[Errno 28] No space left on device", (Frame("/home/me/shop/disk.py", 4, "write"),))
    boom = failure("RuntimeError", "\n".join(f"line {n}" for n in range(40)), causes=(inner,), notes=("in node 'a'",))
    root = seen.run(9, "failed", failure=boom)
    seen.add(root, "code", "a", 1, 2, status="failed", failure=boom)
    text = said(seen)
    assert "   line 5\n   (34 more lines)\n" in text
    assert "   note: in node 'a'\n" in text
    assert "   caused by OSError: [Errno 28] No space left on device\n   /home/me/shop/disk.py:4 in write\n" in text
    assert "line 39" in said(seen, everything=True)


def test_everything_is_a_line_for_each_span():
    seen = runs_seen.nested()
    text = said(seen, everything=True, width=200)
    tree = text[text.index("Timeline") :].splitlines()[1:]
    assert len(tree) == len(seen.spans)


@pytest.mark.parametrize("scene", [*SCENES, "sampled"])
def test_what_is_folded_is_counted(scene):
    """The items of a map that are shown, those that are folded, and those that were left out of the trace, are all."""
    seen = runs_seen.failed_thousand(keep_all=False) if scene == "sampled" else getattr(runs_seen, scene)()
    rows = list(Tree(seen.record(), seen.spans, runs_seen.ns(9000), UNICODE, everything=False).rows())
    for number, row in enumerate(rows):
        if row.bar is None or row.bar.done is None:
            continue
        depth = len(row.guide)
        count = 0
        for below in rows[number + 1 :]:
            if len(below.guide) <= depth:
                break
            if len(below.guide) == depth + 3:
                folded = re.search(r"([\d,]+) more items?", below.name)
                count += int(folded[1].replace(",", "")) if folded else 1
        under_way = sum(
            span.kind == "item" and span.parent == row.bar.id and span.ended_ns is None for span in seen.spans
        )
        assert count == row.bar.done + under_way


def test_what_failed_far_within_is_found_among_faster_items_that_went_well():
    """An item that ends well may hold a map of which an item failed: it comes before those that are only slow."""
    seen = Seen("far")
    root = seen.run(1000)
    outer = seen.add(root, "map", "outer", 0, 1000, done=20, total=20, failed=0)
    for number in range(20):
        item = seen.add(outer, "item", "outer", 0, 999 - number, index=number)
        inner = seen.add(item, "map", "inner", 0, 500, done=20, total=20, failed=int(number == 17))
        for other in range(20):
            failed = (number, other) == (17, 13)
            one = seen.add(inner, "item", "inner", 0, 9, index=other, status="failed" if failed else "ok")
            why = {"status": "failed", "failure": failure("ValueError", "no")} if failed else {}
            seen.add(one, "code", "n", 0, 9, **why)
    rows = list(Tree(seen.record(), seen.spans, runs_seen.ns(1000), UNICODE, everything=False).rows())
    marked = [(row.mark, row.name) for row in rows if row.mark]
    assert marked == [("!", "far"), ("!", "outer"), ("!", "[17]"), ("!", "inner"), ("✗", "[13] n")]
    assert [row.name for row in rows[-1:]] == ["… 17 more items ok"]


def test_no_more_rows_than_one_looks_at():
    seen = Seen("wide")
    root = seen.run(1000)
    for number in range(500):
        held = seen.add(root, "graph", f"g{number}", number, number + 1)
        for inner in range(5):
            seen.add(held, "code", f"n{inner}", number, number + 0.5)
    assert len(said(seen).splitlines()) < 220


def test_graphs_may_nest_deep():
    seen = Seen("deep")
    around = seen.run(9000)
    for number in range(3000):
        around = seen.add(around, "graph", "g", number, 9000 - number)
    seen.add(around, "code", "leaf", 4000, 4001)
    assert "and more: --all" in said(seen)
    json.loads(said(seen, form="json", everything=True))
    json.loads(said(seen, form="chrome"))


# ── Where it is said ─────────────────────────────────────────────────────────────────────────────────────────────────


@every_change
@given(st.sampled_from(SCENES), st.integers(40, 160))
def test_no_line_is_wider_than_the_terminal(scene, width):
    for line in said(getattr(runs_seen, scene)(), width=width).splitlines():
        assert cell_len(line) <= width
        assert line == line.rstrip()


@pytest.mark.parametrize("scene", SCENES)
def test_where_only_ascii_can_be_written_it_is(scene):
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii")
    shown(Store(getattr(runs_seen, scene)()), width=80, file=file)
    file.flush()
    assert raw.getvalue().decode("ascii").count("Timeline") == 1


def test_colours_are_for_terminals(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    seen = runs_seen.one_node("no")
    assert "\x1b[" not in said(seen)
    assert "\x1b[1;31m" in said(seen, file=Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;31m" not in said(seen, file=Terminal())


def test_into_a_file(tmp_path, capsys):
    target = tmp_path / "run.json"
    shown(Store(runs_seen.one_node()), form="chrome", output=str(target))
    assert json.loads(target.read_text(encoding="utf-8"))["traceEvents"]
    with pytest.raises(Stop, match="No such file"):
        shown(Store(runs_seen.one_node()), output=str(tmp_path / "none" / "x"))
    assert capsys.readouterr().out == ""


def test_what_is_not_there_is_the_stores_to_say():
    with pytest.raises(HushError, match="no run 'x'"):
        shown(Store(runs_seen.empty()), "x", file=io.StringIO())


# ── Hostile texts ────────────────────────────────────────────────────────────────────────────────────────────────────

HOSTILE = "[red]x[/red]\x1b]0;owned\x07\x1b[2J\r\nsecond\u202eline\u2066\x9b31m:smile:\ud800"


def hostile(text: str) -> Seen:
    """A run whose every text is this one."""
    seen = Seen(text)
    frames = (Frame(text, 3, text), Frame(f"/home/{text}.py", 4, text))
    boom = Failure(text, text, frames, notes=(text,), causes=(Failure(text, text, frames),))
    root = seen.run(100, "failed", failure=boom, tags=(text,))
    rows = seen.add(root, "map", text, 1, 90, done=1, failed=1, total=2)
    item = seen.add(rows, "item", text, 2, 80, index=0, key=text, status="failed", failure=boom)
    seen.add(
        item,
        "llm",
        text,
        3,
        70,
        ready=2,
        called=30,
        waits=((text, 4, 30),),
        status="failed",
        failure=boom,
        inputs={text: text, "list": [text]},
        attempts=2,
        generation=Generation(text, text, {text: 3}, 0.1),
        rerouted=((text, boom),),
    )
    seen.add(root, "code", text, 91, 99, status="cancelled", waits=((text, 92, None),))
    return seen


@pytest.mark.parametrize("form", ["text", "json", "chrome"])
@pytest.mark.parametrize("everything", [False, True])
def test_no_text_steers_the_terminal(form, everything):
    seen = hostile(HOSTILE)
    more = {"request_id": HOSTILE, "user_id": HOSTILE, "session_id": HOSTILE, "tags": (HOSTILE,)}
    file = io.StringIO()
    shown(Store(seen, **more), form=form, everything=everything, file=file, width=120)
    text = file.getvalue()
    assert STEERING.search(text) is None
    text.encode("utf-8")
    if form == "text":
        assert "[red]x[/red]" in text
        assert all(not line.startswith("second") for line in text.splitlines())


@every_change
@given(st.text(max_size=40))
def test_no_text_at_all_does(text):
    file = io.StringIO()
    seen = hostile(text)
    shown(Store(seen, request_id=text, tags=(text,)), file=file, width=80)
    assert STEERING.search(file.getvalue()) is None
    for line in file.getvalue().split("\n"):
        assert cell_len(line) <= 80


def test_lines_are_as_many_as_with_harmless_texts():
    """No text begins a line, but that a message has lines."""
    plain, steering = said(hostile("x" * 30), width=160), said(hostile("x\r\x0b\x85\u2028\u2029" * 6), width=160)
    tree = [text[text.index("Timeline") :].count("\n") for text in (plain, steering)]
    assert tree[0] == tree[1]


# ── Bars ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def drawn(parts, width=10, end=100):
    signs = {"call": "#", "wait": ".", "retry": "~", "hold": "-", None: " "}
    return "".join(signs[one] for one in cells([Stretch(*part) for part in parts], 0, end, width))


def test_what_bars_show():
    assert drawn([("call", 0, 100)]) == "##########"
    assert drawn([("call", 0, 100), ("wait", 0, 50)]) == ".....#####"
    assert drawn([("call", 20, 80), ("retry", 40, 60)]) == "  ##~~##  "
    assert drawn([("call", 33, 34)]) == "   #      "
    assert drawn([("call", 100, 100)]) == "         #"
    assert drawn([("call", 500, 700)]) == "         #"
    assert drawn([]) == " " * 10
    assert drawn([("call", 0, 1)], width=0) == ""


@every_change
@given(
    st.lists(st.tuples(st.sampled_from(["call", "wait"]), st.integers(-50, 200), st.integers(0, 100))),
    st.integers(1, 99),
)
def test_what_is_shown_takes_a_cell(parts, width):
    found = cells([Stretch(phase, first, first + much) for phase, first, much in parts], 0, 100, width)
    assert len(found) == width
    assert any(found) == bool(parts)


def test_the_parts_of_a_call_that_was_tried_again():
    seen = runs_seen.llm_batch(1)
    ask = next(span for span in seen.spans if span.kind == "llm")
    attempts = [span for span in seen.spans if span.kind == "attempt"]
    assert [one.phase for one in stretches(ask, attempts, ask.ended_ns)] == ["wait", "call", "retry", "wait"]


def test_a_killed_run_lasted_until_the_last_sign_of_life():
    """Else a call that hung for an hour before the process was killed is said to have taken a few ms."""
    seen = runs_seen.killed()
    record = seen.record(status="crashed", ended_ns=None)
    assert report(record._replace(seen_ns=record.started_ns + 10**12), seen.spans).seconds == 1000.0


def test_a_map_in_worker_processes_was_under_way_though_nothing_tells_of_its_items():
    seen = Seen()
    root = seen.run(None, "crashed")
    seen.add(root, "map", "rows", 0, None, status="crashed", done=5, failed=0, total=100)
    found = report(seen.record(status="crashed"), seen.spans)
    assert [(call.path, call.kind) for call in found.under_way] == [("shop/rows", "map")]


# ── What others found who looked at runs that they knew ──────────────────────────────────────────────────────────────


def refused() -> Seen:
    """A second in which a limit was closed, because of what a server said in more than one line."""
    seen = Seen()
    root = seen.run(2000, "partial")
    no = failure("httpx.HTTPStatusError", "429 Too Many Requests\nFor more information check: https://example.com/429")
    ask = seen.add(root, "code", "ask", 0, 2000, called=0, attempts=2, retry_s=1.0)
    waits = (Wait(("api",), ns(0), ns(0), ns(20), 1), Wait(("api",), ns(1000), ns(1020), ns(2000), 2))
    seen.end(ask, waits=waits)
    seen.add(ask, "attempt", "ask, attempt 1", 0, 20, status="failed", failure=no, attempt=1)
    seen.add(ask, "attempt", "ask, attempt 2", 1000, 2000, attempt=2)
    for number in range(3):
        call = seen.add(root, "code", f"wait_{number}", 10, 1500, called=1020)
        seen.end(call, waits=(Wait(("api",), ns(10), ns(1020), ns(1500)),))
    return seen


def test_what_stopped_a_limit_is_said_where_the_time_went():
    text = said(refused(), width=200)
    assert "for 1.01 s by the clock api held fewer than 2 calls, of 4 at most, though others waited: a refusal" in text


def test_a_reason_is_its_first_line():
    text = said(refused(), width=200)
    assert "    429 Too Many Requests\n" in text
    assert "For more" not in text


def test_a_node_that_waited_for_most_of_its_time_is_not_taken_for_a_slow_one():
    [row] = [line for line in said(refused()).splitlines() if line.startswith("  wait_0 ")]
    assert row.endswith("  68 %")


@pytest.mark.parametrize("scene", [*SCENES, "refused"])
def test_in_a_narrow_terminal_no_number_is_cut(scene):
    """Names are, and lines of source; sentences go on below, and a column that has no room is left out."""
    seen = refused() if scene == "refused" else getattr(runs_seen, scene)()
    told = said(seen, width=40).partition("Timeline")[0].partition("Where the time went")[2]
    for line in told.partition("Tried again")[0].splitlines() + told.partition("Slowest nodes")[2].splitlines():
        assert line == line.rstrip()
        assert not line.endswith("…") or line.startswith(("  longest", "  …", "    "))


def test_a_cause_in_a_narrow_terminal_says_how_often_and_what_became_of_it():
    text = said(runs_seen.failed_thousand(), width=40)
    assert "   32 times, the run went on\n" in text
    assert all(cell_len(line) <= 40 for line in text.splitlines())


def test_a_killed_map_of_short_calls_is_not_said_to_wait_for_its_source():
    seen = Seen()
    root = seen.run(None, "crashed")
    seen.add(root, "map", "rows", 0, None, status="crashed", done=2, failed=0, total=100)
    totals = (Totals("shop/rows/read", "code", 7, attempts=7, seconds=0.1),)
    file = io.StringIO()
    store = Store(seen)
    store.record = seen.record(status="crashed")._replace(totals=totals, produced=len(seen.spans) + 35)
    shown(store, width=100, file=file)
    assert "at least 2 items, 0 failed; 2 spans, at least 35 lost with its process\n" in file.getvalue()
    assert "rows  with at least 5 items, none at a call that had taken half a second\n" in file.getvalue()


def test_items_in_worker_processes_leave_time_that_is_explained():
    seen = Seen()
    root = seen.run(400)
    rows = seen.add(root, "map", "rows", 0, 400, done=3, failed=0, total=3)
    for index in range(3):
        seen.add(rows, "item", "rows", 390, 400, index=index, called=390)
    text = re.sub(r"\s+", " ", said(seen))
    assert "no call was under way for at least 370 ms: worker processes start then, and items go there and back" in text


@pytest.mark.parametrize("scene", SCENES)
def test_what_is_shown_of_the_time_is_all_of_it(scene):
    text = said(getattr(runs_seen, scene)(), everything=True)
    part = text.partition("Where the time went\n")[2].partition("\n\n")[0]
    rows = re.findall(r" {2}\S.*  (<?)([\d.]+) %(?:  .*)?$", part, re.MULTILINE)
    assert rows or scene == "empty"
    for_less = sum(1 for less, _ in rows if less)
    whole = sum(float(number) for less, number in rows if not less)
    assert not rows or 100 - 0.5 * len(rows) - 0.1 * for_less <= whole <= 100 + 0.5 * len(rows)


def test_calls_in_threads_are_said_to_wait_for_each_other_and_what_helps():
    text = re.sub(r"\s+", " ", said(runs_seen.in_threads(took=6)))
    assert "rows/add_up: 300 calls in worker threads took 5.9 ms each there, and 88 ms to get there and back" in text
    assert 'executor="process"' in text
    assert 'executor="inline"' not in text
    quick = re.sub(r"\s+", " ", said(runs_seen.in_threads(took=0.2)))
    assert 'executor="inline"' in quick
    assert 'executor="process"' not in quick


@pytest.mark.parametrize(("thread_s", "helps"), [(0.012, None), (0.005, "process"), (0.0005, "process")])
def test_no_call_in_a_thread_that_may_have_waited_for_a_server_is_said_to_belong_on_the_loop(thread_s, helps):
    seen = Seen()
    root = seen.run(20)
    rows = seen.add(root, "map", "rows", 0, 20, done=100, failed=0, total=100)
    for index in range(100):
        one = seen.add(rows, "item", "rows", 0, 20, index=index)
        seen.add(one, "code", "ask", 0, 20, called=0, thread_s=thread_s)
    text = said(seen)
    assert 'executor="inline"' not in text
    assert ('executor="process"' in text) is bool(helps)


def test_what_makes_items_is_named_where_no_call_was_under_way():
    seen = Seen()
    root = seen.run(400)
    rows = seen.add(root, "map", "rows", 0, 400, done=1, failed=0)
    one = seen.add(rows, "item", "rows", 390, 400, index=0)
    seen.add(one, "code", "read", 390, 400, called=390)
    assert "no call was under way for 390 ms, as while the items of rows are made\n" in said(seen, width=100)
    seen.end(next(span for span in seen.spans if span.path == "shop/rows"), total=1)
    assert "no call was under way for 390 ms\n" in said(seen)


def test_what_has_left_the_terminal_is_said_once_more_at_its_end(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("LINES", "30")

    def last_of(file, width=80):
        text = said(runs_seen.failed_thousand(), file=file, width=width)
        return re.sub("\x1b\\[[0-9;]*m", "", text).splitlines()[-3:]

    assert last_of(Terminal()) == [
        "✗ shop  failed after 9.00 s",
        "  37 failures, at the top; the first of 3 causes: load",
        '    psycopg.errors.UniqueViolation: duplicate key value violates "orders_pkey"',
    ]
    assert all(cell_len(line) <= 40 for line in last_of(Terminal(), 40))
    assert "failures, at the top" not in "".join(last_of(io.StringIO()))
    monkeypatch.setenv("LINES", "300")
    assert "failures, at the top" not in "".join(last_of(Terminal()))


def test_where_there_is_no_terminal_columns_says_how_wide_it_is(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    seen = runs_seen.failed_thousand()
    assert max(map(cell_len, said(seen, width=None).splitlines())) == 100
    monkeypatch.setenv("COLUMNS", "120")
    assert max(map(cell_len, said(seen, width=None).splitlines())) == 120


def test_a_traceback_from_a_worker_process_is_shown_as_others_are():
    seen = Seen()
    note = (
        'Hush: in the worker process:\n  File "/home/me/shop/shapes.py", line 5, in shape\n    return record["id"]\n'
        '  File "/usr/lib/python3.11/json/decoder.py", line 355, in raw_decode\n    raise'
    )
    where = "Hush: raised in shop/rows/shape, item 0 (/home/me/shop/graph.py:13), run order-7"
    boom = Failure("KeyError", "'id'", notes=(where, note))
    root = seen.run(10, "partial")
    rows = seen.add(root, "map", "rows", 0, 9, status="partial", done=2, failed=1, total=2)
    seen.add(rows, "item", "rows", 1, 2, index=0, called=1, status="failed", failure=boom)
    text = said(seen)
    assert " 1 shop/rows/shape  KeyError  the run went on\n" in text
    assert "   /home/me/shop/shapes.py:5 in shape\n" in text
    assert "   … raised 1 call further, in raw_decode, decoder.py:355\n" in text
    assert "worker process:" not in text
    assert "worker process:" in said(seen, everything=True)


@pytest.mark.parametrize(
    ("width", "label"), [(60, "code: of_a_long_name_in…"), (80, "code: of_a_long_name_indeed_it_is_one")]
)
def test_a_narrow_screen_says_what_took_the_time_before_it_draws_it(width, label):
    seen = Seen()
    root = seen.run(20)
    seen.add(root, "code", "of_a_long_name_indeed_it_is_one", 0, 20, called=0)
    assert f"  {label}  " in said(seen, width=width)

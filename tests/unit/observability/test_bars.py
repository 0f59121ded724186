"""What the bars look like, at any width."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from hush.core.events import (
    ItemFailed,
    ItemFinished,
    MapFinished,
    MapStarted,
    NodeFinished,
    NodeStarted,
    RunFinished,
    RunStarted,
)
from hush.observability._bars import Bars
from hush.observability._tally import TAKES, RunTally

SECOND = 10**9


def shop(*, run="r-1", rows=400, pages=77, lazily=True):
    """A run with a map of which five items failed, one in it, one of unknown length, and a node at work."""
    tally = RunTally(RunStarted(run, "shop", None, 0, 0))
    events = [
        NodeStarted(run, "shop/load", None, SECOND // 2),
        NodeStarted(run, "shop/quick", None, 8_500_000_000),
        MapStarted(run, "shop/rows", None, SECOND, 1000),
        MapStarted(run, "shop/pages", None, SECOND, None if lazily else 100),
        *[ItemFinished(run, "shop/pages", number, 0) for number in range(pages)],
    ]
    for number in range(rows):
        events += [
            MapStarted(run, "shop/rows/lines", number, SECOND, 10),
            *[ItemFinished(run, "shop/rows/lines", line, 0, (number,)) for line in range(10)],
            MapFinished(run, "shop/rows/lines", number, SECOND, 10, 0, (), 10),
            NodeFinished(run, "shop/rows/lines", number, SECOND),
            (ItemFailed if number % 80 == 0 else ItemFinished)(run, "shop/rows", number, SECOND),
        ]
    return played(tally, events)


def played(tally, events):
    for event in events:
        if isinstance(event, RunFinished):
            tally.finish(event)
        else:
            TAKES[type(event)](tally, event)
    return tally


def shown(*runs, now_s=9.0, width=80, height=25, several=False, fitting=True, **options):
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False, **options)
    console.print(Bars(runs, now_s, several=several, fitting=fitting))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_run_under_way():
    assert [line.replace("━", "-").replace("╸", "-") for line in shown(shop())] == [
        "shop  9.0 s  at work: load 8 s",
        "  rows    -----------                      400/1,000  5 failed   50/s  12 s left",
        "    lines -----------                  4,000/~10,000            500/s  12 s left",
        "  pages   ----------------------------            77            9.6/s        8 s",
    ]


def test_a_headline_that_is_too_long_is_cut_and_says_so():
    assert shown(shop(), width=20)[0] == "shop  9.0 s  at wor…"


def test_in_forty_columns_what_counts_is_still_there():
    assert shown(shop(), width=40) == [
        "shop  9.0 s  at work: load 8 s",
        "  rows        400/1,000  5 failed",
        "    lines 4,000/~10,000",
        "  pages              77",
    ]


def test_in_a_few_more_there_is_room_for_the_time():
    assert shown(shop(), width=44)[1:] == [
        "  rows        400/1,000  5 failed  12 s left",
        "    lines 4,000/~10,000            12 s left",
        "  pages              77                  8 s",
    ]


@given(width=st.integers(1, 160), height=st.integers(2, 12), several=st.booleans(), number=st.integers(0, 4))
def test_no_line_is_wider_and_no_picture_higher_than_the_terminal(width, height, several, number):
    lines = shown(
        *[shop(run=f"r-{n}", rows=9 * n, pages=n) for n in range(number)], width=width, height=height, several=several
    )
    assert max(cell_len(line) for line in lines) <= width
    assert 1 <= len(lines) < max(height, 2)


def test_what_has_ended_makes_room_first():
    run = shop()
    for number in range(20):
        path = f"shop/m{number}"
        played(run, [MapStarted("r", path, None, 0, 1), MapFinished("r", path, None, 0, 1, 0, (), 1)])
    lines = shown(run, height=8)
    assert [line.split()[0] for line in lines[:4]] == ["shop", "rows", "lines", "pages"]
    assert lines[-1] == "… and 18 maps that have ended"
    assert len(lines) == 7
    assert len(shown(run, height=8, fitting=False)) == 24


def test_a_thousand_runs_are_a_picture_too():
    """Ten times a second: those that are not shown are not looked at."""
    runs = [RunTally(RunStarted(f"r-{n}", "g", None, 0, 0)) for n in range(5)]
    lines = shown(*runs, *[object()] * 995, height=6, several=True)
    assert lines[0] == "g r-0  9.0 s"
    assert lines[-1] == "… and 996 runs"
    assert len(lines) == 5


def ended(status, *, well):
    run = shop(pages=60, lazily=False)
    events = [MapFinished("r-1", "shop/rows", None, 9 * SECOND, 400, 5, (), 1000)]
    events += [MapFinished("r-1", "shop/pages", None, 9 * SECOND, 60, 0, (), 100)]
    events += [NodeFinished("r-1", f"shop/{name}", None, 9 * SECOND) for name in ("rows", "pages") if well]
    return played(run, [*events, RunFinished("r-1", "shop", None, 9 * SECOND, status, 9.04)])


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("ok", "shop  done in 9.0 s"),
        ("partial", "shop  done in 9.0 s, partial"),
        ("failed", "shop  failed after 9.0 s"),
        ("cancelled", "shop  cancelled after 9.0 s"),
    ],
)
def test_at_the_end_it_says_what_came_of_it(status, said):
    lines = shown(ended(status, well=status in ("ok", "partial")), now_s=99.0)
    assert lines[0] == said
    assert lines[1].split()[-3:] == ["50/s", "8.0", "s"]  # nothing goes on
    assert "~" not in "".join(lines)


def colours(run):
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard", legacy_windows=False)
    console.print(Bars([run], 9.0, several=False, fitting=True))
    return console.file.getvalue().splitlines()


def test_failures_are_red_and_so_is_what_was_cut_short():
    assert "\x1b[31m5 failed" in colours(shop())[1]
    assert "\x1b[36m━" in colours(shop())[1]
    assert "\x1b[31m━" in colours(ended("failed", well=False))[1]
    whole = [
        MapStarted("r", "shop/m", None, 0, 2),
        *[ItemFinished("r", "shop/m", number, 0) for number in range(2)],
        MapFinished("r", "shop/m", None, SECOND, 2, 0, (), 2),
        NodeFinished("r", "shop/m", None, SECOND),
    ]
    assert "\x1b[32m━" in colours(played(RunTally(RunStarted("r", "shop", None, 0, 0)), whole))[1]


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ("r-1", "shop r-1  9.0 s  at work: load 8 s"),
        ("[red]x[/red]", "shop [red]x[/red]  9.0 s  at work: load 8 s"),
        ("a\nb\x1b[2Jc\rd", "shop a?b?[2Jc?d  9.0 s  at work: load 8 s"),
        ("x" * 50, f"shop {'x' * 35}…  9.0 s  at work: load 8 s"),
    ],
)
def test_an_id_is_shown_and_not_obeyed(run, said):
    assert shown(shop(run=run), several=True)[0] == said


def test_nodes_that_take_long_are_named_the_longest_first():
    run = RunTally(RunStarted("r", "g", None, 0, 0))
    for number in range(6):
        played(run, [NodeStarted("r", f"g/n{number}", None, number * SECOND)])
    assert shown(run, now_s=4.5) == ["g  4.5 s  at work: n0 4 s, n1 4 s, n2 2 s, 1 more"]
    assert shown(run, now_s=3700.0)[0].startswith("g  1:01:40  at work: n0 1:01:40, n1 1:01:39")


@pytest.mark.parametrize(
    ("done", "now_s", "said"),
    [(1000, 10.0, "100/s"), (95, 10.0, "9.5/s"), (3, 10.0, "18/min"), (1, 20.0, "3.0/min"), (1, 7200.0, "0.5/h")],
)
def test_a_rate_is_told_by_a_unit_that_makes_it_readable(done, now_s, said):
    run = played(RunTally(RunStarted("r", "g", None, 0, 0)), [MapStarted("r", "g/m", None, 0, None)])
    played(run, [ItemFinished("r", "g/m", number, 0) for number in range(done)])
    assert said in shown(run, now_s=now_s)[1].split()


def test_a_map_of_nothing_is_whole():
    empty = [MapStarted("r", "g/m", None, 0, 0), MapFinished("r", "g/m", None, 0, 0, 0, (), 0)]
    run = played(RunTally(RunStarted("r", "g", None, 0, 0)), [*empty, NodeFinished("r", "g/m", None, 0)])
    assert shown(run)[1].split()[2:] == ["0/0", "0.0", "s"]


def test_a_terminal_without_fine_letters_gets_plain_ones():
    console = Console(file=io.TextIOWrapper(io.BytesIO(), encoding="ascii"), width=80, force_terminal=False)
    console.print(Bars([shop()], 9.0, several=False, fitting=True))  # raises if it cannot be encoded

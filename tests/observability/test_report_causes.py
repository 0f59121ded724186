"""Which failures of a report have one cause: those of one place and type whose messages differ in values only."""

from __future__ import annotations

import pytest

from hush.observability._alike import pattern_of
from hush.observability._causes import is_users, place_of
from hush.observability._span import Failure, Frame
from kit.reports import seen_in
from kit.runs_seen import Seen, failure


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("order 12 has no price", "order 9913 has no price"),
        ("no row 'a'", "no row 'b c'"),
        ('"x" is not "y"', '"u" is not "v"'),
        ("at 0x7f3a2b: gone", "at 0x1122ff: gone"),
        ("id 3f2a9c1e-5b7d-4a6f-8e0c-1b2a3d4e5f60", "id 00000000-5b7d-4a6f-8e0c-000000000001"),
        ("took 1.5 s\nmore of it", "took 22.75 s\nsomething else"),
    ],
)
def test_messages_that_differ_in_values_only_are_alike(one, other):
    assert pattern_of(one) == pattern_of(other)


def test_messages_that_all_differ_are_one_cause():
    seen = Seen("n")
    root = seen.run(900, "partial")
    rows = seen.add(root, "map", "rows", 1, 800, done=300, failed=300, status="partial")
    names = ["".join(chr(97 + index // 26**place % 26) for place in range(3)) for index in range(300)]
    for index, name in enumerate(names):
        boom = failure("LookupError", f"nobody is called {name}")
        item = seen.add(rows, "item", "rows", 2, 4, index=index, status="failed", failure=boom)
        seen.add(item, "code", "find", 2, 3, status="failed", failure=boom)
    (group,) = seen_in(seen).failures
    assert (group.number, group.pattern) == (300, "…")
    assert group.first[0].message == "nobody is called aaa"


def test_messages_that_differ_in_words_are_not():
    assert pattern_of("can't read it, don't try") != pattern_of("can't write it, don't try")
    assert pattern_of("connection refused") != pattern_of("connection reset")


@pytest.mark.parametrize("text", ["'" * 50_000, '"' * 50_001, "1." * 50_000, "a" * 100_000 + "'", "' '" * 30_000])
def test_no_message_takes_long_to_generalise(text):
    assert len(pattern_of(text)) <= 600


def test_the_place_is_the_last_line_of_the_users_own():
    here = Frame("/home/me/shop/prices.py", 3, "f")
    library = Frame("/home/me/.venv/lib/python3.11/site-packages/httpx/_client.py", 9, "send")
    ours = Frame("/src/hush/core/_runtime/_calls.py", 9, "call")
    assert place_of(Failure("E", "", (ours, here, library))) == here
    assert place_of(Failure("E", "", (ours, library))) == library
    assert place_of(Failure("E", "")) is None
    assert is_users(Frame("<stdin>", 1, "f"))
    assert not is_users(Frame("<frozen runpy>", 1, "f"))
    assert not is_users(Frame("C:\\Python311\\Lib\\json\\decoder.py", 1, "f"))


# ── What others found who looked at runs that they knew ──────────────────────────────────────────────────────────────


def in_a_worker(message: str, line: int) -> Failure:
    note = (
        "Hush: in the worker process:\n"
        '  File "/home/me/shop/graph.py", line 11, in <lambda>\n    shape(n)\n    ~~~~~^^^\n'
        f'  File "/home/me/shop/shapes.py", line {line}, in shape\n    return record["id"]\n'
        '  File "/usr/lib/python3.11/json/decoder.py", line 355, in raw_decode\n    raise'
    )
    return Failure("KeyError", message, notes=(note,))


def test_two_bugs_in_worker_processes_are_two_causes():
    """Their tracebacks are texts; without the lines in them both are a `KeyError` with some quoted text."""
    seen = Seen()
    root = seen.run(10, "partial")
    rows = seen.add(root, "map", "rows", 0, 9, status="partial", done=4, failed=4, total=4)
    for index in range(4):
        boom = in_a_worker("'id'", 5) if index % 2 else in_a_worker("'amount'", 7)
        seen.add(rows, "item", "rows", 1, 2, index=index, called=1, status="failed", failure=boom)
    found = seen_in(seen).failures
    assert [(group.number, group.failure.message) for group in found] == [(2, "'amount'"), (2, "'id'")]
    assert [group.place for group in found] == [
        Frame("/home/me/shop/shapes.py", 7, "shape"),
        Frame("/home/me/shop/shapes.py", 5, "shape"),
    ]


def test_one_line_that_wraps_two_failures_is_two_causes():
    """`except Exception as error: raise Wrapped(...) from error`: why it failed is what it was raised from."""
    seen = Seen()
    root = seen.run(10, "partial")
    rows = seen.add(root, "map", "rows", 0, 9, status="partial", done=30, failed=30, total=30)
    for index in range(30):
        why = failure("KeyError", "'price'", 4) if index % 3 else failure("TimeoutError", f"no answer in {index} s", 5)
        boom = failure("app.Wrapped", f"row {index} could not be imported", 11, causes=(why,))
        item = seen.add(rows, "item", "rows", 1, 2, index=index, status="failed", failure=boom)
        seen.add(item, "code", "load", 1, 2, status="failed", failure=boom)
    found = seen_in(seen).failures
    assert [(group.number, group.type, group.failure.causes[0].type) for group in found] == [
        (20, "app.Wrapped", "KeyError"),
        (10, "app.Wrapped", "TimeoutError"),
    ]

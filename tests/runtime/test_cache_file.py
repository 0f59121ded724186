"""A cache in a file: shared by engines, threads and processes, and told of when it cannot be used."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from hush.core import PARENT, CacheError, CodeNode, Each, GraphNode, Hush, MapNode
from hush.core._cache._file import FileStore
from hush.core._cache._stores import store_of

SRC = Path(__file__).parents[2] / "src"


class Calls(list):
    """Not a constant, so that it is no part of a key."""


calls = Calls()


@pytest.fixture(autouse=True)
def _fresh():
    calls.clear()


@dataclass
class Row:
    id: int


def double(x):
    calls.append(x)
    return {"y": x * 2}


def engine_of(cache, fn=double, **policies):
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, outputs=PARENT, cache=cache, **policies)
    return Hush(graph)


def sql(path, *statements):
    with closing(sqlite3.connect(path)) as connection:
        found = [connection.execute(one).fetchall() for one in statements]
        connection.commit()
        return found[-1]


def test_spellings_of_one_file_are_one_store(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    names = ["in/a.db", "./in/../in/a.db", str(tmp_path / "in" / "a.db"), "link/a.db", "~/in/a.db"]
    assert len({id(store_of(name)) for name in names}) == 1
    assert store_of("in/b.db") is not store_of("in/a.db")


def test_two_loops_in_two_threads_share_a_file(tmp_path):
    path = tmp_path / "deep" / "er" / "a.db"
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(range(40))}):
        CodeNode(name="n", code_fn=double, inputs={"x": PARENT["x"]}, outputs=PARENT, cache=path)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(asyncio.run(Hush(graph).run(keep=True)).nodes["m"]["y"]))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[x * 2 for x in range(40)]] * 3
    before = len(calls)
    assert 40 <= before <= 120
    asyncio.run(Hush(graph).run())
    assert len(calls) == before
    assert sql(path, "SELECT count(*), min(function) FROM answers") == [(40, f"{__name__}:double")]


PROGRAM = """
import sys
from dataclasses import dataclass
from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode

@dataclass
class Row:
    id: int

def load(x) -> dict[str, Row]:
    print("called", x)
    return {"row": Row(x), "pair": (x, None)}

with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(range(20))}):
    CodeNode(name="n", code_fn=load, inputs={"x": PARENT["x"]}, outputs=PARENT, cache=sys.argv[1])
columns = Hush(graph).run_sync(keep=True).nodes["m"]
assert columns["row"] == [Row(x) for x in range(20)] and columns["pair"] == [(x, None) for x in range(20)]
print("done")
"""


def test_processes_share_a_file_and_a_later_one_finds_all_in_it(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "a.db")]
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    at_once = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for one in at_once:
        out, _ = one.communicate(timeout=50)
        assert one.returncode == 0
        assert out.endswith("done\n")
    later = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=50)
    assert later.stdout == "done\n"
    assert not list(tmp_path.glob("a.db-*"))


# ── What cannot be used ──────────────────────────────────────────────────────────────────────────────────────────────


async def problem(path, fn=double):
    with pytest.raises(CacheError) as caught:
        await engine_of(path, fn).run({"x": 1})
    assert caught.value.hush.path == "g/n"
    return str(caught.value)


async def test_a_file_that_is_no_database_is_told_and_left_alone(tmp_path):
    path = tmp_path / "a.db"
    path.write_bytes(b"something else" * 100)
    assert "delete it, or name another file" in await problem(path)
    assert path.read_bytes() == b"something else" * 100
    assert calls == []


async def test_a_database_of_something_else_is_told_and_left_alone(tmp_path):
    path = tmp_path / "a.db"
    sql(path, "CREATE TABLE mine (x)")
    assert "a database of something else" in await problem(path)
    assert sql(path, "SELECT name FROM sqlite_master") == [("mine",)]


async def test_a_file_of_a_newer_hush_is_told(tmp_path):
    path = tmp_path / "a.db"
    await engine_of(path).run({"x": 1})
    sql(path, "PRAGMA user_version = 99")
    store_of(str(path)).close()
    assert "made by a newer Hush" in await problem(path)


async def test_a_folder_is_told(tmp_path):
    assert "cannot be used" in await problem(tmp_path)
    (tmp_path / "file").write_text("")
    assert "folder" in await problem(tmp_path / "file" / "a.db")


@pytest.mark.parametrize("value", [b"\xff\xfe", b"[]", b'{"y": {"$wrong": 1}}'])
async def test_a_value_that_is_damaged_is_told(tmp_path, value):
    path = tmp_path / "a.db"
    await engine_of(path).run({"x": 1})
    sql(path, f"UPDATE answers SET value = x'{value.hex()}'")
    assert "is damaged" in await problem(path)


async def test_pages_that_are_damaged_are_told_and_the_file_can_be_made_anew(tmp_path):
    path = tmp_path / "a.db"
    await engine_of(path).run({"x": 1})
    store_of(str(path)).close()
    data = bytearray(path.read_bytes())
    data[100:] = b"\x5a" * (len(data) - 100)
    path.write_bytes(data)
    assert "delete it" in await problem(path)
    path.unlink()
    assert await engine_of(path).run({"x": 1}) == {"y": 2}


async def test_a_problem_does_not_stay_when_its_cause_has_gone(tmp_path):
    path = tmp_path / "a.db"
    path.write_bytes(b"something else" * 100)
    engine = engine_of(path)
    with pytest.raises(CacheError):
        await engine.run({"x": 1})
    path.unlink()
    assert await engine.run({"x": 1}) == {"y": 2}


# ── Types ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def secretly(x):
    return {"row": make_row(x)}


def make_row(x):
    return Row(x)


async def test_a_type_that_the_function_does_not_name_is_told_for_no_other_process_could_make_it(tmp_path):
    told = await problem(tmp_path / "a.db", secretly)
    assert "returned a Row, which its function does not name" in told
    assert "dict[str, Row]" in told
    assert (await engine_of("memory", secretly).run({"x": 1}))["row"] == Row(1)


def echo(row):
    calls.append(row)
    return {"row": row}


async def test_types_of_the_inputs_are_known(tmp_path):
    for _ in range(2):
        with GraphNode(name="g") as graph:
            CodeNode(name="n", code_fn=echo, inputs={"row": Row(1)}, outputs=PARENT, cache=tmp_path / "a.db")
        assert (await Hush(graph).run())["row"] == Row(1)
    assert len(calls) == 1


async def test_a_type_that_has_changed_since_is_made_anew(tmp_path):
    from dataclasses import make_dataclass

    space = {"__name__": __name__, "calls": calls}
    exec("def load(x):\n    calls.append(x)\n    return {'row': Kind(*x)}", space)
    for fields, number in ((["a"], 1), (["a"], 1), (["a", ("b", int, 3)], 2)):
        space["Kind"] = make_dataclass("Kind", fields)
        row = (await engine_of(tmp_path / "a.db", space["load"]).run({"x": [1]}))["row"]
        assert type(row) is space["Kind"]
        assert row.a == 1
        assert len(calls) == number


# ── The store by itself ──────────────────────────────────────────────────────────────────────────────────────────────


def test_many_may_make_one_file_at_once(tmp_path):
    """Each looks whether the file is there, and whose it is, while the others make it."""
    problems = []

    def use(path, number):
        store = FileStore(str(path))  # one of its own, as in another process
        try:
            for turn in range(3):
                store.put(bytes([number, turn]), b"v", "f")
                assert store.get(bytes([number, turn])) == b"v"
                store.close()
        except Exception as exc:
            problems.append(exc)

    for turn in range(6):
        path = tmp_path / f"{turn}.db"
        threads = [threading.Thread(target=use, args=(path, number)) for number in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert problems == []
        assert sql(path, "SELECT count(*) FROM answers") == [(15,)]


def test_a_file_that_was_deleted_is_made_anew(tmp_path):
    store = FileStore(str(tmp_path / "in" / "a.db"))
    store.put(b"k", b"v", "f")
    for path in (tmp_path / "in").iterdir():
        path.unlink()
    (tmp_path / "in").rmdir()
    assert store.get(b"k") is None
    store.put(b"k", b"w", "f")
    assert store.get(b"k") == b"w"
    store.close()
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["a.db"]
    assert store.get(b"k") == b"w"
    store.close()

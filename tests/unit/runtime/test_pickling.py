"""How values are made ready for worker processes: what goes by its name, what by its contents, and what not at all."""

from __future__ import annotations

import functools
import io
import os
import pickle
import sys

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, MapNode
from hush.core._runtime._parcels import pack_error, unpack_error
from hush.core._spec._pickling import dumps
from hush.core.errors import Errors, FailureInfo


def there(value):
    """The value as it is in a process that can import the same modules."""
    return pickle.loads(dumps(value))


@functools.cache
def importable(x):
    return x + 1


def test_a_cached_function_goes_by_its_name_where_it_has_one():
    assert there(importable) is importable


@pytest.mark.parametrize("maxsize", [None, 3])
@pytest.mark.parametrize("typed", [False, True])
def test_a_cached_function_without_a_name_goes_with_its_function_and_without_its_values(maxsize, typed):
    @functools.lru_cache(maxsize, typed)
    def plus(x, y=1):
        """Adds."""
        return {"y": x + y}

    plus(1)
    found = there(plus)
    assert found(1) == found(1) == {"y": 2}
    assert (found.cache_info().hits, found.cache_info().misses) == (1, 1)
    assert found.cache_parameters() == plus.cache_parameters()
    assert (found.__name__, found.__doc__, found.__wrapped__(2, 2)) == ("plus", "Adds.", {"y": 4})


def test_a_function_of_main_goes_with_its_function(monkeypatch):
    """A worker process has another `__main__`."""

    def plus(x):
        return x + 1

    plus.__module__, plus.__qualname__ = "__main__", "plus_in_main"
    cached = functools.cache(plus)
    monkeypatch.setattr(sys.modules["__main__"], "plus_in_main", cached, raising=False)
    found = there(cached)
    assert found is not cached
    assert found(1) == 2


def test_a_cached_function_may_speak_of_itself():
    @functools.cache
    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    assert there(fib)(50) == 12586269025


# --- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["r", "r+", "w", "a", "rb", "r+b", "wb"])
@pytest.mark.parametrize("buffering", [-1, 0])
def test_an_open_file_does_not_go(tmp_path, mode, buffering):
    path = tmp_path / "rows.txt"
    path.write_text("one\n")
    if buffering == 0 and "b" not in mode:
        pytest.skip("text is always buffered")
    with open(path, mode, buffering) as file:
        for value in (file, {"file": file}, lambda: file):
            with pytest.raises(TypeError, match=r"rows\.txt'\) stays in its process: pass the path"):
                dumps(value)


def test_what_is_no_file_of_the_disk_goes(monkeypatch):
    text = io.StringIO("one")
    assert there(text).read() == "one"
    with open(os.devnull, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert there(out) is out


def _in_a_literal(file):
    CodeNode(name="n", code_fn=lambda file: {}, inputs={"file": file}, executor="process")


def _in_a_closure(file):
    CodeNode(name="n", code_fn=lambda: {"y": file.read()}, executor="process")


def _in_a_default(file):
    CodeNode(name="n", code_fn=lambda file=file: {}, executor="process")


def _in_a_map(file):
    with MapNode(name="m", inputs={"x": Each([1])}, executor="process"):
        CodeNode(name="n", code_fn=lambda x: {"y": file.read()}, inputs={"x": PARENT["x"]})


@pytest.mark.parametrize("write", [_in_a_literal, _in_a_closure, _in_a_default, _in_a_map])
def test_an_open_file_is_found_before_anything_runs(tmp_path, write):
    path = tmp_path / "rows.txt"
    path.write_text("one\n")
    with open(path) as file:
        with GraphNode(name="g") as graph:
            write(file)
        (problem,) = graph.check()
    assert "file" in problem.message
    assert "pass the path" in problem.message
    assert problem.file == __file__


def test_what_a_run_in_a_worker_had_gone_on_without_stays_there_but_for_its_number():
    error = ValueError("after them")
    before = Errors([KeyError("a"), KeyError("b")], 36)
    error.__dict__["hush"] = FailureInfo("g/n", None, (), None, 1, "r", "g.py", 1, errors=before)
    outer = RuntimeError("outer")
    outer.__cause__ = error
    back = unpack_error(pack_error(outer)).__cause__
    assert back.hush.path == "g/n"
    assert (len(back.hush.errors), back.hush.errors.total) == (0, 36)

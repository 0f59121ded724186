"""``exc.hush``: what it says of itself, and when two say the same."""

from __future__ import annotations

import copy
import pickle

import pytest

from hush.core import FailureInfo


def info(**changes):
    given = {"path": "g/n", "item": 3, "outer": (1,), "key": None, "attempt": 2, "run": "r", "file": "g.py", "line": 7}
    return FailureInfo(**given | changes)


def test_it_reads_as_it_is_written():
    text = repr(info(round=4))
    assert text.startswith(
        "FailureInfo(path='g/n', item=3, outer=(1,), key=None, attempt=2, run='r', file='g.py', line=7"
    )
    assert "round=4" in text
    assert "columns=None" in text


@pytest.mark.parametrize("change", [{"line": 8}, {"key": "k"}, {"columns": {"x": [1]}}, {"nodes": {}}, {"round": 0}])
def test_two_are_equal_if_all_that_they_say_is(change):
    assert info() == info()
    assert info() != info(**change)
    assert info() != tuple(getattr(info(), name) for name in FailureInfo.__slots__)


def test_it_may_change_and_so_is_no_key():
    one = info()
    one.columns = {"x": [1]}
    assert one == info(columns={"x": [1]})
    with pytest.raises(TypeError):
        hash(one)
    with pytest.raises(AttributeError):
        one.colums = 1


def test_it_travels():
    assert pickle.loads(pickle.dumps(info(round=1))) == info(round=1)
    assert copy.deepcopy(info(outer=(1, 2))) == info(outer=(1, 2))

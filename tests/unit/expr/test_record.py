"""`record`: what specs and plans are made with."""

from __future__ import annotations

import inspect
import pickle
from threading import Barrier, Thread
from typing import Any

import pytest

from hush.core._expr._record import made, record, replace


@record
class Step:
    """What all have."""

    name: str
    where: int = 0


@record
class Call(Step):
    """One kind."""

    fn: Any = None
    memo: dict[str, Any] = made(default_factory=dict)


def test_fields_are_taken_in_order_by_name_and_by_default():
    call = Call("a", 3, fn=len)
    assert (call.name, call.where, call.fn, call.memo) == ("a", 3, len, {})
    assert (Step("a").where, Call("a").fn) == (0, None)
    with pytest.raises(TypeError):
        Step()
    with pytest.raises(TypeError):
        Step("a", 1, 2)


def test_what_is_made_anew_is_not_shared():
    one, other = Call("a"), Call("a")
    one.memo["x"] = 1
    assert other.memo == {}
    assert Call("a", memo=one.memo).memo is one.memo


def test_a_record_has_slots_and_is_equal_to_itself_alone():
    assert not hasattr(Call("a"), "__dict__")
    with pytest.raises(AttributeError):
        Call("a").other = 1
    assert Call("a") != Call("a")


def test_another_record_has_the_same_fields_but_for_the_changes():
    call = Call("a", 3, len)
    changed = replace(call, name="b")
    assert (type(changed), changed.name, changed.where, changed.fn) == (Call, "b", 3, len)
    assert changed.memo is call.memo
    with pytest.raises(TypeError):
        replace(call, nothing=1)


def test_a_record_can_be_sent_elsewhere():
    sent = pickle.loads(pickle.dumps(Call("a", 3, memo={"x": 1})))
    assert (sent.name, sent.where, sent.fn, sent.memo) == ("a", 3, None, {"x": 1})


def test_the_names_of_a_class_stay():
    assert (Call.__name__, Call.__qualname__, Call.__module__, Call.__doc__) == ("Call", "Call", __name__, "One kind.")


def test_the_first_one_is_made_like_all_others_in_whatever_thread():
    for _ in range(50):

        @record
        class Both(Step):
            more: list[int] = made(default_factory=list)

        start, found = Barrier(2), []

        def make(kind=Both, start=start, found=found):
            start.wait()
            found.append(kind("a", where=3))

        threads = [Thread(target=make) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [(one.name, one.where, one.more) for one in found] == [("a", 3, [])] * 2


def test_the_first_one_may_be_refused():
    @record
    class One:
        value: int

    with pytest.raises(TypeError, match="value"):
        One()
    assert One(2).value == 2


def test_what_it_takes_can_be_asked_before_the_first_is_made():
    @record
    class One(Step):
        value: int = 3

    assert str(inspect.signature(One)) == "(name, where=0, value=3)"
    assert One("a").value == 3
    assert str(inspect.signature(One)) == "(name, where=0, value=3)"

"""The rule of `executor="auto"`, fed with durations: no clock and no thread is needed to prove it."""

from __future__ import annotations

import gc
import logging
import weakref

import pytest

from hush.core._runtime._about import about
from hush.core._runtime._gate import AutoGate, gate_of, log_slow

QUICK, NOT_QUICK = 199_999, 200_000
NOT_SLOW, SLOW = 5_000_000, 5_000_001
ROWS = [3, 6, 12, 24, 48, 96, 96]


def inline_after(gate, most=1000):
    """How many quick calls in a thread it takes until the next call runs inline."""
    for number in range(most):
        if gate.inline:
            return number
        gate.ran_in_thread(QUICK)
    raise AssertionError(f"{most} quick calls, and it still runs in threads")


def test_a_function_that_nothing_is_known_of_runs_in_a_thread():
    assert not AutoGate().inline


def test_after_three_quick_calls_in_a_row_it_runs_inline():
    assert inline_after(AutoGate()) == 3


def test_a_call_that_is_not_quick_starts_the_row_anew():
    gate = AutoGate()
    for took_ns in (QUICK, QUICK, NOT_QUICK, QUICK, QUICK):
        gate.ran_in_thread(took_ns)
    assert not gate.inline
    gate.ran_in_thread(QUICK)
    assert gate.inline


def test_an_inline_call_of_five_milliseconds_is_allowed():
    gate = AutoGate()
    inline_after(gate)
    gate.ran_inline(NOT_SLOW)
    assert gate.inline


def test_each_slow_inline_call_sends_it_back_and_doubles_the_row_it_needs():
    """So one function can hold up the loop at most once for each demotion, and ever more rarely."""
    gate, rows = AutoGate(), []
    for _ in ROWS:
        rows.append(inline_after(gate))
        gate.ran_inline(SLOW)
        assert not gate.inline
    assert rows == ROWS


def test_a_longer_row_is_broken_by_one_call_too():
    gate = AutoGate()
    inline_after(gate)
    gate.ran_inline(SLOW)
    for _ in range(5):
        gate.ran_in_thread(QUICK)
    gate.ran_in_thread(NOT_QUICK)
    assert inline_after(gate) == 6


def demoted(times):
    """A gate that was sent back so often, and runs inline again."""
    gate = AutoGate()
    for _ in range(times):
        inline_after(gate)
        gate.ran_inline(SLOW)
    inline_after(gate)
    return gate


def test_a_second_of_inline_calls_without_a_slow_one_is_forgiven():
    """Without forgiveness a busy machine drives everything into threads for good."""
    gate = demoted(5)
    for _ in range(1000):
        gate.ran_inline(1_000_000)
    gate.ran_inline(SLOW)
    assert inline_after(gate) == 6


def test_less_than_a_second_is_not_forgiven():
    gate = demoted(5)
    for _ in range(999):
        gate.ran_inline(1_000_000)
    gate.ran_inline(SLOW)
    assert inline_after(gate) == 96


def test_a_slow_call_starts_the_second_anew():
    gate = demoted(2)
    for _ in range(900):
        gate.ran_inline(1_000_000)
    gate.ran_inline(SLOW)
    assert inline_after(gate) == 24
    for _ in range(900):
        gate.ran_inline(1_000_000)
    gate.ran_inline(SLOW)
    assert inline_after(gate) == 48


def test_a_demotion_is_logged_once_a_minute_and_names_the_function(caplog):
    caplog.set_level(logging.DEBUG, logger="hush")
    gate = AutoGate()
    for _ in range(4):
        inline_after(gate)
        if gate.ran_inline(SLOW):
            log_slow("etl/parse", SLOW, about("r", "etl/parse", (1, 2)))
    (record,) = caplog.records
    assert "etl/parse" in record.getMessage()
    assert (record.run, record.node, record.item) == ("r", "etl/parse", 2)  # type: ignore[attr-defined]


# ── What it is remembered by ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_function_made_anew_is_the_same_function():
    """Graphs that are rebuilt for each request stay fast."""

    def make():
        return lambda x: {"x": x}

    assert gate_of(make()) is gate_of(make())


def test_defaults_do_not_make_another_function():
    def make(default):
        def fn(x=default):
            return {"x": x}

        return fn

    assert gate_of(make(1)) is gate_of(make(2))


def test_functions_that_close_over_something_are_told_apart():
    """What they close over may be what takes the time."""

    def make(other):
        return lambda x: {"x": other(x)}

    one, two = make(abs), make(print)
    assert gate_of(one) is gate_of(one)
    assert gate_of(one) is not gate_of(two)


def test_a_function_is_not_kept_alive_by_what_is_remembered_of_it():
    def make(other):
        return lambda x: {"x": other(x)}

    fn = make(abs)
    gate_of(fn)
    gone = weakref.ref(fn)
    del fn
    gc.collect()
    assert gone() is None


def test_a_bound_method_counts_as_its_function():
    class Parser:
        def parse(self, x):
            return {"x": x}

    assert gate_of(Parser().parse) is gate_of(Parser().parse) is gate_of(Parser.parse)


# Types of its own: what others have called before may have shown itself cheap.
@pytest.mark.parametrize("fn", [len, type("Record", (dict,), {}), type("Call", (), {"__call__": lambda self: {}})()])
def test_any_callable_has_a_gate(fn):
    assert not gate_of(fn).inline

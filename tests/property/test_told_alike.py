"""Whoever listens hears the same: what a tracer is told does not hang on whether its ``emit`` is built in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hush.core import Hush
from hush.testing import VirtualLoop
from hush.testing._run import play
from kit.build import build
from kit.say import source
from kit.strategies import cases
from kit.tiers import every_change, patient

pytestmark = pytest.mark.usefixtures("silence")

TIMES = {"at_ns", "wall_ns", "seconds", "rate_per_s", "took_ns", "result", "error"}


class Builtin:
    """A tracer that the engine need not show the loop to, nor read a clock for."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.emit = self.events.append

    def told(self) -> list[Any]:
        """What it was told, without what hangs on a clock, and with errors by their kind."""
        return [
            (
                type(event).__name__,
                *(value for name, value in zip(event._fields, event, strict=True) if name not in TIMES),
                repr(getattr(event, "error", None)),
            )
            for event in self.events
        ]


class Own(Builtin):
    """One with an ``emit`` of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.emit = self._hear  # type: ignore[assignment]

    def _hear(self, event: Any) -> None:
        self.events.append(event)


def told(case: Any, seed: int, cancel_at: int | None, make: type[Builtin]) -> list[Any]:
    """What a tracer hears of the case, whose functions run on the loop."""
    graph, state = build(case, inline=True)
    state.reset(seed)
    tracer = make()
    loop = VirtualLoop(seed)
    run = Hush(graph).run(inputs=dict(case.given), tracer=tracer, request_id="r")
    main = loop.create_task(run, name="main")
    if cancel_at is not None:
        loop.at_pass(cancel_at, main.cancel)
    play(loop, main)
    return tracer.told()


@patient
@settings(every_change, max_examples=100)
@given(cases(), st.integers(0, 9), st.none() | st.integers(1, 30))
def test_random_graphs(case, seed, cancel_at):
    assert told(case, seed, cancel_at, Builtin) == told(case, seed, cancel_at, Own), source(
        case, inline=True, seed=seed, cancel_at=cancel_at
    )

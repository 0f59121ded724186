"""The laws of spans for runs that are cancelled at every tick, fail in every way, and have maps and loops as roots."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import Hush
from kit import cancel_flow, cancel_maps, cancel_shapes, cancel_streams
from kit.cancel_shapes import Log
from kit.nestings import Nesting
from kit.span_laws import Terse, Watch, complaints, differences, watched
from kit.tiers import by_day

pytestmark = pytest.mark.usefixtures("silence")

PLACES = (cancel_shapes, cancel_flow, cancel_maps, cancel_streams)
SHAPES = [shape for place in PLACES for shape in place.SHAPES if getattr(shape, "run", 1) is None]

NIGHTLY = [pytest.param(seed, marks=pytest.mark.nightly) for seed in range(12, 600)]


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.nightly), 3])
@pytest.mark.parametrize("shape", by_day(SHAPES, *range(0, len(SHAPES), 2)), ids=str)
def test_a_run_that_is_cancelled_at_every_tick(shape, step):
    """Every second shape, and of the later ticks each third; at night all."""
    engine = Hush(shape.make(Log()))
    inputs, tick = None, 0
    while True:
        full, terse = (watched(engine, inputs, tick % 3, tick or None, terse=terse) for terse in (False, True))
        found = [*complaints(full), *(f"terse: {each}" for each in complaints(terse)), *differences(full, terse)]
        assert not found, "\n".join([*found[:12], f"cancelled at {tick}"])
        if tick and not full.asked:
            break
        tick += 1 if tick < 10 else step
    assert tick > 2


@pytest.mark.parametrize("seed", [*range(12), *NIGHTLY])
def test_random_nestings_in_real_threads(seed):
    """Which run differently each time, so the two ways of being told cannot be compared."""
    watch = (Terse if seed % 2 else Watch)()

    async def main() -> None:
        nesting = Nesting(f"spans {seed}", in_task_of_its_own=True)
        task = asyncio.ensure_future(Hush(nesting.graph(), grace_s=9).run(tracer=watch))
        if seed % 3 == 0:
            asyncio.get_running_loop().call_later(0.004, task.cancel)
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()

    asyncio.run(main())
    found = list(complaints(watch))
    assert not found, "\n".join(found[:12])

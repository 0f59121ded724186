"""Every place in which a node can fail, whatever it raises and however: who is told, who goes on, who is cancelled.

What is expected follows from the place and from what was raised by the rules of the design ("Failure"):

- Only ordinary errors may be handled or collected: an ``Exception``, a node's own ``CancelledError``, a group of such.
- An error that nobody handles is raised by the run as it is, and knows where it came from; all else is cancelled.
- One that is handled is in ``.errors``; status is ``partial`` unless somebody names it; nobody outside is cancelled.
- Everyone who was cancelled has cleaned up when the run ends.
"""

from __future__ import annotations

import asyncio
from itertools import product
from typing import Any

import pytest

from hush.core import Hush, TooManyFailures
from hush.testing import end_of, leak_check
from kit.blows import BLOWS, Stage, may_be_handled
from kit.scene_bodies import scene  # and with it all scenes of bodies
from kit.scenes import scenes

assert scene

SEEDS = {"suspending": (0, 1)}
"""The orders of turns that are tried; where nothing suspends before the failure one is enough."""


def played(stage: Stage, name: str, seed: int) -> tuple[Any, BaseException | None]:
    """Run the scene: what the run gave or raised. Threads know of no virtual time, so theirs is a loop of real time."""
    engine = Hush(scenes[name].build(stage))

    async def main() -> tuple[Any, BaseException | None]:
        stage.loop = asyncio.get_running_loop()
        result, error = None, None
        try:
            result = await engine.run(request_id="the run")
        except BaseException as raised:
            error = raised
        if stage.way != "thread":
            await asyncio.sleep(1000)  # no timer of the run may go off when it has ended
        task = asyncio.current_task()
        assert task.cancelling() == 0
        assert asyncio.all_tasks() == {task}
        return result, error

    if stage.way == "thread":
        with asyncio.Runner() as runner:
            return runner.run(main())
    return end_of(main, seed).result()


def fill(pattern: Any, error: BaseException) -> Any:
    """The pattern with the error in place of each ``...``."""
    match pattern:
        case dict():
            return {key: fill(value, error) for key, value in pattern.items()}
        case list():
            return [fill(value, error) for value in pattern]
    return error if pattern is ... else pattern


def check(name: str, way: str, blow: str, seed: int) -> None:
    place = scenes[name]
    handled = place.handled is not None and may_be_handled(BLOWS[blow]())
    stage = Stage(blow, way, fatal=not handled)
    result, error = played(stage, name, seed)
    ((_, raised),) = stage.raised

    # Who is told.
    if handled:
        assert error is None
        assert result.status == ("ok" if place.handled == "named" else "partial")
        assert (len(result.errors), result.errors.total) == (1, 1)
        assert result.errors[0] is raised
        got = {key: value for key, value in result.items() if key != "iteration_metrics"}
        assert got == fill(place.outputs, raised)
    elif place.excess and may_be_handled(raised):
        assert isinstance(error, TooManyFailures)
        assert (*error.errors,) == (raised,)
        assert error.__cause__ is raised
        assert (error.hush.path, error.hush.item) == (place.path.rpartition("/")[0], None)
    else:
        assert result is None
        assert error is raised
    info = raised.hush
    assert (info.path, info.item, info.outer) == (place.path, place.item, place.outer)
    assert info.round == place.round
    assert (info.run, info.attempt, info.key) == ("the run", 1, None)
    assert any(place.path in note for note in raised.__notes__)

    # Who is cancelled, and who goes on.
    assert stage.begun == stage.ended
    assert stage.cancelled.keys() == {each for each in stage.begun if not handled or each in stage.doomed}
    if way == "suspending":
        assert stage.begun.total() >= place.beside
    assert stage.went_on == (stage.afters if handled else [])


@pytest.fixture(scope="module", autouse=True)
def _a_loop_before():
    """With its first loop uvloop opens two descriptors for the whole process: no leak of a run."""
    with asyncio.Runner() as runner:
        runner.get_loop()


@pytest.mark.parametrize("name", scenes)
def test_who_fails_where(name):
    with leak_check():
        for way, blow in product(scenes[name].ways, BLOWS):
            for seed in SEEDS.get(way, (0,)):
                try:
                    check(name, way, blow, seed)
                except BaseException as problem:
                    problem.add_note(f"{name}, {way}, {blow}, seed {seed}")
                    raise

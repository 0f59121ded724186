"""Runs in which items are told in sums, and what was told of them."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from hush.core._runtime._choice import Choice
from hush.core._runtime._summing import Summing
from hush.core.protocols import NONE_SLOW, Wanted, lot
from hush.testing import VirtualLoop, run_virtual
from hush.testing._run import play
from kit.sampled_laws import Sampled


def sampled(engine: Any, inputs: Any, seed: object, cancel_at: int | None = None, kind: Any = Sampled) -> Any:
    watch = kind()
    loop = VirtualLoop(seed)
    main = loop.create_task(engine.run(inputs=inputs, tracer=watch, request_id="r"), name="main")
    if cancel_at is not None:
        loop.at_pass(cancel_at, lambda: setattr(watch, "asked", main.cancel()))
    watch.ended = play(loop, main)
    return watch


class Fixed(Sampled):
    """Wants what it is told to."""

    answer: Wanted | None = Wanted(NONE_SLOW, 1, 0)

    def wants(self, path: str, items: tuple[int, ...], /) -> Wanted | None:  # type: ignore[override]
        return self.answer


def map_of(fn: Any, **more: Any) -> Any:
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}, **more.pop("map", {})) as m:
            CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, outputs={"*": PARENT}, **more)
        m["y"] >> PARENT["ys"]
    return Hush(graph)


def told_of(engine: Any, count: int, *tracers: Any) -> tuple[Any, Any]:
    watch = tracers[0] if tracers else Fixed()
    given = [watch, *tracers[1:]]
    result = run_virtual(lambda: engine.run({"xs": range(count)}, tracer=given, request_id="r"))
    kinds: dict[str, int] = {}
    for event in watch.events:
        kinds[type(event).__name__] = kinds.get(type(event).__name__, 0) + 1
    return result, kinds


def chosen(took: list[int], wanted: Wanted) -> list[int]:
    """The items that the engine would tell of, one by one, if each took so long."""
    choice, found = Choice(wanted), []
    for index, took_ns in enumerate(took):
        drawn = lot(choice.seed, index) < choice.share
        if drawn or took_ns > choice.slow_ns:
            found.append(index)
            choice.told(took_ns, index + 1, drawn=drawn)
    return found


def summing_now() -> Summing:
    """That of the one map under way."""
    (found,) = (one for one in gc.get_objects() if type(one) is Summing and hasattr(one, "_fanout"))
    return found


async def quick(x: int) -> dict[str, int]:
    await asyncio.sleep(0.001)
    return {"y": x}

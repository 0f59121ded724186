"""Whatever ends a call that was started, one event tells of it: not none, and not two."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, Hush, MapNode, NodeTimeout
from hush.core import events as told
from kit.span_laws import Terse, Watch, wrong_ends

pytestmark = pytest.mark.usefixtures("silence")
BOTH = pytest.mark.parametrize("kind", [Watch, Terse])


class WhenTold:
    """Calls ``act`` when the first event of this type is told."""

    sees_calls = False

    def __init__(self, of: type, act: Callable[[], Any]) -> None:
        self.of, self.act = of, act

    def emit(self, event: Any, /) -> None:
        if type(event) is self.of:
            self.act()


def ends(watch: Watch, path: str) -> list[str]:
    kinds = (told.NodeFinished, told.NodeFailed, told.NodeCancelled)
    return [type(event).__name__ for event in watch.events if type(event) in kinds and event.path == path]


@BOTH
@pytest.mark.parametrize("cache", [None, "memory"])
def test_a_late_call_in_a_thread_that_ends_after_its_failure(kind: Any, cache: str | None) -> None:
    goes_on, watch = threading.Event(), kind()

    def late(x: object = object()) -> dict[str, int]:
        goes_on.wait(50)
        return {}

    more: dict[str, Any] = {} if cache is None else {"cache": cache, "version": object.__repr__(watch)}
    with GraphNode(name="g") as graph:
        START >> CodeNode(name="late", code_fn=late, executor="thread", timeout_s=0.01, inputs={"x": 1}, **more) >> END
    with pytest.raises(NodeTimeout):
        asyncio.run(Hush(graph, grace_s=50).run(tracer=[watch, WhenTold(told.NodeFailed, goes_on.set)]))
    assert ends(watch, "g/late") == ["NodeFailed"]
    assert not list(wrong_ends(watch))


@BOTH
def test_late_calls_in_the_items_of_a_map(kind: Any) -> None:
    goes_on, watch = threading.Event(), kind()

    def late(x: int) -> dict[str, int]:
        if x == 1:
            goes_on.wait(50)
        return {"y": x}

    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each([1, 2, 3])}):
        CodeNode(
            name="late",
            code_fn=late,
            executor="thread",
            timeout_s=0.5,
            inputs={"x": PARENT["x"]},
            outputs={"*": PARENT},
        )
    run = Hush(graph, grace_s=50).run(tracer=[watch, WhenTold(told.NodeFailed, goes_on.set)])
    assert asyncio.run(run).status == "partial"
    assert ends(watch, "g/m/late").count("NodeFailed") == 1
    assert not list(wrong_ends(watch))


@BOTH
@pytest.mark.parametrize("on_error", [None, "collect", "raise"])
def test_a_call_that_swallows_a_cancellation_from_outside(kind: Any, on_error: str | None) -> None:
    watch = kind()

    async def swallows(x: int = 0) -> dict[str, int]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
        return {"y": x}

    with GraphNode(name="g") as graph:
        if on_error is None:
            CodeNode(name="it", code_fn=swallows)
        else:
            with MapNode(name="m", inputs={"x": Each([1, 2])}, on_error=on_error):
                CodeNode(name="it", code_fn=swallows, inputs={"x": PARENT["x"]}, outputs={"*": PARENT})

    async def main() -> None:
        task = asyncio.ensure_future(Hush(graph).run(tracer=watch))
        for _ in range(20):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    path = "g/it" if on_error is None else "g/m/it"
    assert set(ends(watch, path)) == {"NodeCancelled"}
    assert not list(wrong_ends(watch))


@BOTH
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("in_map", [False, True])
def test_an_awaitable_that_is_dropped_because_another_node_failed(kind: Any, first: bool, in_map: bool) -> None:
    watch = kind()

    async def later() -> dict[str, int]:
        await asyncio.Event().wait()
        return {}

    def gives() -> Awaitable[dict[str, int]]:
        return later()

    def fails() -> dict[str, int]:
        raise ValueError("fails")

    def body() -> None:
        gives_ = CodeNode(name="gives", code_fn=gives, executor="inline")
        fails_ = CodeNode(name="fails", code_fn=fails, executor="inline")
        START >> ([gives_, fails_] if first else [fails_, gives_]) >> END

    with GraphNode(name="g") as graph:
        if in_map:
            with MapNode(name="m", inputs={"x": Each([1, 2])}):
                body()
        else:
            body()

    if in_map:
        assert asyncio.run(Hush(graph).run(tracer=watch)).status == "partial"
    else:
        with pytest.raises(ValueError, match="fails"):
            asyncio.run(Hush(graph).run(tracer=watch))
    started = [event for event in watch.events if type(event) is told.NodeStarted and event.path.endswith("/gives")]
    assert len(ends(watch, "g/m/gives" if in_map else "g/gives")) == len(started)
    assert not list(wrong_ends(watch))

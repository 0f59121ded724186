"""Graphs whose leaves have several policies at once, to be cancelled at every tick, alone and beside others."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, Limit, MapNode, NodeTimeout, Retry, WhileLoopNode
from hush.core._runtime._admitting import limit_state
from hush.core._runtime._flight import _under_way
from kit.faults import Boom

_salts = count()


class Busy(Exception):
    """Says when to come back."""

    retry_after_s = 0.4


@dataclass
class Site:
    """What the runs of one try share, and what is seen of them.

    Attributes:
        two: Lets two in at once, ``one`` one, ``slow`` five a second.
        salt: Stands in the keys of caches, so that no try finds what another one kept.
    """

    two: Limit = field(default_factory=lambda: Limit(concurrency=2))
    one: Limit = field(default_factory=lambda: Limit(concurrency=1))
    slow: Limit = field(default_factory=lambda: Limit(concurrency=3, per_second=5, burst=1))
    salt: str = field(default_factory=lambda: f"site {next(_salts)}")
    calls: Counter[Any] = field(default_factory=Counter)
    inside: int = 0

    def leaf(
        self,
        name: str,
        x: Any = 1,
        *,
        seconds: float = 0.3,
        fails: int = 0,
        error: type[Exception] = ConnectionError,
        late: bool = False,
        cleanup_s: float = 0.0,
        outputs: Any = None,
        **policies: Any,
    ) -> CodeNode:
        """A node that fails its first calls for each ``x``; with ``late`` it then sleeps instead, and is never done."""

        async def code(x: Any, salt: str) -> dict[str, Any]:
            place = name, x, salt
            self.calls[place] += 1
            failing = self.calls[place] <= fails
            self.inside += 1
            try:
                await asyncio.sleep(99 if late and failing else seconds)
                if failing:
                    raise error(name)
                return {"y": x}
            finally:
                try:
                    if cleanup_s:
                        await asyncio.sleep(cleanup_s)
                finally:
                    self.inside -= 1

        if policies.get("cache"):
            policies["version"] = "1"
        salt = f"{self.salt} {name}" if policies.get("cache") else next(_salts)
        return CodeNode(name=name, code_fn=code, inputs={"x": x, "salt": str(salt)}, outputs=outputs, **policies)

    def left(self) -> list[str]:
        """What is held on the running loop."""
        loop: Any = asyncio.get_running_loop()
        states = [limit_state(limit, loop) for limit in (self.one, self.two, self.slow)]
        found = [f"limit: {state}" for state in states if state.in_use or state.waiting]
        found += [f"call under way: {flight}" for flight in _under_way.get(loop) or ()]
        found += [f"timer: {timer}" for timer in loop._scheduled if not timer.cancelled()]
        return found + [f"{self.inside} inside"] * bool(self.inside)


TRIES = Retry(max_attempts=3, backoff_s=0.5)
EXACT = Retry(max_attempts=3, backoff_s=0.2, factor=1, jitter=False)


def mapped(items: Any, width: int, body: Callable[[], Any], name: str = "m", **options: Any) -> MapNode:
    """A map with its column ``y``."""
    with MapNode(name=name, inputs={"x": Each(items)}, max_concurrency=width, **options) as each:
        body()["y"] >> PARENT["y"]
    return each


def limited(site: Site) -> None:
    mapped([1, 2, 3, 4], 4, lambda: site.leaf("a", PARENT["x"], limit=site.two, cleanup_s=0.1))["y"] >> PARENT["ys"]


def two_limits(site: Site) -> None:
    mapped([1, 2, 3], 3, lambda: site.leaf("a", PARENT["x"], limit=[site.one, site.two]))["y"] >> PARENT["ys"]
    site.leaf("b", limit=site.two, priority=1)["y"] >> PARENT["b"]
    site.leaf("c", limit=site.one, priority=-1)["y"] >> PARENT["c"]


def tried_within_a_limit(site: Site) -> None:
    body = lambda: site.leaf("a", PARENT["x"], fails=2, limit=site.one, retry=TRIES)  # noqa: E731
    mapped([1, 2], 2, body)["y"] >> PARENT["ys"]


def told_when_to_come_back(site: Site) -> None:
    policies = {"fails": 1, "error": Busy, "limit": [site.two, site.slow], "retry": EXACT}
    mapped([1, 2, 3], 3, lambda: site.leaf("a", PARENT["x"], **policies))["y"] >> PARENT["ys"]


def shared(site: Site) -> None:
    mapped([1, 1, 2, 1], 4, lambda: site.leaf("a", PARENT["x"], cache=True, cleanup_s=0.1))["y"] >> PARENT["ys"]


def shared_and_tried(site: Site) -> None:
    policies = {"fails": 1, "cache": True, "limit": site.one, "retry": EXACT, "cleanup_s": 0.1}
    mapped([1, 1, 2], 3, lambda: site.leaf("a", PARENT["x"], **policies))["y"] >> PARENT["ys"]


def late_and_tried(site: Site) -> None:
    policies = {"fails": 1, "late": True, "limit": site.two, "retry": EXACT, "timeout_s": 0.6, "cleanup_s": 0.1}
    mapped([1, 2, 3], 3, lambda: site.leaf("a", PARENT["x"], **policies))["y"] >> PARENT["ys"]


def everything(site: Site) -> None:
    policies = {"cache": True, "limit": [site.two, site.slow], "retry": TRIES, "timeout_s": 0.6, "priority": 1}

    def inner() -> MapNode:
        source = CodeNode(name="s", code_fn=lambda x: {"xs": [x, 1]}, inputs={"x": PARENT["x"]})
        return mapped(source["xs"], 2, lambda: site.leaf("a", PARENT["x"], fails=1, late=True, **policies), "k")

    mapped([1, 2], 2, inner)["y"] >> PARENT["ys"]


def streams(site: Site) -> None:
    a = mapped([1, 2, 3], 2, lambda: site.leaf("a", PARENT["x"], limit=site.two, cache=True), "m")
    b = mapped(a["y"], 2, lambda: site.leaf("b", PARENT["x"], fails=1, limit=site.two, retry=EXACT), "k")
    b["y"] >> PARENT["ys"]


def rounds_in_a_handled_graph(site: Site) -> None:
    with GraphNode(name="inner", timeout_s=1.4) as inner:
        with WhileLoopNode(name="w", inputs={"x": 1}, max_iterations=3):
            site.leaf("a", PARENT["x"], fails=1, limit=site.one, retry=EXACT, cache=True)["y"] >> PARENT["x"]
        site.leaf("b", seconds=9, limit=site.two, cleanup_s=0.1)
    inner["error"].apply(type) >> PARENT["kind"]
    site.leaf("c", limit=[site.two, site.one])["y"] >> PARENT["c"]


def one_fails_and_the_others_wait(site: Site) -> None:
    site.leaf("breaks", seconds=1, fails=9, error=Boom, limit=site.two)
    site.leaf("sleeps", seconds=3, limit=site.two, cleanup_s=0.3)
    site.leaf("waits", limit=site.two)
    site.leaf("asleep", fails=9, seconds=0, retry=Retry(backoff_s=9, jitter=False), limit=site.one)
    site.leaf("shares", seconds=5, cache=True, cleanup_s=0.1)


def items_out_of_time(site: Site) -> None:
    policies = {"fails": 2, "limit": site.slow, "retry": EXACT, "cache": True}
    body = lambda: site.leaf("a", PARENT["x"], **policies)  # noqa: E731
    mapped([1, 2, 3, 1], 4, body, item_timeout_s=0.9)["error"].apply(kinds) >> PARENT["kinds"]


def kinds(errors: list[Any]) -> list[str]:
    return [type(error).__name__ for error in errors]


def the_first_failure_ends_the_map(site: Site) -> None:
    policies = {"limit": site.two, "retry": EXACT, "cleanup_s": 0.1}
    (
        mapped([1, 2, 3], 3, lambda: site.leaf("a", PARENT["x"], fails=9, **policies), on_error="raise")["y"]
        >> PARENT["ys"]
    )


@dataclass(frozen=True)
class Shape:
    """A body of a graph, and what a run of it may raise."""

    body: Callable[[Site], None]
    errors: tuple[type[BaseException], ...] = ()

    def __str__(self) -> str:
        return self.body.__name__

    def engine(self, site: Site) -> Hush:
        with GraphNode(name="g") as graph:
            self.body(site)
        return Hush(graph)


SHAPES = [
    Shape(limited),
    Shape(two_limits),
    Shape(tried_within_a_limit),
    Shape(told_when_to_come_back),
    Shape(shared),
    Shape(shared_and_tried),
    Shape(late_and_tried),
    Shape(everything),
    Shape(streams),
    Shape(rounds_in_a_handled_graph, (NodeTimeout,)),
    Shape(one_fails_and_the_others_wait, (Boom,)),
    Shape(items_out_of_time),
    Shape(the_first_failure_ends_the_map, (ConnectionError,)),
]

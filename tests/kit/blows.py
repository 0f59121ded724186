"""What a node can raise, the ways in which it can, and a record of what became of those beside it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

from hush.core import CodeNode
from hush.core.nodes._handle import Node
from kit.faults import Boom


class Severe(BaseException):
    """A user's own error that is no ``Exception``: nothing that handles failures may take it for one."""


BLOWS: dict[str, Callable[[], BaseException]] = {
    "Exception": lambda: Boom("bad"),
    "BaseException": lambda: Severe("bad"),
    "KeyboardInterrupt": lambda: KeyboardInterrupt("bad"),
    "SystemExit": lambda: SystemExit("bad"),
    "GeneratorExit": lambda: GeneratorExit("bad"),
    "CancelledError": lambda: asyncio.CancelledError("bad"),
    "ExceptionGroup": lambda: ExceptionGroup("bad", [Boom("one"), ExceptionGroup("deep", [LookupError("two")])]),
    "BaseExceptionGroup": lambda: BaseExceptionGroup("bad", [Boom("one"), KeyboardInterrupt("two")]),
}

WAYS = ("suspending", "async", "inline", "thread")


def may_be_handled(error: BaseException) -> bool:
    """The rule of the design: an ``Exception`` may be handled or collected, and so may a node's own ``CancelledError``.

    A node that raises that is a failed node like any other. Of a group all must be such.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(map(may_be_handled, error.exceptions))
    return isinstance(error, Exception | asyncio.CancelledError)


class Stage:
    """The nodes of one run: those that raise, and bystanders, who are cancelled or are not.

    Args:
        blow: A key of ``BLOWS``.
        way: One of ``WAYS``: how the nodes that raise do it.
        fatal: Whether the run is to fail: bystanders wait for ever then, else only until a node has raised.
    """

    def __init__(self, blow: str, way: str, *, fatal: bool) -> None:
        self.blow = blow
        self.way = way
        self._fatal = fatal
        self.raised: list[tuple[str, BaseException]] = []
        self.begun: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.cancelled: Counter[str] = Counter()
        self.doomed: set[str] = set()
        self.afters: list[str] = []
        self.went_on: list[str] = []
        self._raising = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    # ── Those that raise ─────────────────────────────────────────────────────────────────────────────────────────────
    def raiser(self, at: Any = None, name: str = "", blow: str | None = None) -> Callable[[Any], Any]:
        """A function that gives what it is given, and raises if that is ``at``; always, without."""

        def fn(x: Any = 0) -> Any:
            if at is None or x == at:
                self.strike(name, blow)
            return x

        return fn

    def bad(
        self, name: str = "bad", x: Any = None, *, at: Any = None, blow: str | None = None, **policies: Any
    ) -> CodeNode:
        """A node that raises in the stage's way, and gives ``x + 1`` where ``x`` is not ``at``."""
        check = self.raiser(at, name, blow)

        def code(x: Any = 0) -> dict[str, Any]:
            return {"y": check(x) + 1}

        async def code_async(x: Any = 0) -> dict[str, Any]:
            if self.way == "suspending":
                await asyncio.sleep(1)
            return code(x)

        if self.way in ("inline", "thread"):
            policies.setdefault("executor", self.way)
        fn = code if "executor" in policies else code_async
        return CodeNode(name=name, code_fn=fn, inputs={} if x is None else {"x": x}, **policies)

    def strike(self, name: str, blow: str | None = None) -> None:
        """Raise, and note that ``name`` did."""
        error = BLOWS[blow or self.blow]()
        self.raised.append((name, error))
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self._raising.set)
        raise error

    # ── Those beside it ──────────────────────────────────────────────────────────────────────────────────────────────
    def step(self, name: str, x: Any = 0, **options: Any) -> CodeNode:
        """A node that gives what it is given; it suspends if those that raise do."""

        async def code(x: Any) -> dict[str, Any]:
            if self.way == "suspending":
                await asyncio.sleep(1)
            return {"y": x}

        return CodeNode(name=name, code_fn=code, inputs={"x": x}, **options)

    def bystander(
        self,
        name: str,
        x: Any = None,
        *,
        at: Collection[Any] | None = None,
        doomed: bool = False,
        breaks: str | None = None,
    ) -> CodeNode:
        """A node that is at work when another one raises, and takes its time to clean up.

        Args:
            name: Its name.
            x: What it reads.
            at: Where ``x`` is none of these it ends at once.
            doomed: Whether it lies in what ends with that failure, also where the failure is handled.
            breaks: What it raises at the end of cleaning up when it is cancelled.
        """
        if doomed:
            self.doomed.add(name)

        async def code(x: Any = None) -> dict[str, Any]:
            if at is not None and x not in at:
                return {"y": x}
            self.begun[name] += 1
            try:
                await self._raising.wait()
                for _ in range(8):  # a failure that nobody handles comes to it meanwhile
                    await asyncio.sleep(0)
                if self._fatal or doomed:
                    await asyncio.Event().wait()
                return {"y": x}
            except asyncio.CancelledError:
                self.cancelled[name] += 1
                raise
            finally:
                for _ in range(3):
                    await asyncio.sleep(0)
                self.ended[name] += 1
                if breaks is not None and self.cancelled[name]:
                    self.strike(name, breaks)

        return CodeNode(name=name, code_fn=code, inputs={} if x is None else {"x": x})

    def after(self, node: Node) -> None:
        """A node that runs after ``node``, if that is run or its failure handled."""
        name = f"after_{node.name}"
        self.afters.append(name)
        node >> CodeNode(name=name, code_fn=lambda: self.went_on.append(name), inputs={}, executor="inline")

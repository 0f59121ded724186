"""Turns the source of a case into a graph that can be run, whose leaves write down who was called when."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import linecache
import random
from collections import Counter
from typing import Any

from kit import values as pure
from kit.faults import Boom
from kit.say import source
from kit.shapes import Case

_stain: contextvars.ContextVar[str | None] = contextvars.ContextVar("stain", default=None)


class Play:
    """What the leaves of one run call: pure values, and a record of who was called when."""

    def __init__(self, seed: object = None) -> None:
        self.reset(seed)

    def reset(self, seed: object) -> None:
        """Forget what was recorded; what the next run takes its times from."""
        self.calls: Counter[str] = Counter()
        self.active: Counter[str] = Counter()
        self.most_active: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._seed = seed

    def _enter(self, name: str) -> None:
        self.calls[name] += 1
        if (seen := _stain.get()) not in (None, name):
            self.wrong.append(f"{name} sees the context variable that {seen} set")

    def mix(self, name: str, *values: Any) -> int:
        self._enter(name)
        return pure.mix(name, *values)

    def nothing(self, name: str, *values: Any) -> None:
        self._enter(name)

    def fussy(self, name: str, *values: Any) -> int:
        self._enter(name)
        if pure.is_fussy_about(name, *values):
            raise Boom(name)
        return pure.mix(name, *values)

    def fail(self, name: str, *values: Any) -> int:
        self._enter(name)
        raise Boom(name)

    def cancelled(self, name: str, *values: Any) -> int:
        self._enter(name)
        raise asyncio.CancelledError(f"{name}")

    def late(self, name: str, *values: Any) -> int:
        return 0  # its leaf was called when it fell asleep

    stuck = late

    def bad(self, name: str, *values: Any) -> Any:
        self._enter(name)
        return 7

    def flagged(self, name: str, *values: Any) -> int | None:
        return pure.flag(name, *values)

    def many(self, name: str, count: int, *values: Any) -> list[int | None]:
        self._enter(name)
        return pure.spread(count, name, *values)

    def empty(self, name: str, *values: Any) -> Any:
        self._enter(name)

    async def pause(self, name: str) -> None:
        """Suspend for a time that the seed decides; longer than any timeout if the leaf is to be late."""
        turns = random.Random(f"{self._seed} {name} {self.calls[name]} {self.active[name]}")
        self.active[name] += 1
        self.most_active[name] = max(self.most_active[name], self.active[name])
        try:
            for _ in range(turns.choice([0, 1, 1, 2])):
                await asyncio.sleep(turns.choice([0, 0, 1, 2, 5]))
        finally:
            self.active[name] -= 1

    async def oversleep(self, name: str) -> None:
        """Sleep for longer than the timeout of the leaf, or of an item it is part of."""
        self._enter(name)
        await asyncio.sleep(1e18)

    def stain(self, name: str) -> None:
        """Set the context variable that nobody else may see."""
        if (seen := _stain.get()) not in (None, name):
            self.wrong.append(f"{name} sees the context variable that {seen} set")
        _stain.set(name)

    def bump(self, value: Any) -> int:
        return pure.mix("apply", value)


def build(case: Case, *, inline: bool = False) -> tuple[Any, Play]:
    """The graph of the case, and the record that its leaves write."""
    text = source(case, inline=inline)
    if text not in _compiled:
        if len(_compiled) > 100:  # shrinking comes back to what it has just tried
            for old, _ in _compiled.values():
                linecache.cache.pop(old, None)
            _compiled.clear()
        name = f"<case {next(_numbers)}>"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        _compiled[text] = name, compile(text, name, "exec")
    space: dict[str, Any] = {"__name__": "a_case"}
    exec(_compiled[text][1], space)
    return space["g"], space["play"]


_compiled: dict[str, tuple[str, Any]] = {}
_numbers = itertools.count()

"""``hub.check()``: every resource is opened, asked for as little as possible, and closed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from hush.core._resources._secrets import without_secrets
from hush.core._resources._written import Written, problem, secrets_in
from hush.core.errors import Problem
from hush.core.protocols import run_waiting

_MOST = 600
"""Characters of what others say that are shown."""


class Checked(list[Problem]):
    """What is wrong with the resources of a hub, nothing if all of them work. Printed, it says it of each.

    Attributes:
        works: What was found of those that work, by their keys.
        fails: What is wrong with the others, by their keys.
    """

    def __init__(self) -> None:
        super().__init__()
        self.works: dict[str, str] = {}
        self.fails: dict[str, list[Problem]] = {}

    def __str__(self) -> str:
        lines = [f"{key}: works ({said})" for key, said in self.works.items()]
        lines += [f"does not work: {one}" for one in self]
        return "\n".join(lines) or "there are no resources"

    __repr__ = __str__


def checked(ready: Mapping[str, tuple[object, Written]], result: Checked, timeout_s: float | None) -> None:
    """Add to ``result`` what is found of resources whose settings are right; without ``timeout_s`` none is opened."""
    to_try = {key: one for key, one in ready.items() if _can_be_tried(one[0])}
    if timeout_s is None or not to_try:
        result.works.update(dict.fromkeys(ready, "its settings are right"))
        return

    async def all_of_them() -> list[tuple[bool, str]]:
        return await asyncio.gather(*(_tried(made, entry, timeout_s) for made, entry in to_try.values()))

    found = dict(zip(to_try, run_waiting(all_of_them), strict=True))
    for key, (_, entry) in ready.items():
        fine, said = found.get(key, (True, "its settings are right"))
        if fine:
            result.works[key] = said
        else:
            message, _, mend = said.partition("\n")
            result.fails[key] = [problem(key, entry.key, message.rstrip(), mend.strip())]
            result += result.fails[key]


def _can_be_tried(made: object) -> bool:
    """Some cannot, such as limits; and some have nothing to open, and say nevertheless whether they work."""
    return any(callable(getattr(made, name, None)) for name in ("probe", "open"))


async def _tried(made: Any, entry: Written, timeout_s: float) -> tuple[bool, str]:
    """Whether a resource works, and what was found, or what is wrong."""
    clock = asyncio.timeout(timeout_s)
    try:
        async with clock:
            return True, without_secrets(await _probed(made), secrets_in(entry, os.environ))
    except Exception as error:
        if clock.expired():
            return False, f"no answer within {timeout_s:g} s"
        # What others raise may hold what they were given: their text is cleaned, and nothing else is kept of it.
        said = without_secrets(str(error) or type(error).__name__, secrets_in(entry, os.environ))
        return False, said if len(said) <= _MOST else f"{said[:_MOST]}…"


async def _probed(made: Any) -> str:
    probe: Callable[[], Awaitable[str | None]] | None = getattr(made, "probe", None)
    if probe is not None:
        return str(await probe() or "it can be used")
    service = made.open()
    await service.aclose()
    return "it can be opened; nothing was asked"

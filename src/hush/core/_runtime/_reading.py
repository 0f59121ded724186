"""How what a leaf reads is shown to tracers: worked out for each step when it is first shown."""

from __future__ import annotations

from typing import Any

from hush.core._plan._model import StepPlan


class Reading:
    """How what a leaf reads is shown: from the slots that hold it, or, where something is done to it, from its call."""

    __slots__ = ("names", "slots")

    def __init__(self, slots: tuple[tuple[str, int], ...] | None, names: tuple[str, ...]) -> None:
        self.slots = slots
        self.names = names

    def of(self, call: Any) -> dict[str, Any]:
        """What ``call``, which ``StepPlan.bind`` gave, is made with, by name."""
        return {**dict(zip(self.names, call.args, strict=False)), **call.keywords}


def reading_of(step: StepPlan) -> Reading:
    """That of ``step``, a leaf."""
    found: Reading | None = step.reading
    if found is None:
        plain = step.signature is not None and all(one.reader is None for one in step.arguments)
        slots = tuple((one.name, one.slot) for one in step.arguments) if plain else None
        found = Reading(slots, () if step.signature is None else step.signature.names())
        object.__setattr__(step, "reading", found)
    return found

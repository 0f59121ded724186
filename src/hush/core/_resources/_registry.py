"""The types of resources there are: limits, and what the entry points of installed distributions add."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from hush.core._expr._record import replace
from hush.core._resources._limit import LIMIT
from hush.core._resources._types import ResourceKind, ResourceType
from hush.core.errors import UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "hush.resources"
"""The group of entry points in which a distribution names its types, ``llm``, and its kinds, ``llm.acme``."""


@cache
def _entry_points() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points

    return {one.name: one for one in entry_points(group=GROUP)}


def categories() -> list[str]:
    """The categories there are."""
    return [LIMIT.category, *sorted(name for name in _entry_points() if "." not in name)]


@cache
def type_of(category: str) -> ResourceType | None:
    """The type of the resources of ``category``, with all its kinds; ``None`` if there is none."""
    if category == LIMIT.category:
        return LIMIT
    found = _entry_points().get(category)
    if found is None:
        return None
    type_: ResourceType = _loaded(found, ResourceType)
    added = [_loaded(one, ResourceKind) for name, one in _entry_points().items() if name.startswith(f"{category}.")]
    return replace(type_, kinds=(*type_.kinds, *added)) if added else type_


def _loaded(found: EntryPoint, wanted: type) -> Any:
    made = found.load()
    if not isinstance(made, wanted):
        where = f" of {found.dist.name}" if found.dist is not None else ""
        raise UsageError(f"the entry point {found.name}{where} ({found.value}) in {GROUP} is no {wanted.__name__}")
    return made

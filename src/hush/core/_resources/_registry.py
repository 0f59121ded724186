"""The types of resources there are: limits, and what the entry points of installed distributions add.

An entry point is loaded when a resource first needs it: one that is broken is a problem of that resource alone.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, TypeVar

from hush.core._logs import logger
from hush.core._resources._limit import LIMIT
from hush.core._resources._types import ResourceKind, ResourceType

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "hush.resources"
"""The group of entry points in which a distribution names its types, ``llm``, and its kinds, ``llm.acme``."""

log = logger("hush.resources")
T = TypeVar("T")


class Broken(Exception):
    """What is added cannot be used; the message says what, by whom and why."""


class Category:
    """A category of resources: its type, and the kinds that others add to it."""

    def __init__(self, type_: ResourceType, added: dict[str, list[EntryPoint]]) -> None:
        self.type = type_
        self._own = {kind.name: kind for kind in type_.kinds}
        self._added = {name: found for name, found in added.items() if name not in self._own}
        for name in added.keys() - self._added.keys():
            log.warning("%s is not used: Hush has a %s itself", _said(added[name]), f"{type_.category}.{name}")

    @property
    def only(self) -> ResourceKind | None:
        """The one kind of a category that has no others."""
        return self._own.get("")

    def names(self) -> list[str]:
        """What ``type:`` may be."""
        return [*self._own, *sorted(self._added)]

    def named(self, name: object) -> ResourceKind | None:
        """The kind called ``name``; ``None`` if there is none. Raises ``Broken``."""
        if not isinstance(name, str):
            return None
        if name in self._added:
            return _loaded(self._added[name], ResourceKind)
        return self._own.get(name)

    def classes(self) -> tuple[dict[str, ResourceKind], list[str]]:
        """The kinds by what ``_class:`` may call them, and what is wrong with those that cannot be used."""
        kinds, broken = list(self._own.values()), list[str]()
        for found in self._added.values():
            try:
                kinds.append(_loaded(found, ResourceKind))
            except Broken as error:
                broken.append(str(error))
        return {spelling: kind for kind in kinds for spelling in kind.classes}, broken


@cache
def _entry_points() -> dict[str, list[EntryPoint]]:
    from importlib.metadata import entry_points

    found: dict[str, dict[str, EntryPoint]] = {}
    for one in entry_points(group=GROUP):
        found.setdefault(one.name, {}).setdefault(one.value, one)  # what is installed twice is listed twice
    return {name: list(each.values()) for name, each in found.items()}


def categories() -> list[str]:
    """The categories there are."""
    return [LIMIT.category, *sorted(name for name in _entry_points() if "." not in name and name != LIMIT.category)]


@cache
def category(name: str) -> Category | None:
    """The category called ``name``; ``None`` if there is none. Raises ``Broken``."""
    if name == LIMIT.category:
        return Category(LIMIT, {})
    found = _entry_points().get(name)
    if found is None:
        return None
    before = f"{name}."
    added = {key.removeprefix(before): each for key, each in _entry_points().items() if key.startswith(before)}
    return Category(_loaded(found, ResourceType), added)


def _loaded(found: list[EntryPoint], wanted: type[T]) -> T:
    if len(found) > 1:
        raise Broken(f"{_said(found)} say different things of {found[0].name} in {GROUP}")
    try:
        made = found[0].load()
    except Exception as error:  # whatever the module of a third party raises
        raise Broken(f"{_said(found)} cannot be loaded: {type(error).__name__}: {error}") from None
    if not isinstance(made, wanted):
        raise Broken(f"{_said(found)} is a {type(made).__name__}, not a {wanted.__name__}")
    return made


def _said(found: list[EntryPoint]) -> str:
    each = [f"{one.name} of {one.dist.name if one.dist is not None else '?'} ({one.value})" for one in found]
    return f"the entry point{'s' if len(each) > 1 else ''} {' and '.join(each)}"

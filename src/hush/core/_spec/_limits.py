"""Limits that nodes name, and where the names are looked up."""

from __future__ import annotations

from collections.abc import Mapping

from hush.core._spec._model import CallSpec, GraphSpec
from hush.core._spec._policies import LIMIT_PREFIX, Limit
from hush.core._spec._reads import leaves
from hush.core.errors import UsageError


class NamedLimits:
    """The limits that nodes may name.

    Args:
        given: Limits by name, with ``limit:`` before it or not.
    """

    def __init__(self, given: Mapping[str, Limit]) -> None:
        if not isinstance(given, Mapping):
            raise UsageError(f'limits={given!r}: it is a dict, such as {{"crm": Limit(concurrency=10)}}.')
        self._given: dict[str, Limit] = {}
        for name, limit in given.items():
            if not isinstance(name, str) or not isinstance(limit, Limit):
                raise UsageError(f"limits={{{name!r}: {limit!r}}}: write the name of a limit and a Limit(...).")
            self._given[name.removeprefix(LIMIT_PREFIX)] = limit

    def find(self, name: str) -> Limit | None:
        """The limit called ``name``. The one place where names of limits are looked up."""
        return self._given.get(name.removeprefix(LIMIT_PREFIX))

    def names(self) -> tuple[str, ...]:
        """The names that are defined."""
        return tuple(self._given)

    def of(self, step: CallSpec) -> list[tuple[str, Limit]]:
        """The limits of ``step``, each once, with what they are called; without those that nothing defines."""
        found: dict[Limit, str] = {}
        for one in step.policies.limits:
            limit = self.find(one) if isinstance(one, str) else one
            if limit is not None:
                name = one.removeprefix(LIMIT_PREFIX) if isinstance(one, str) else repr(one)
                found.setdefault(limit, limit.name or name)
        return [(name, limit) for limit, name in found.items()]

    def used_by(self, root: GraphSpec) -> tuple[tuple[str, Limit], ...]:
        """The limits of all leaves in ``root``, each once, with what they are called."""
        found: dict[Limit, str] = {}
        for leaf in leaves(root):
            for name, limit in self.of(leaf) if leaf.policies.limits else ():
                found.setdefault(limit, name)
        return tuple([(name, limit) for limit, name in found.items()])

    def joined(self, found: Mapping[str, Limit]) -> NamedLimits:
        """These, and those that were ``found`` elsewhere."""
        return NamedLimits({**found, **self._given}) if found else self


NO_LIMITS = NamedLimits({})

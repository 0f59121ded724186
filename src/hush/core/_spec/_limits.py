"""Limits that nodes name: where the names are looked up, and what is wrong with those that nothing defines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hush.core._spec._model import CallSpec, Fault, Step
from hush.core._spec._policies import LIMIT_PREFIX, Limit
from hush.core.errors import UsageError, nearest


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

    def faults(self, step: Step) -> Iterator[Fault]:
        """What is wrong with the names that ``step`` gives."""
        if not isinstance(step, CallSpec):
            return
        for one in dict.fromkeys(step.policies.limits):
            if isinstance(one, str) and self.find(one) is None:
                name = one.removeprefix(LIMIT_PREFIX)
                near = nearest(name, self.names())
                hint = f"Did you mean {near!r}? If not, define it: " if near else "Define it: "
                known = f" (there are: {', '.join(self.names())})" if self.names() else ""
                yield Fault(
                    f"{step.name} is to be admitted by the limit {name!r}, which is not defined{known}",
                    f'{hint}Hush(graph, limits={{"{name}": Limit(...)}}).',
                    step.where,
                )


NO_LIMITS = NamedLimits({})

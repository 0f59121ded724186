"""The names of resources that stand in a graph, looked up."""

from __future__ import annotations

from collections.abc import Iterator

from hush.core._resources._hub import ResourceHub
from hush.core._spec._limits import NamedLimits
from hush.core._spec._model import CallSpec, GraphSpec
from hush.core._spec._policies import LIMIT_PREFIX, Limit
from hush.core._spec._reads import body_of
from hush.core.errors import Problem, ResourceError, nearest


def limits_named(root: GraphSpec, given: NamedLimits, hub: ResourceHub | None) -> tuple[NamedLimits, list[Problem]]:
    """The limits that the leaves of ``root`` name, ``given`` ones or those of the hub, and what is wrong with them.

    A name that is not there is told for each node that names it, at that node; a limit whose settings are wrong, once,
    at its settings. Without a hub it is the default one, which is read only if there is a name that is not given.
    """
    found: dict[str, Limit] = {}
    wrong: set[str] = set()
    problems: list[Problem] = []
    for path, leaf in _leaves(root):
        for name in leaf.policies.limits:
            if isinstance(name, Limit) or name in found or given.find(name) is not None:
                continue
            try:
                hub = ResourceHub.default() if hub is None else hub
            except ResourceError as error:  # its file cannot be read: nothing can be looked up
                return given.joined(found), list(error.problems)
            key = hub._key("limit", name)
            if key is None:
                problems.append(_unknown(path, leaf, name, given, hub))
            elif key not in wrong:
                try:
                    found[name] = hub.limit(key)
                except ResourceError as error:
                    wrong.add(key)
                    problems += error.problems
    return given.joined(found), problems


def _unknown(path: str, leaf: CallSpec, name: str, given: NamedLimits, hub: ResourceHub) -> Problem:
    absent = hub._absence("limit", name)
    bare = name.removeprefix(LIMIT_PREFIX)
    near = nearest(bare, given.names())
    hint = f"Did you mean {near!r}? If not: " if near is not None else ""
    mend = f'{hint}{absent.mend}\n        or give it: Hush(graph, limits={{"{bare}": Limit(...)}})'
    return Problem(path, leaf.where.file, leaf.where.line, f"limit={name!r}: {absent.message}", mend)


def _leaves(root: GraphSpec) -> Iterator[tuple[str, CallSpec]]:
    """Every leaf in ``root``, at any depth, that has limits, with its path."""
    todo = [(root.name, root)]
    for path, graph in todo:  # grows while it is walked
        for step in graph.steps:
            if isinstance(step, CallSpec):
                if step.policies.limits:
                    yield f"{path}/{step.name}" if not graph.wraps else path, step
            elif (body := body_of(step)) is not None:
                todo.append((path if graph.wraps else f"{path}/{step.name}", body))

"""The names of resources that stand in a graph, looked up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from hush.core._resources._hub import ResourceHub
from hush.core._spec._limits import NamedLimits
from hush.core._spec._model import CallSpec, GraphSpec
from hush.core._spec._policies import LIMIT_PREFIX, Limit
from hush.core._spec._reads import body_of
from hush.core.errors import Problem, ResourceError, nearest


class Named(NamedTuple):
    """What a graph names: limits, and the resources that serve its leaves, by category and name as written."""

    limits: NamedLimits
    resources: dict[tuple[str, str], Any]


def named_by(root: GraphSpec, given: NamedLimits, hub: ResourceHub | None) -> tuple[Named, list[Problem]]:
    """What the leaves of ``root`` name, ``given`` limits or what the hub has, and what is wrong with that.

    A name that is not there is told for each node that names it, at that node; one whose settings are wrong, once, at
    its settings. Without a hub it is the default one, which is read only if there is a name that is not given.
    """
    limits: dict[str, Limit] = {}
    resources: dict[tuple[str, str], Any] = {}
    wrong: set[str] = set()
    problems: list[Problem] = []
    for path, leaf in _leaves(root):
        for category, name in _names_in(leaf):
            known = name in limits or given.find(name) is not None if category == "limit" else None
            if known or (category, name) in resources:
                continue
            try:
                hub = ResourceHub.default() if hub is None else hub
            except ResourceError as error:  # its file cannot be read: nothing can be looked up
                return Named(given.joined(limits), resources), list(error.problems)
            key = hub._key(category, name)
            if key is None:
                problems.append(_unknown(path, leaf, category, name, given, hub))
            elif key not in wrong:
                found, faults = hub._make(key)
                if faults:
                    wrong.add(key)
                    problems += faults
                elif category == "limit":
                    assert isinstance(found, Limit)
                    limits[name] = found
                else:
                    resources[category, name] = found
    return Named(given.joined(limits), resources), problems


def _names_in(leaf: CallSpec) -> Iterator[tuple[str, str]]:
    for name in leaf.policies.limits:
        if isinstance(name, str):
            yield "limit", name
    uses = leaf.policies.uses
    if uses is not None:
        for name in uses.all_names():
            yield uses.category, name


def _unknown(path: str, leaf: CallSpec, category: str, name: str, given: NamedLimits, hub: ResourceHub) -> Problem:
    absent = hub._absence(category, name)
    if category != "limit":
        return Problem(path, leaf.where.file, leaf.where.line, f"resource_key={name!r}: {absent.message}", absent.mend)
    bare = name.removeprefix(LIMIT_PREFIX)
    near = nearest(bare, given.names())
    hint = f"Did you mean {near!r}? If not: " if near is not None else ""
    mend = f'{hint}{absent.mend}\n        or give it: Hush(graph, limits={{"{bare}": Limit(...)}})'
    return Problem(path, leaf.where.file, leaf.where.line, f"limit={name!r}: {absent.message}", mend)


def _leaves(root: GraphSpec) -> Iterator[tuple[str, CallSpec]]:
    """Every leaf in ``root``, at any depth, that names something, with its path."""
    todo = [(root.name, root)]
    for path, graph in todo:  # grows while it is walked
        for step in graph.steps:
            if isinstance(step, CallSpec):
                if step.policies.limits or step.policies.uses is not None:
                    yield f"{path}/{step.name}" if not graph.wraps else path, step
            elif (body := body_of(step)) is not None:
                todo.append((path if graph.wraps else f"{path}/{step.name}", body))

"""What is taken of a step's output besides the keys that must be there: what it writes, chooses, and may leave out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from hush.core._expr._model import Read, reads
from hush.core._plan._bind import Place, expr_reader
from hush.core._plan._model import Copy, Gives, Reader, Watch
from hush.core._plan._scope import Scope
from hush.core._spec._keys import known_keys
from hush.core._spec._model import ERROR, EVERYTHING, NEVER_STARRED, STAR, BranchSpec, Step
from hush.core._spec._reads import parent_reads


def gives_of(
    scope: Scope,
    number: int,
    optional: tuple[Copy, ...],
    arms: tuple[tuple[str, int], ...],
    soft_after: tuple[tuple[int, int, bool], ...],
) -> Gives:
    """What is taken of the output of step ``number``, besides what must be there."""
    step = scope.graph.steps[number]
    writes, computed = _writes(step)
    stars = any(write.key == STAR for write in step.writes)
    everything = any(write.key == EVERYTHING for write in step.writes)
    known = sorted((known_keys(step) or frozenset()) - NEVER_STARRED) if stars and scope.goes_on else ()
    watch = _watch(scope, number) if stars else None
    return Gives(
        optional=optional,
        writes=writes,
        computed=computed,
        computed_of_error=frozenset(
            write.key
            for write in step.writes
            if write.expr is not None and all(read.key == ERROR for read in reads(write.expr))
        ),
        stars=stars,
        everything=everything,
        watch=watch,
        known_keys=tuple(known),
        arms=arms,
        soft_after=soft_after,
        plain=not (optional or computed or everything or watch or arms or soft_after),
    )


def _watch(scope: Scope, number: int) -> Watch | None:
    """What the keys hidden by a ``"*"`` must not meet: unordered writers and readers."""
    writers = scope.writers
    assert writers is not None
    if number not in writers.hidden:
        return None  # its keys are known, so the check has seen them
    steps, index = scope.graph.steps, scope.order.index
    keys: dict[str, str] = {}
    for key, who in writers.by_key.items():
        for other in who:
            if other != number and not writers.never_meet(other, number):
                keys[key] = steps[other].name
    for reader, _, read in parent_reads(scope.graph):
        other = index[reader.name]
        if other != number and not writers.never_meet(other, number):
            keys.setdefault(read.key, reader.name)
    rivals = {
        steps[other].name for other in writers.hidden if other != number and not writers.never_meet(other, number)
    }
    return Watch(keys, frozenset(rivals)) if keys or rivals else None


def arms_in(step: Step, index: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """The targets of a branch, by name and number."""
    if not isinstance(step, BranchSpec):
        return ()
    return tuple([(target, index[target]) for target in step.targets() if target in index])


def _writes(step: Step) -> tuple[tuple[Copy, ...], tuple[tuple[str, Callable[[Any], Any]], ...]]:
    """What ``step`` hands over by name: keys as they are, and keys that are computed."""
    writes: list[Copy] = []
    computed: list[tuple[str, Callable[[Any], Any]]] = []
    for write in step.writes:
        if isinstance(write.expr, Read):
            writes.append(Copy(write.expr.key, write.key))
        elif write.expr is not None:
            reader = expr_reader(write.expr, lambda read: Place(0, maybe=False, reader=_of_output(read.key)))
            computed.append((write.key, reader))
    return tuple(writes), tuple(computed)


def _of_output(key: str) -> Reader:
    return itemgetter(key) if key != ERROR else lambda out: out.get(key)

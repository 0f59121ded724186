"""The error tree: everything Hush raises by itself, and the record it attaches to what users raise.

    HushError
    ├── GraphError                    the graph is wrong (all problems at once)
    │   └── UsageError (TypeError)    a line of authoring code that cannot work
    ├── InputError (ValueError)       a run was given the wrong inputs
    ├── MissingKeyError (KeyError)    a key that was read is not there
    ├── OutputError (TypeError)       a function returned something that has no keys
    ├── SourceError (ValueError)      what ``Each`` was given cannot be mapped over
    ├── ReportedError                 an item's body reported an error as a value
    ├── TooManyFailures               more items of a map failed than it tolerates
    ├── TooManyIterations (RuntimeError)  a loop did not end within its ``max_iterations``
    ├── NoCaseMatched (ValueError)    no case of a branch held, and it has no default
    ├── ResourceError                 a resource that is named is not there, or its settings are wrong
    ├── CacheError                    what a node was given or gave cannot be cached, or its cache cannot be used
    ├── NodeTimeout (TimeoutError)    a node took longer than its ``timeout_s``
    ├── WorkerDied (RuntimeError)     a worker process died while it ran a call or an item
    ├── TransportError (TypeError)    a value could not go to a worker process, or come back
    └── RunTimeout (TimeoutError)     a run took longer than its ``timeout_s``

An exception raised by a user's function is never wrapped: it passes through unchanged, with a note and a
:class:`FailureInfo` under ``exc.hush``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = (
    "CacheError",
    "FailureInfo",
    "GraphError",
    "HushError",
    "InputError",
    "MissingKeyError",
    "NoCaseMatched",
    "NodeTimeout",
    "OutputError",
    "Problem",
    "ReportedError",
    "ResourceError",
    "RunTimeout",
    "SourceError",
    "TooManyFailures",
    "TooManyIterations",
    "TransportError",
    "UsageError",
    "WorkerDied",
)


class HushError(Exception):
    """The root of all errors that Hush raises by itself. What your functions raise is never one, and never wrapped."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a graph or a resource: where it is, what it is, and how to mend it.

    Attributes:
        path: The node's path, such as ``"etl/enrich/one"``, or the resource's key, such as ``"limit:crm"``.
        file: The file in which the node, edge or case was written, or the setting.
        line: The line in that file, from 1; 0 where the file as a whole is meant.
        message: What is wrong.
        mend: What to write in its place, or nothing.
        column: The column in that line, from 1, of a setting in a file; else 0.
    """

    path: str
    file: str
    line: int
    message: str
    mend: str = ""
    column: int = 0

    def __str__(self) -> str:
        place = ":".join([self.file, *(str(number) for number in (self.line, self.column) if number)])
        text = f"{self.path} ({place}): {self.message}"
        return f"{text}\n    {self.mend}" if self.mend else text


class GraphError(HushError):
    """Raised when a graph cannot work, before anything of it runs.

    Attributes:
        problems: All that was found, as :class:`Problem` records in the order of the graph.
    """

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems: tuple[Problem, ...] = tuple(problems)


class UsageError(GraphError, TypeError):
    """Raised at the line of authoring code that cannot work, whatever the rest of the graph is."""


class InputError(HushError, ValueError):
    """Raised before anything runs, for all inputs that are missing and all that no node reads, at once."""


class MissingKeyError(HushError, KeyError):
    """Raised when a key that is read is not there; the message names those that are.

    In a run it is a failure of the node that reads the key; of a key that goes to ``PARENT``, of the node it names.
    """

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class OutputError(HushError, TypeError):
    """Raised when a function returns something other than a mapping, dataclass, pydantic model or ``None``."""


class SourceError(HushError, ValueError):
    """Raised when what ``Each`` was given cannot be mapped over: its type, its length, or an iterator used up.

    It fails the whole map, whatever its ``on_error``.
    """


class ReportedError(HushError):
    """Stands in ``result.errors`` for an ``error`` value that a map's body wrote by itself.

    Attributes:
        value: What the body wrote.
    """

    def __init__(self, value: Any) -> None:
        super().__init__(f"the body reported an error: {value!r}")
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.value,), self.__dict__  # an exception would be made again from its message


class ResourceError(HushError):
    """Raised when a resource that is named is not there or cannot be made, or its file cannot be read.

    It has everything that is wrong with that resource, and no value that may be secret.

    Attributes:
        problems: All that was found, as :class:`Problem` records in the order of the file.
    """

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems: tuple[Problem, ...] = tuple(problems)


class TooManyFailures(HushError):
    """Raised when more items of a map failed than its ``Tolerate(...)`` allows; ``__cause__`` is the first of them.

    What the map had made until then is in ``exc.hush.columns``.

    Attributes:
        failed: How many items had failed by then.
        total: How many items there are; where that is not known, how many were taken.
        errors: The first failures by item, at most 100, exceptions or what bodies wrote as their ``error``.
    """

    def __init__(self, message: str, failed: int, total: int, errors: Sequence[Any]) -> None:
        super().__init__(message)
        self.failed = failed
        self.total = total
        self.errors = tuple(errors)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.args[0], self.failed, self.total, self.errors), self.__dict__


class TooManyIterations(HushError, RuntimeError):
    """Raised when a loop has reached its ``max_iterations`` and its condition still does not hold.

    Its last values are gone with it; ``on_limit="stop"`` gives them in place of this.
    """


class NoCaseMatched(HushError, ValueError):
    """Raised when no case of a branch holds and it has no default; ``default=END`` says that this may be."""


class CacheError(HushError):
    """Raised when a node with ``cache=`` cannot be cached, or its cache cannot be used.

    In a run it is a failure of the node: an input or closure value without a certain form, an output that cannot be
    kept, or a file that is damaged, of a newer Hush, or no cache at all.
    """


class NodeTimeout(HushError, TimeoutError):
    """Raised when a node, graph, map or loop took longer than its ``timeout_s``, or an item than ``item_timeout_s``.

    A failure like any other: it can be named as ``node["error"]``, and collected. What took too long has been
    cancelled; a call in a thread goes on if it did not end within ``grace_s``.
    """


class RunTimeout(HushError, TimeoutError):
    """Raised when a run took longer than the ``timeout_s`` it was started with; all of it has been cancelled then."""


class WorkerDied(HushError, RuntimeError):
    """Raised when a worker process died while it ran a call or an item: killed, out of memory, or ``os._exit``.

    A failure of that call or item alone, which is not tried again: what it had done by then is not known.

    Attributes:
        exit_code: How the process ended: minus the number of the signal that killed it, else what it exited with;
            ``None`` where nobody can tell.
    """

    def __init__(self, message: str, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.args[0], self.exit_code), self.__dict__


class TransportError(HushError, TypeError):
    """Raised when a value cannot be sent to a worker process or back: it cannot be pickled, or not be loaded there.

    A failure of the call or item that it belongs to. For an exception that cannot come back, this comes in its place
    and tells its type, its message and its traceback.
    """


class Errors(tuple[BaseException, ...]):  # noqa: SLOT001  # it has one attribute, made once a run
    """The failures that a run went on without. At most 100 of a node or map are kept; ``total`` counts them all."""

    total: int  # a tuple's subclass can have no slots of its own

    def __new__(cls, kept: Iterable[BaseException] = (), total: int | None = None) -> Errors:
        made = super().__new__(cls, kept)
        made.total = len(made) if total is None else total
        return made


NO_ERRORS = Errors()


@dataclass(slots=True)
class FailureInfo:
    """Where an exception came from: what ``exc.hush`` holds.

    Attributes:
        path: The node's path, such as ``"etl/enrich/one"``.
        item: The index of the item in the innermost map around the node, or ``None``.
        outer: The indexes of the items of the maps around that one, outermost first.
        key: The item's key, where its map names one.
        attempt: How many times the node had been tried, from 1.
        run: The run's ``request_id``.
        file: The file in which the node was written.
        line: The line in that file.
        columns: Of a map that failed: its output columns so far, in input order.
        round: The round of the innermost loop around the node, from 0, or ``None``.
        nodes: Of a run with ``keep=True``: what had finished, as ``result.nodes`` would have it.
        errors: Of what a run ended with: the failures that it had gone on without before, as ``result.errors`` would
            have them.
    """

    path: str
    item: int | None
    outer: tuple[int, ...]
    key: str | None
    attempt: int
    run: str
    file: str
    line: int
    columns: Mapping[str, list[Any]] | None = None
    round: int | None = None
    nodes: Mapping[str, Mapping[str, Any]] | None = None
    errors: Errors = NO_ERRORS


def nearest(name: object, names: Iterable[object]) -> str | None:
    """The name most like ``name``, for an error's "did you mean"; ``None`` if nothing is near."""
    from difflib import get_close_matches

    found = get_close_matches(str(name), [str(other) for other in names], n=4, cutoff=0.6)
    swapped = [other for other in found if sorted(other) == sorted(str(name))]  # rmp is rpm before it is rps
    return next(iter([*swapped, *found]), None)


def missing_key(owner: str, key: object, keys: Iterable[object]) -> MissingKeyError:
    """The error for reading ``key`` of ``owner`` where only ``keys`` are there."""
    there = list(keys)
    listed = ", ".join(repr(k) for k in there[:20]) + (", …" if len(there) > 20 else "") if there else "no keys"
    near = nearest(key, there)
    hint = f" Did you mean {near!r}?" if near is not None else ""
    return MissingKeyError(f"{owner} has no key {key!r}; there are: {listed}.{hint}")

"""``Each``: marks the input of an iteration node that gives every item its own value."""

from __future__ import annotations

from typing import Any

from hush.core._expr._arguments import checks_arguments
from hush.core._expr._ref import Handle
from hush.core._expr._where import caller
from hush.core.errors import UsageError

_OF_THE_MAP = ("batch", "batch_wait_s", "window", "ordered", "first", "key", "max_concurrency", "on_error")


@checks_arguments
class Each(Handle):
    """One value of ``source`` for each item.

    Args:
        source: A reference, a list, any iterable or async iterable. It is pulled lazily: at most the map's
            ``max_concurrency`` + 32 items (its ``window``) are pulled and not finished. A column of another map as it
            is, ``Each(other["k"])``, is taken item by item while that map runs: see ``MapNode``. Several ``Each`` of
            one map are zipped and must have the same length. An iterator is used up by one run; a generator is always
            closed, also when the map fails or is cancelled; a file is left to whoever opened it. A ``str``, mapping,
            set or ``None`` is refused: before the run where it is written here, else with ``SourceError``. That, and
            what the source raises, fails the map whatever its ``on_error``.
        pull: ``"auto"`` pulls lists, ranges and tuples inline and any other iterable in a worker thread, in chunks
            of at most 32, until its ``next()`` has shown itself cheap; chunks need not come to the same thread.
            ``"inline"`` always pulls on the event loop, for cursors that belong to one thread: open them there too, in
            the generator itself or in a node with ``executor="inline"``.
    """

    __slots__ = ("_spent", "pull", "source", "where")

    def __init__(self, source: Any, *, pull: str = "auto") -> None:
        self.where = caller()
        if isinstance(source, Each):
            raise UsageError(f"Each(Each(...)) at {self.where}: one Each is enough; nest maps for nested items.")
        if pull not in ("auto", "inline"):
            raise UsageError(f'pull={pull!r} at {self.where}: it is "auto" or "inline".')
        self.source = source
        self.pull = pull
        self._spent: list[Any] = []

    @staticmethod
    def _instead_of(name: str, value: Any) -> str | None:
        """What to write in place of an argument that belongs elsewhere."""
        return f"It belongs to the map: MapNode(..., {name}={value!r})." if name in _OF_THE_MAP else None

    def __repr__(self) -> str:
        return f"Each({self.source!r})"

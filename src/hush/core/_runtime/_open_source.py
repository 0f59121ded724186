"""``open_source``: the source for what an ``Each`` was given; an iterator that was used up before is refused."""

from __future__ import annotations

from collections.abc import AsyncIterable
from contextvars import copy_context
from typing import Any
from weakref import WeakValueDictionary

from hush.core._expr._where import Where
from hush.core._plan._model import EachPlan, StepPlan
from hush.core._runtime._frame import Frame
from hush.core._runtime._iterator_source import IteratorSource
from hush.core._runtime._run import Run
from hush.core._runtime._sources import AsyncSource, ListSource, Source
from hush.core._spec._items import refusal
from hush.core.errors import SourceError

# Iterators that some run has gone through.
_consumed: WeakValueDictionary[int, Any] = WeakValueDictionary()
_last_consumed: dict[int, Any] = {}
_KEPT_CONSUMED = 32  # few, because they may hold files open


def open_source(value: Any, run: Run, one: EachPlan, step: StepPlan, frame: Frame) -> Source:
    """The source for what ``one`` of the map ``step`` of ``frame`` was given.

    Raises ``SourceError`` with advice if it cannot be gone through.
    """
    assert step.map is not None
    first = step.map.first
    reason = refusal(value)
    if reason is not None:
        message, mend = reason
        raise SourceError(f"{message}. {mend} ({one.where})")
    if isinstance(value, list | tuple | range):
        return ListSource(value, first)
    around = None if run.tracing is None else run.tracing.around(frame, step)
    # What the source sets, it alone sees, wherever it is pulled.
    context = copy_context() if around is None else around.context()
    if isinstance(value, AsyncIterable):
        asynchronous = context.run(aiter, value)
        if asynchronous is value:
            _consume(value, one.where, one.spent)
        return AsyncSource(asynchronous, first, around)
    iterator = context.run(iter, value)
    if iterator is value:
        _consume(value, one.where, one.spent)
    return IteratorSource(iterator, run, one.pull, first, context, step.path, frame.item)


def said_length(value: Any) -> int | None:
    """How many items the source says that it has, if it does; it may go through more or fewer.

    To be asked after the source was opened: some, such as queries, get all they have for the one as for the other.
    """
    if not hasattr(type(value), "__len__"):
        return None
    try:
        return copy_context().run(len, value)
    except Exception:  # who cannot say it has no length: only whoever shows progress would like to know
        return None


def _consume(iterator: Any, where: Where, spent: list[Any] | None) -> None:
    """Note that ``iterator`` is used up by this map; refuse it if it was used up before.

    ``spent`` belongs to the ``Each``: it holds the iterator that it was written with, once that has been used.
    """
    ended = getattr(iterator, "gi_frame", iterator) is None or getattr(iterator, "ag_frame", iterator) is None
    number = id(iterator)
    used = ended or _consumed.get(number) is iterator or number in _last_consumed
    if used or any(iterator is other for other in spent or ()):
        raise SourceError(
            f"Each got an iterator that was used up before: {iterator!r}. It gives its items once. Make it in a "
            f"function that returns it, or pass a fresh one as an input of each run. ({where})"
        )
    if spent is not None:
        spent.append(iterator)
    try:
        _consumed[id(iterator)] = iterator
    except TypeError:  # not weakly referable, as most builtin iterators are: the last ones are kept themselves
        _last_consumed[id(iterator)] = iterator
        if len(_last_consumed) > _KEPT_CONSUMED:
            del _last_consumed[next(iter(_last_consumed))]

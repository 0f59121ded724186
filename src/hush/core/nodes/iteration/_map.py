"""``MapNode`` and ``ForLoopNode``: a body that runs once for each item."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hush.core._expr._arguments import checks_arguments
from hush.core._expr._model import Expr, reads
from hush.core._expr._ref import Handle, Ref, to_expr
from hush.core._spec._model import EachInput, MapSpec, Tolerate
from hush.core._spec._policies import Limit
from hush.core._spec._races import needed_keys
from hush.core._spec._signature import name_of, signature_of, takes_one
from hush.core.errors import UsageError
from hush.core.nodes._declaration import is_source
from hush.core.nodes._describe import Describer
from hush.core.nodes._each import Each
from hush.core.nodes._graph import Block
from hush.core.nodes._handle import Node

Value = Any


class _Default(int):
    """A number that is told from the same one when somebody writes it."""


_SIXTEEN = _Default(16)


@checks_arguments
class MapNode(Block):
    """Run the nodes of the block once for each item, at most ``max_concurrency`` items at a time.

    Each key that the block writes to ``PARENT`` becomes a list with one place for each item, in input order whatever
    order they finish in: ``None`` where an item failed. ``map["error"]`` has the exception at those places and
    ``None`` elsewhere. ``map["iteration_metrics"]`` has ``total_iterations``, ``success_count``, ``error_count`` and
    ``latency_avg_ms``, ``latency_p50_ms``, ``latency_p95_ms``, ``latency_p99_ms`` of the items.

    A map whose ``Each`` names a column of another map, ``Each(other["k"])``, *streams* from it: it starts with the
    first item, and holds the other back when it is slower. It waits for the whole of the other one instead if an edge
    joins them, if the column is worked on first, if a third map takes columns of the other one too, or if it needs
    anything else that is only there once the other one has ended. A drawing says ``stream`` or ``barrier``. An item
    that failed in the other map fails here with the same error and its block does not run, unless ``other["error"]``
    is an ``Each`` too. What comes after a map that streams comes after the end of both.

    Args:
        inputs: At least one is ``Each(source)``; several are zipped and must have the same length. The others are
            passed whole to every item. The block reads them as ``PARENT["name"]``.
        outputs: ``PARENT``, ``{"*": PARENT}``, ``{"k": PARENT}`` or ``{"k": PARENT["y"]}``: whole columns. ``error``
            and ``iteration_metrics`` go along only if they are named.
        max_concurrency: Items in flight at once, at least 1: of this map in one run. A map in a map counts by itself.
            What a service bears, whoever calls it, is said by ``limit=`` of the node that does.
        executor: ``"process"``: the block runs in worker processes, for work that holds the interpreter: so many as
            ``max_concurrency`` says, or there are processors. Everything in the block is sent there once, items and
            outputs go in chunks of about 100 ms of work, of which transport is to be a tenth at most. All of it is
            pickled: lambdas and closures can be, context variables stay behind. In a process one item runs after the
            other, and a ``def`` on the process's own loop unless ``executor="thread"`` pins it. Order, errors and
            tolerance are as without it. A cancelled map kills its processes; an item past its ``item_timeout_s`` is
            killed with its process. A process that dies fails the item that it was at, with ``WorkerDied``; items of
            the same chunk that were not reported yet run again, one at a time until the killer is found, so an item
            may run twice. Nodes in the block send no events, and cannot have limits.
        batch: Hand the block lists of up to so many items instead of single ones; a list then counts as one item.
            Items that failed in a map before are left out.
        batch_wait_s: Seconds after its first item after which a batch is handed over, however few items it has. Without
            it a batch waits until it is full, or nothing more comes.
        window: Items (with ``batch``, lists of them) pulled from the source and not finished, at most;
            ``max_concurrency`` + 32 if not given, in processes two chunks for each (about 0.1 s of work a chunk).
            Where another map streams from this one, an item counts until that one has taken it; in processes four
            chunks for each may then be under way.
        ordered: ``False``: take the items of a map that this one streams from as they end, so that a slow one does not
            hold up those behind it. The columns of this map then have the order in which the items came. It changes
            nothing in a map that does not stream from another.
        first: Take only the first so many items of the source, to try; no further one is pulled. A map that this one
            streams from still goes through all of its own.
        key: Names items in errors (``exc.hush.key``) and events: the name of a field of the item, or a function of it.
            Of several ``Each`` the first is meant; with ``batch`` it is a function of the list.
        item_timeout_s: Seconds from when an item is taken, after which it is cancelled and fails with ``NodeTimeout``.
        on_error: ``"collect"``: a failed item does not touch the others. ``"raise"``: the first failure ends the map;
            no new item starts, those in flight are cancelled and awaited. ``Tolerate(count=, fraction=)``: collect up
            to a bound, then end the map with ``TooManyFailures``. A source that raises, or lengths that differ, fail
            the map in any case.
        timeout_s: Seconds from the start of the map, after which it is cancelled and fails.
    """

    kind = "map"
    has_metrics = True
    ways_to_fail = '"raise", "collect" or Tolerate(count=5)'

    def __init__(
        self,
        name: str | None = None,
        *,
        inputs: Mapping[str, Value] | None = None,
        outputs: Value = None,
        max_concurrency: int = _SIXTEEN,
        batch: int | None = None,
        batch_wait_s: float | None = None,
        window: int | None = None,
        ordered: bool = True,
        first: int | None = None,
        key: str | Callable[[Any], Any] | None = None,
        item_timeout_s: float | None = None,
        on_error: str | Tolerate = "collect",
        timeout_s: float | None = None,
        executor: str | None = None,
    ) -> None:
        self._each: list[tuple[str, Expr, Each]] = []
        self._tolerate = on_error if isinstance(on_error, Tolerate) else None
        if isinstance(on_error, Tolerate):
            on_error = "collect"
        super().__init__(name, inputs=inputs, outputs=outputs, timeout_s=timeout_s, on_error=on_error)
        self._refuse_limit(max_concurrency)
        self._max_concurrency = self._checked_count("max_concurrency", max_concurrency, "items in flight at once") or 1
        self._executor = self._checked_executor(executor)
        if self._executor == "process" and max_concurrency is _SIXTEEN:
            from hush.core._spec._portable import cpu_count  # few maps run in processes

            self._max_concurrency = cpu_count()
        self._batch = None if batch is None else self._checked_count("batch", batch, "items to a list")
        self._batch_wait_s = self._checked_seconds("batch_wait_s", batch_wait_s)
        self._window = None if window is None else self._checked_count("window", window, "items pulled ahead")
        if not isinstance(ordered, bool):
            raise UsageError(f"ordered={ordered!r} at {self.where}: it is True or False.")
        self._ordered = ordered
        if batch_wait_s is not None and batch is None:
            self._fault("batch_wait_s= without batch= has no batch to hand over", "Say how large: batch=100.")
        self._first = None if first is None else self._checked_count("first", first, "items to take")
        self._item_timeout_s = self._checked_seconds("item_timeout_s", item_timeout_s)
        self._key = self._checked_key(key)
        if not self._each:
            self._fault("no input is Each(...)", 'Say what to go through: inputs={"item": Each(source)}.')

    @classmethod
    def _instead_of(cls, name: str, value: Value) -> str | None:
        if name == "max_concurrency":  # of ``ForLoopNode``
            return f'It takes one item after the other. Write MapNode(..., {name}={value!r}, on_error="raise").'
        mend = super()._instead_of(name, value)
        if name == "limit" and not issubclass(cls, ForLoopNode):
            count = value.concurrency if isinstance(value, Limit) else value
            number = count if isinstance(count, int) else 10
            mend = f"{mend} For how many items are in flight at once write max_concurrency={number}."
        return mend

    def _refuse_limit(self, max_concurrency: Value) -> None:
        if max_concurrency == "auto":
            limit: Value = Limit(concurrency="auto")
        elif isinstance(max_concurrency, Limit):
            limit = max_concurrency
        else:
            return
        raise UsageError(
            f"max_concurrency={max_concurrency!r} at {self.where}: it is a whole number of items in flight at once. "
            f"How many calls are good, the node in the block says that makes them: limit={limit!r}."
        )

    def _checked_executor(self, executor: str | None) -> str | None:
        if executor is not None and not isinstance(executor, str):
            raise UsageError(f'executor={executor!r} at {self.where}: of a map it is "process", or left out.')
        if executor is not None and executor != "process":
            self._fault(
                f"executor={executor!r} is nothing for a map",
                'It takes "process", or leave it out; the nodes in the block take others.',
            )
            return None
        return executor

    def _checked_key(self, key: str | Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
        if key is None:
            return None
        if callable(key) and not isinstance(key, Handle | Ref):
            self._check_key(key)
            return key
        if not isinstance(key, str):
            raise UsageError(f"key={key!r} at {self.where}: it is the name of a field of an item, or a function of it.")
        if self._batch is not None:
            self._fault(
                f"key={key!r} names a field, but with batch= the item is a list", "Give a function of the list."
            )
        return _field(key)

    def _check_key(self, key: Callable[[Any], Any]) -> None:
        signature = signature_of(key)
        name = name_of(key)
        if signature.awaited or signature.generates:
            kind = "a generator function" if signature.generates else "an async function"
            self._fault(f"key={name} is {kind}, and a name is wanted at once", "Give a def that returns the name.")
        elif not takes_one(key):
            self._fault(
                f"key={name} cannot be called with one item",
                'Give a function of the item: key=lambda item: item["id"].',
            )

    def _take_each(self, key: str, each: Each) -> None:
        source = each.source
        if is_source(source):
            name = source.name
            self._fault(f"Each({name}) names no key", f'Name the key to go through: Each({name}["key"]).', each.where)
        else:
            self._check_parts(key, source)
        self._each.append((key, to_expr(source), each))

    def _sources(self) -> list[Node]:
        found = super()._sources()
        for _, expr, _ in self._each:
            found += [read.source for read in reads(expr) if isinstance(read.source, Node)]
        return found

    def _describe(self) -> MapSpec:
        given = Describer(self)
        body = self._describe_block()
        own = {name for name, _, _ in self._each}
        inputs, starred = given.inputs(lambda: [key for key in needed_keys(body) if key not in own])
        return MapSpec(
            name=self.name,
            kind=self.kind,
            inputs=inputs,
            starred=starred,
            writes=given.writes(),
            on_error=self._on_error,
            timeout_s=self._timeout_s,
            where=self.where,
            each=tuple(
                [
                    EachInput(name, given.expr(expr), each.pull, each.where, each._spent)
                    for name, expr, each in self._each
                ]
            ),
            body=body,
            max_concurrency=self._max_concurrency,
            tolerate=self._tolerate,
            batch=self._batch,
            batch_wait_s=self._batch_wait_s,
            window=self._window,
            ordered=self._ordered,
            first=self._first,
            key=self._key,
            item_timeout_s=self._item_timeout_s,
            executor=self._executor,
            faults=tuple(given.faults),
        )


@checks_arguments
class ForLoopNode(MapNode):
    """A map that takes one item after the other and ends at the first failure.

    As ``MapNode`` with one worker, and with its arguments but ``max_concurrency``: outputs are lists in input order.
    ``on_error`` is ``"raise"`` if not given. Nothing is carried from one item to the next; that is ``WhileLoopNode``.
    """

    kind = "for"

    def __init__(
        self,
        name: str | None = None,
        *,
        inputs: Mapping[str, Value] | None = None,
        outputs: Value = None,
        batch: int | None = None,
        batch_wait_s: float | None = None,
        window: int | None = None,
        ordered: bool = True,
        first: int | None = None,
        key: str | Callable[[Any], Any] | None = None,
        item_timeout_s: float | None = None,
        on_error: str | Tolerate = "raise",
        timeout_s: float | None = None,
        executor: str | None = None,
    ) -> None:
        super().__init__(
            name,
            inputs=inputs,
            outputs=outputs,
            max_concurrency=1,
            batch=batch,
            batch_wait_s=batch_wait_s,
            window=window,
            ordered=ordered,
            first=first,
            key=key,
            item_timeout_s=item_timeout_s,
            on_error=on_error,
            timeout_s=timeout_s,
            executor=executor,
        )


def _field(name: str) -> Callable[[Any], Any]:
    def key(item: Any) -> Any:
        return item[name] if isinstance(item, Mapping) else getattr(item, name)

    return key

"""``MapNode``: a body that runs once for each item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hush.core._expr._model import Expr, reads
from hush.core._expr._ref import to_expr
from hush.core._spec._model import EachInput, MapSpec
from hush.core._spec._races import needed_keys
from hush.core.errors import UsageError
from hush.core.nodes._describe import Describer
from hush.core.nodes._each import Each
from hush.core.nodes._graph import Block
from hush.core.nodes._handle import Node, is_source

Value = Any


class MapNode(Block):
    """Run the nodes of the block once for each item, at most ``max_concurrency`` items at a time.

    Each key that the block writes to ``PARENT`` becomes a list with one place for each item, in input order whatever
    order they finish in: ``None`` where an item failed. ``map["error"]`` has the exception at those places and
    ``None`` elsewhere.

    Args:
        inputs: At least one is ``Each(source)``; several are zipped and must have the same length. The others are
            passed whole to every item. The block reads them as ``PARENT["name"]``.
        max_concurrency: Items in flight at once, at least 1.
        on_error: ``"collect"``: a failed item does not touch the others. ``"raise"``: the first failure ends the map;
            no new item starts, those in flight are cancelled and awaited. A source that raises, or lengths that
            differ, fail the map either way.
        timeout_s: Seconds from the start of the map, after which it is cancelled and fails.
    """

    kind = "map"

    def __init__(
        self,
        name: str | None = None,
        *,
        inputs: Mapping[str, Value] | None = None,
        outputs: Value = None,
        max_concurrency: int = 16,
        on_error: str = "collect",
        timeout_s: float | None = None,
    ) -> None:
        self._each: list[tuple[str, Expr, Each]] = []
        super().__init__(name, inputs=inputs, outputs=outputs, timeout_s=timeout_s, on_error=on_error)
        if max_concurrency is not None and (isinstance(max_concurrency, bool) or not isinstance(max_concurrency, int)):
            raise UsageError(f"max_concurrency={max_concurrency!r} at {self.where}: it is a whole number of items.")
        if max_concurrency is None or max_concurrency < 1:
            self._fault(
                f"max_concurrency={max_concurrency!r} is below 1", "Give the number of items in flight at once."
            )
        self._max_concurrency = max_concurrency
        if not self._each:
            self._fault("no input is Each(...)", 'Say what to go through: inputs={"item": Each(source)}.')

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
            max_concurrency=self._max_concurrency or 1,
            faults=tuple(given.faults),
        )

"""``WhileLoopNode``: a body that runs again and again, on variables that it writes for the next round."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from hush.core._expr._arguments import checks_arguments
from hush.core._expr._model import Apply, Const, Expr, Read, reads
from hush.core._expr._ref import Ref
from hush.core._spec._model import LoopSpec, Source
from hush.core._spec._races import needed_keys
from hush.core._spec._signature import name_of, signature_of
from hush.core.errors import UsageError
from hush.core.nodes._declaration import is_source
from hush.core.nodes._describe import Describer
from hush.core.nodes._graph import Block
from hush.core.nodes._handle import Node
from hush.core.nodes._parent import PARENT

Value = Any
_HERE = Source(0, None)


@checks_arguments
class WhileLoopNode(Block):
    """Run the nodes of the block round after round, until ``stop_condition`` holds.

    The loop's ``inputs`` are its variables. The block reads them as ``PARENT["value"]`` and writes them for the next
    round: ``node["new"] >> PARENT["value"]``. One that a round does not write keeps its value. The outputs are the
    last values of all variables, and ``iteration_metrics``: as a map's, with ``stopped_by_condition`` and
    ``max_iterations_reached``. Rounds come one after the other; within one, nodes run at the same time as in any graph.
    A node that fails fails the loop, and ``exc.hush.round`` tells in which round, from 0.

    Args:
        inputs: The variables before the first round.
        stop_condition: When to stop, tried before each round: text in a small grammar (``"value >= 10 or done"``), a
            function whose parameters name variables, or a reference in which ``PARENT["value"]`` is the loop's
            variable. Values of nodes around the loop are read once, when it starts. Without one the loop makes
            ``max_iterations`` rounds.
        max_iterations: How many rounds there are at most.
        on_limit: What becomes of a loop that has made so many rounds and whose condition still does not hold:
            ``"raise"`` ends it with ``TooManyIterations``, ``"stop"`` with the last values.
        outputs: ``PARENT``, ``{"*": PARENT}``, ``{"k": PARENT}`` or ``{"k": PARENT["y"]}``.
        timeout_s: Seconds from the start of the loop, after which it is cancelled and fails.
        on_error: ``"collect"`` goes on when the loop fails; so does naming ``loop["error"]``, unless it is ``"raise"``.
    """

    kind = "while"
    has_metrics = True

    def __init__(
        self,
        name: str | None = None,
        *,
        inputs: Mapping[str, Value] | None = None,
        stop_condition: str | Ref | Callable[..., Any] | None = None,
        max_iterations: int = 100,
        on_limit: str = "raise",
        outputs: Value = None,
        timeout_s: float | None = None,
        on_error: str | None = None,
    ) -> None:
        self._stop: Expr | None = None
        self._stop_text = ""
        super().__init__(name, inputs=inputs, outputs=outputs, timeout_s=timeout_s, on_error=on_error)
        self._max_iterations = self._checked_count("max_iterations", max_iterations, "rounds") or 1
        if not isinstance(on_limit, str):
            raise UsageError(f'on_limit={on_limit!r} at {self.where}: it is "raise" or "stop".')
        if on_limit not in ("raise", "stop"):
            self._fault(f"on_limit={on_limit!r} is not known", 'Use on_limit="raise" or on_limit="stop".')
        self._on_limit = on_limit
        if stop_condition is not None:
            self._take_condition(stop_condition)
        if self._owner is not None and any(source._owner is None for source in self._sources()):
            self._owner._adopt(self)

    def _take_condition(self, condition: Value) -> None:
        if isinstance(condition, str):
            # Imported for the first condition that is written as text.
            from hush.core._expr._condition import parse_condition
            from hush.core._expr._condition_lexer import WITH_REFERENCES, ConditionError, brief

            self._stop_text = condition
            try:
                parsed = parse_condition(condition)
            except ConditionError as exc:
                self._fault(
                    f"the stop_condition {brief(condition, 60)} of {self.name} cannot be read: {exc}",
                    exc.mend.replace(WITH_REFERENCES, "write it as a function of variables: stop_condition=fn"),
                )
                return
            form = condition.replace("{", "{{").replace("}", "}}")
            self._stop = Apply(form, parsed.holds, tuple([Read(PARENT, name, self.where) for name in parsed.names]))
        elif isinstance(condition, Ref):
            self._stop_text = repr(condition).removeprefix("<reference ").removesuffix(">")
            self._stop = condition._hush_expr
        elif callable(condition) and not isinstance(condition, Node):
            self._take_function(condition)
        else:
            mend = f' Name a key: {condition.name}["key"].' if is_source(condition) else ""
            raise UsageError(
                f"stop_condition={condition!r} at {self.where}: it is text, a reference or a function of variables."
                + mend
            )

    def _take_function(self, fn: Callable[..., Any]) -> None:
        self._stop_text = f"{name_of(fn)}(…)"
        signature = signature_of(fn)
        if signature.generates:
            self._fault(
                f"stop_condition={name_of(fn)} is a generator function, and what it gives is always true",
                "Return the answer: True when the loop is to end.",
            )
        elif signature.awaited:
            self._fault(
                f"stop_condition={name_of(fn)} is an async function, and nothing is awaited between two rounds",
                'Await it in a node of the loop, node["done"] >> PARENT["done"], give the loop inputs={"done": False}, '
                'and write stop_condition="done".',
            )
        elif not signature.known:
            self._fault(
                f"the parameters of stop_condition={name_of(fn)} are not known", "Give a def or lambda that names them."
            )
        else:
            given = {name for name, _ in self._inputs}
            names = [one.name for one in signature.parameters if not one.has_default or one.name in given]
            if signature.open:
                names += [name for name, _ in self._inputs if name not in names]
            args = tuple([one for one in signature.parameters if one.how == "positional" and one.name in names])
            places = tuple([Read(PARENT, one.name, self.where) for one in args])
            named = tuple([(n, Read(PARENT, n, self.where)) for n in names if n not in {one.name for one in args}])
            self._stop = Apply("call", operator.call, (Const(fn), *places), named)

    def _sources(self) -> list[Node]:
        found = super()._sources()
        if self._stop is not None:
            found += [read.source for read in reads(self._stop) if isinstance(read.source, Node)]
        return found

    def _describe(self) -> LoopSpec:
        given = Describer(self)
        body = self._describe_block()
        stop = None if self._stop is None else given.variables(self._stop)
        tried = [] if stop is None else [read.key for read in reads(stop) if read.source == _HERE]
        inputs, starred = given.inputs(lambda: dict.fromkeys([*needed_keys(body), *tried]))
        return LoopSpec(
            name=self.name,
            kind=self.kind,
            inputs=inputs,
            starred=starred,
            writes=given.writes(),
            on_error=self._on_error,
            timeout_s=self._timeout_s,
            where=self.where,
            faults=tuple(given.faults),
            body=body,
            stop=stop,
            stop_text=self._stop_text,
            max_iterations=self._max_iterations,
            on_limit=self._on_limit,
        )

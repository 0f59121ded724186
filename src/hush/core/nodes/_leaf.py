"""``Leaf``: what all nodes have that call a function: where it runs, and what is wrapped around its calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hush.core._spec._model import CallSpec
from hush.core._spec._policies import Retry, Uses
from hush.core._spec._signature import UNKNOWN, Signature, signature_of
from hush.core.errors import UsageError
from hush.core.nodes._describe import Describer
from hush.core.nodes._handle import Node
from hush.core.nodes._policies import Limits, checked_policies

if TYPE_CHECKING:
    from pathlib import Path

Value = Any


class Leaf(Node):
    """A node that calls ``fn`` with its inputs, under the policies that every leaf takes (see ``CodeNode``).

    Args:
        fn: The function; ``None`` if what was given is none, which the subclass says in a fault.
        signature: What it takes, where that is not what its own signature says.
        uses: The resources that serve it; ``fn`` then makes the request, and is called on the loop.
    """

    def __init__(
        self,
        name: str | None,
        *,
        fn: Callable[..., Any] | None,
        inputs: Mapping[str, Value] | None,
        outputs: Value,
        signature: Signature | None = None,
        executor: str = "auto",
        timeout_s: float | None = None,
        on_error: str | None = None,
        retry: Retry | None = None,
        limit: Limits = None,
        cache: str | Path | bool | None = None,
        version: str | None = None,
        priority: int = 0,
        tokens: int | Callable[..., Any] | None = None,
        uses: Uses | None = None,
        suggested: str | None = None,
    ) -> None:
        self._fn = fn
        super().__init__(
            name, inputs=inputs, outputs=outputs, on_error=on_error, timeout_s=timeout_s, suggested=suggested
        )
        if not isinstance(executor, str):
            raise UsageError(f'executor={executor!r} at {self.where}: it is "auto", "inline", "thread" or "process".')
        self._executor = executor
        self._policies = checked_policies(
            self.where,
            retry=retry,
            limit=limit,
            cache=cache,
            version=version,
            priority=priority,
            tokens=tokens,
            uses=uses,
        )
        self._signature = signature or (UNKNOWN if fn is None else signature_of(fn))

    def _describe(self) -> CallSpec:
        given = Describer(self)
        inputs, starred = given.inputs(self._signature.names)
        return CallSpec(
            name=self.name,
            kind=self.kind,
            inputs=inputs,
            starred=starred,
            writes=given.writes(),
            on_error=self._on_error,
            timeout_s=self._timeout_s,
            where=self.where,
            faults=tuple(given.faults),
            fn=self._fn,
            signature=self._signature,
            executor=self._executor,
            policies=self._policies,
        )

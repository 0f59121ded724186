"""``CodeNode`` and ``@code_node``: a node that calls a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from hush.core._expr._arguments import not_taken
from hush.core._expr._ref import Ref
from hush.core._spec._policies import Retry
from hush.core._spec._signature import name_of, signature_of
from hush.core.errors import UsageError
from hush.core.nodes._handle import Node
from hush.core.nodes._leaf import Leaf
from hush.core.nodes._policies import Limits

if TYPE_CHECKING:
    from pathlib import Path

Value = Any
P = ParamSpec("P")
R = TypeVar("R")
_MISSING: Any = object()
_ARGUMENTS = (
    "name",
    "code_fn",
    "inputs",
    "outputs",
    "executor",
    "timeout_s",
    "on_error",
    "retry",
    "limit",
    "cache",
    "version",
    "priority",
    "tokens",
)


class CodeNode(Leaf):
    """A node that calls ``code_fn`` with its inputs; the mapping it returns is the node's outputs.

    It is called once in a run, in a map once for each item, in a loop once a round: maybe several times at once, and a
    ``def`` then in several threads. What it raises is raised by the run, unchanged. When the run is cancelled, an
    ``async def`` gets ``CancelledError`` where it awaits; a call in a thread cannot be stopped and is waited for
    ``grace_s`` seconds (``Hush(graph, grace_s=)``). It sees the context variables of the run's caller; what it sets
    there no other node sees.

    Args:
        name: Letters, digits, ``_`` and ``-``; unique in its graph. Without it, the function's name.
        code_fn: A ``def`` or ``async def``. It returns a mapping, a dataclass or a pydantic model, or ``None`` for no
            outputs; anything else is an ``OutputError``. An awaitable is awaited. ``"$tags"`` among the keys tags the
            run.
        inputs: ``{"x": PARENT["y"]}``, ``{"x": node["k"]}``, literals, ``{"*": PARENT}`` or ``{"*": node}``.
        outputs: ``PARENT``, ``{"*": PARENT}``, ``{"k": PARENT}`` or ``{"k": PARENT["y"]}``.
        executor: Where a ``def`` runs. ``"auto"``: in a worker thread, until it has shown itself cheap.
            ``"inline"``: on the event loop. ``"thread"``: always in a worker thread. An ``async def`` runs on the loop.
            ``"process"``: in a worker process, for work that holds the interpreter; an ``async def`` too. The node has
            as many processes in a run as there are processors, and they end with the run. Function, inputs and
            outputs are pickled (lambdas and closures can be), context variables stay behind. A call that is
            cancelled, or takes too long, is killed with its process. A process that dies fails its one call with
            ``WorkerDied``. Handing a call over takes some 0.2 ms: many short ones belong in a map whose
            ``executor`` is ``"process"``.
        timeout_s: Seconds from the start of the call, after which the node fails with ``NodeTimeout``. It pins a
            ``def`` to a thread, which cannot be stopped: after the engine's ``grace_s`` the call is left behind. In
            a process it is killed.
        on_error: ``"collect"`` goes on when the node fails: its ``error`` is the exception, its other outputs are
            ``None``. So does naming ``node["error"]``, unless this is ``"raise"``.
        retry: ``Retry(...)`` tries again when the function raises, or takes longer than ``timeout_s``, which then
            bounds each attempt; the function may be called several times, with the same inputs. Not retried are
            what the function returns and what is made of that.
        cache: Where the outputs are kept, to be given again for equal inputs: ``"memory"`` (or ``True``), which is
            bounded and ends with the process, or the path of a SQLite file, which threads and processes share. The key
            is the function's code, defaults and closure values, the constants and functions of its module that it
            names, and its inputs. Identical calls under way at once are one. Failures are not kept. What has no
            certain form, and what cannot be kept as JSON with declared types, is a ``CacheError``.
        version: Stands for the function in the key, with its name, in place of its code and all that it holds: give
            another one whenever the function changes.
        limit: A ``Limit(...)``, the name of one, which ``Hush(graph, limits={"crm": Limit(...)})`` defines, or a list:
            the function is called when all of them admit it. Waiting is no part of ``timeout_s``; each attempt of a
            node that is tried again is admitted anew. A node that is cancelled while it waits is not called.
        priority: Of those that wait for a limit, who has a higher one is admitted first. 0 if not given.
        tokens: For limits on tokens: how many one call is expected to take. A number, or a function that is given the
            node's inputs by name, those that it has parameters for, and returns a number, or a dict with
            ``input_tokens`` and ``output_tokens``. It is called on the loop before each call, and should be quick.
    """

    kind = "code"

    @staticmethod
    def _instead_of(name: str, value: Value) -> str | None:
        """What to write in place of an argument that it does not take."""
        return f"Write limit=Limit(concurrency={value!r})." if name == "max_concurrency" else None

    def __init__(
        self,
        name: str | None = None,
        *,
        code_fn: Callable[..., Any] = _MISSING,
        inputs: Mapping[str, Value] | None = None,
        outputs: Value = None,
        executor: str = "auto",
        timeout_s: float | None = None,
        on_error: str | None = None,
        retry: Retry | None = None,
        limit: Limits = None,
        cache: str | Path | bool | None = None,
        version: str | None = None,
        priority: int = 0,
        tokens: int | Callable[..., Any] | None = None,
        **unknown: Value,
    ) -> None:
        if code_fn is _MISSING:
            given = " Its first argument is the name." if callable(name) else ""
            raise UsageError(f"CodeNode(...) misses code_fn=: the function that it calls.{given}")
        keys_given = "return_keys" in unknown
        unknown.pop("return_keys", None)
        if unknown:
            raise not_taken(CodeNode, unknown, _ARGUMENTS)
        if isinstance(code_fn, NodeFactory):
            code_fn = code_fn.fn
        fits = callable(code_fn) and not isinstance(code_fn, Ref | Node)
        super().__init__(
            name,
            fn=code_fn if fits else None,
            inputs=inputs,
            outputs=outputs,
            executor=executor,
            timeout_s=timeout_s,
            on_error=on_error,
            retry=retry,
            limit=limit,
            cache=cache,
            version=version,
            priority=priority,
            tokens=tokens,
            suggested=name_of(code_fn) if fits else None,
        )
        if self._fn is None:
            self._fault(f"code_fn={code_fn!r} is not callable", "Give a function: code_fn=my_function.")
        if keys_given:
            self._fault("return_keys= is not needed", "Delete it: keys are what the function returns.")
        self._check_executor()
        if self._policies.cache is not None and self._fn is not None:
            self._check_cache(self._fn, self._policies.version)

    def _check_cache(self, fn: Callable[..., Any], version: str | None) -> None:
        from hush.core._spec._certain import Uncertain
        from hush.core._spec._identity import Identity, uncertain_function

        try:
            Identity(fn, version).bytes()
        except Uncertain as exc:
            message, mend = uncertain_function(exc)
            self._fault(f"it cannot be cached: {message}", mend)

    def _check_executor(self) -> None:
        if self._executor not in ("auto", "inline", "thread", "process"):
            self._fault(f"executor={self._executor!r} is not known", 'Use "auto", "inline", "thread" or "process".')
        elif self._executor == "inline" and self._timeout_s is not None and not self._signature.awaited:
            self._fault(
                "timeout_s cannot end a def that runs inline", 'Leave executor="inline" out, or write an async def.'
            )


class NodeFactory(Generic[P, R]):
    """What ``@code_node`` makes of a function: call it for a node; ``.fn`` is the function itself."""

    def __init__(self, fn: Callable[P, R]) -> None:
        if not callable(fn):
            raise UsageError(f"@code_node stands above a function, not {fn!r}.")
        self.fn = fn
        self.__name__ = name_of(fn)
        self.__doc__ = fn.__doc__
        self.__wrapped__ = fn

    def __call__(
        self,
        name: str | None = None,
        *,
        inputs: Mapping[str, Value] | None = None,
        outputs: Value = None,
        executor: str = "auto",
        timeout_s: float | None = None,
        on_error: str | None = None,
        retry: Retry | None = None,
        limit: Limits = None,
        cache: str | Path | bool | None = None,
        version: str | None = None,
        priority: int = 0,
        tokens: int | Callable[..., Any] | None = None,
        **unknown: Value,
    ) -> CodeNode:
        """A node that calls the function, later, when a graph runs."""
        meant = [key for key in unknown if key not in _ARGUMENTS and key in signature_of(self.fn).names()]
        if meant or not isinstance(name, str | None):
            given = f"inputs={{{', '.join(f'{key!r}: ...' for key in meant)}}}" if meant else "inputs={...}"
            raise UsageError(
                f"{self.__name__}(...) makes a node, and is given a value for the function. "
                f"Write {self.__name__}({given}); {self.__name__}.fn(...) calls the function."
            )
        return CodeNode(
            name,
            code_fn=self.fn,
            inputs=inputs,
            outputs=outputs,
            executor=executor,
            timeout_s=timeout_s,
            on_error=on_error,
            retry=retry,
            limit=limit,
            cache=cache,
            version=version,
            priority=priority,
            tokens=tokens,
            **unknown,
        )

    def __repr__(self) -> str:
        return f"<code_node {self.__name__}>"


def code_node(fn: Callable[P, R]) -> NodeFactory[P, R]:
    """Turn a function into a maker of nodes: ``step = fn(name=, inputs=, outputs=)``, once for each node.

    A call runs nothing: it makes a new ``CodeNode`` and takes what that takes, ``executor=``, ``timeout_s=``,
    ``retry=`` and ``on_error=`` too. Without ``name=`` the node is called after the function. ``fn.fn`` stays the plain
    function.
    """
    return NodeFactory(fn)

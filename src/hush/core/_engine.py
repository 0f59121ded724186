"""``Hush``: runs a graph."""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections.abc import Mapping, Sequence
from functools import cache, partial
from time import perf_counter_ns
from typing import IO, TYPE_CHECKING, Any, Self, Unpack

from hush.core._background import run_in_background
from hush.core._expr._arguments import checks_arguments
from hush.core._options import Resources, RunOptions, Tracers, check_names, check_seconds, hub_of
from hush.core._plan._model import RootPlan
from hush.core._plan._root import bind_inputs, compile_root
from hush.core._resources._names import Named, named_by
from hush.core._result import Nodes, Result
from hush.core._runtime._compound import run_root
from hush.core._runtime._frame import Frame
from hush.core._runtime._listening import tracers_of
from hush.core._runtime._pass import pass_of
from hush.core._runtime._policies import policies
from hush.core._runtime._run import Run
from hush.core._runtime._watchdog import watchdog
from hush.core._spec._kinds import kinds_of
from hush.core._spec._limits import NO_LIMITS, NamedLimits
from hush.core._spec._model import GraphSpec, Step
from hush.core._spec._policies import Limit
from hush.core._spec._root import as_root
from hush.core._spec._validate import require_sound
from hush.core.errors import UsageError
from hush.core.nodes._alone import alone
from hush.core.nodes._drawn import Drawn
from hush.core.nodes._graph import Block
from hush.core.nodes._handle import Node
from hush.core.nodes._wiring import open_containers
from hush.core.protocols import Tracer, run_alone

if TYPE_CHECKING:  # imported when a run is first started, streamed or told of
    from hush.core._runtime._opened import Services
    from hush.core._runtime._tracing import Tracing
    from hush.core._started import RunHandle
    from hush.core._stream import Stream


@checks_arguments
class Hush(Drawn):
    """An engine for one graph: made once, run as often as you like, also at the same time.

    Args:
        graph: The root: a graph, map or loop. It is checked and compiled here. A map or loop gives all its outputs,
            ``error`` and ``iteration_metrics`` too; in its own inputs ``PARENT`` is the run.
        resources: Where the names in it are looked up, such as ``limit="crm"``: a hub, settings for one, or the path of
            a file. Without it, ``ResourceHub.default()``, which is read only if the graph names something.
        grace_s: Seconds that a call in a thread gets to end after a cancellation or a timeout, before it is left
            behind and control returns.
        limits: What nodes name with ``limit="crm"``: ``{"crm": Limit(concurrency=10)}``. Engines that are given the
            same object share it. Names that are not there are looked up in ``resources``.
        stall_s: Seconds after which a run in which nothing begins or ends is logged, once, with what it is at; ``None``
            for never.

    Raises:
        GraphError: With all problems of the graph, and of the resources that it names.
        ResourceError: The file that ``resources`` names cannot be read.
    """

    def __init__(
        self,
        graph: Block,
        *,
        resources: Resources = None,
        limits: Mapping[str, Limit] | None = None,
        grace_s: float = 1.0,
        stall_s: float | None = 60.0,
    ) -> None:
        if not isinstance(graph, Block):
            raise UsageError(f"Hush(...) runs a graph, map or loop, not {graph!r}.")
        if graph in open_containers.get():
            raise UsageError(f"the graph {graph.name!r} is still being written: make Hush(...) after its with block.")
        if isinstance(grace_s, bool) or not isinstance(grace_s, int | float) or not grace_s >= 0:
            raise UsageError(f"grace_s={grace_s!r}: it is a number of seconds, 0 or more.")
        if stall_s is not None:
            check_seconds(stall_s, "stall_s")
        given = NO_LIMITS if limits is None else NamedLimits(limits)
        hub = hub_of(resources)
        spec = as_root(graph._describe())
        found, unknown = named_by(spec, given, hub)
        require_sound(spec, unknown)
        self._prepare(spec, found, grace_s, stall_s)

    def _prepare(self, spec: GraphSpec, named: Named, grace_s: float, stall_s: float | None) -> None:
        self.name = spec.name
        self._spec = spec
        self._grace_s = grace_s
        self._stall_s = stall_s
        self._limits = named.limits
        self._limits_used = named.limits.used_by(spec)
        self._services: Services | None = None
        self._kinds: Mapping[str, str] | None = None  # of all nodes, once a tracer has asked
        if named.resources:
            from hush.core._runtime._opened import Services

            self._services = Services(named.resources)
            own = {limit for _, limit in self._limits_used}
            bounds = {one.limit: one.name for one in named.resources.values() if one.limit is not None}
            self._limits_used += tuple([(name, limit) for limit, name in bounds.items() if limit not in own])
        self._root: RootPlan = compile_root(spec, partial(policies, limits=named.limits, services=self._services))

    async def run(
        self,
        inputs: Mapping[str, Any] | None = None,
        *,
        tracer: Tracers = None,
        request_id: str | None = None,
        user_id: str | None = None,
        session_id: str | None = None,
        timeout_s: float | None = None,
        keep: bool = False,
    ) -> Result:
        """Run the graph once.

        Args:
            inputs: What the graph's nodes read as ``PARENT["key"]``.
            tracer: Objects with ``emit(event)``, one or a list: called in order, on the loop. They must not block.
            request_id: The run's id in errors and events; made if not given.
            user_id: Carried to the result and to events.
            session_id: Carried to the result and to events.
            timeout_s: Seconds after which the run is cancelled and ``RunTimeout`` raised.
            keep: Keep what every node gave: ``result.nodes["outer/inner"]["key"]``, the columns of maps included. If
                the run fails, ``exc.hush.nodes`` has what had finished.

        Returns:
            The outputs of the graph, a ``dict`` with ``request_id``, ``status``, ``seconds``, ``errors`` and ``tags``.

        Raises:
            InputError: Before anything runs: inputs that are missing, or that no node reads.
            Exception: What a node raised, unchanged, with ``exc.hush``; an ``ExceptionGroup`` if several failed on
                their own. Everything else of the run has been cancelled and has ended by then.
            CancelledError: When the caller was cancelled; everything of the run has ended by then.
        """
        slots = bind_inputs(self._root, inputs)
        tracers = tracers_of(tracer)
        given = inputs if tracers else None
        del inputs
        if timeout_s is not None:
            check_seconds(timeout_s)
        if not (request_id is None and user_id is None and session_id is None):
            check_names(request_id=request_id, user_id=user_id, session_id=session_id)
        began_ns = perf_counter_ns()
        loop = asyncio.get_running_loop()
        timed = timeout_s is not None or self._root.timeout_s is not None
        begins_s = loop.time() if timed else 0.0
        budget = pass_of(loop)
        if began_ns > budget.limit_ns and not timed and budget.must_wait(began_ns):
            # Before anything is made for it: a thousand runs at once are then as cheap as one after the other.
            await budget.turn(served=False)
        run = Run(self.name, loop, budget, self._grace_s, request_id)
        run.stall_s, run.limits = self._stall_s, self._limits_used
        if tracers or keep:
            self._trace(run, tracers, user_id, session_id, given, keep=keep)
        del tracer, tracers, given  # failures that a tracer keeps remember this frame, as they do ``_execute``'s
        frame = Frame(self._root.plan, slots)
        del slots
        budget.run_began(run)
        watchdog.wake()
        try:
            failure = await run_root(run, self._root, frame, begins_s, timeout_s)
        except CancelledError as exc:
            _finished(run, "cancelled", (perf_counter_ns() - began_ns) / 1e9, error=exc)
            raise
        finally:
            budget.run_ended(run)
            run.domain = None
        seconds = (perf_counter_ns() - began_ns) / 1e9
        if isinstance(failure, StopIteration):
            failure = _as_runtime_error(failure)
        if failure is not None:
            run.locate_root(failure, self._root.where, self._kept(run))
            _finished(run, "failed", seconds, error=failure)
            try:
                raise failure
            finally:
                del failure  # the traceback holds this frame, and the frame would hold it
        result = Result(frame.outputs(), run, user_id, session_id, seconds, self._kept(run))
        del frame
        if run.partial:
            run.warn()
        _finished(run, result.status, seconds, result=result)
        try:
            return result
        finally:
            del result

    def _trace(
        self,
        run: Run,
        tracers: Sequence[Tracer],
        user_id: str | None,
        session_id: str | None,
        inputs: Mapping[str, Any] | None,
        *,
        keep: bool,
    ) -> None:
        """Have the run told of, and kept, from its beginning on."""
        run.tracing = _tracing_type()(run, tracers)
        run.keeps = bool(keep)
        if keep:
            run.tracing.kept = {}
        kinds = None
        if run.tracing.sees_calls:
            if self._kinds is None:
                self._kinds = kinds_of(self._spec)
            inputs, kinds = inputs or {}, self._kinds
        else:
            inputs = None
        run.tracing.run_started(self.name, user_id, session_id, inputs, kinds)

    def _kept(self, run: Run) -> Nodes | None:
        """What the nodes of ``run`` gave, if it keeps that."""
        return Nodes(self.name, run.tracing.kept) if run.tracing is not None and run.tracing.kept is not None else None

    def _check_run(self, inputs: Mapping[str, Any] | None, options: RunOptions) -> None:
        """Raise at the caller's line what the run would only raise once it has begun."""
        bind_inputs(self._root, inputs)
        self.run(inputs, **options).close()  # an option that is not known
        if (timeout_s := options.get("timeout_s")) is not None:
            check_seconds(timeout_s)
        check_names(**{name: given for name, given in options.items() if name.endswith("_id")})

    async def __call__(self, inputs: Mapping[str, Any] | None = None, **options: Unpack[RunOptions]) -> Result:
        """``await engine(inputs)`` is ``await engine.run(inputs)``."""
        return await self.run(inputs, **options)

    def run_sync(self, inputs: Mapping[str, Any] | None = None, **options: Unpack[RunOptions]) -> Result:
        """``run`` for code that is not async: it waits for the result, also where a loop is running (notebooks).

        It takes what ``run`` takes. All such runs share one loop in a daemon thread of its own, so that asyncio
        objects made at import work in every call. On that thread itself it raises. Ctrl-C cancels the run and waits
        for it.
        """
        return run_in_background(lambda: self.run(inputs, **options))

    def start(self, inputs: Mapping[str, Any] | None = None, **options: Unpack[RunOptions]) -> RunHandle:
        """Start a run in a task of its own, on the running loop, and give its handle at once.

        ``await handle`` gives what ``run`` would: the result, or what was raised; if the awaiting task is cancelled,
        so is the run. ``handle.cancel()`` cancels it, ``handle.why()`` tells what it is waiting for. It takes what
        ``run`` takes. Wrong inputs raise here.
        """
        from hush.core._started import RunHandle
        from hush.core._why import InFlight

        self._check_run(inputs, options)
        watcher = InFlight(self._spec)
        options["tracer"] = [watcher, *tracers_of(options.get("tracer"))]
        return RunHandle(self.name, self.run(inputs, **options), watcher)

    def stream(
        self,
        inputs: Mapping[str, Any] | None = None,
        *,
        items: str | None = None,
        buffer: int = 256,
        **options: Unpack[RunOptions],
    ) -> Stream:
        """Run the graph and give its events as they come: ``async for event in engine.stream(inputs)``.

        The last event is ``RunFinished``, with the result; a run that fails raises after it. The run begins with the
        loop. Leaving the loop cancels the run; ``async with engine.stream(inputs) as events`` also waits until it has
        ended. It takes what ``run`` takes, besides:

        Args:
            inputs: As of ``run``. Wrong ones raise here.
            items: The name or path of a map: then only its ``ItemFinished`` and ``ItemFailed`` are given, in the order
                in which items end, with what the item gave as ``outputs``.
            buffer: How many events may wait to be read. Once so many do, the run starts no new node and pulls no new
                item until half of them have been read; what is in flight goes on.
        """
        from hush.core._stream import Buffer, Stream, map_called

        self._check_run(inputs, options)
        if isinstance(buffer, bool) or not isinstance(buffer, int) or buffer < 1:
            raise UsageError(f"buffer={buffer!r}: it is a number of events, at least 1.")
        listener = Buffer(buffer, None if items is None else map_called(items, self._root.plan))
        options["tracer"] = [listener, *tracers_of(options.get("tracer"))]
        return Stream(listener, lambda: self.run(inputs, **options))

    async def aclose(self) -> None:
        """Close what resources have open for this engine, on all loops; a later run opens it again.

        ``async with Hush(graph) as engine`` does it at the end of the block. Else they are closed with their loop.
        """
        if self._services is not None:
            await self._services.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def show(self) -> None:
        """Print the graph as text; ``engine.to_text()`` gives it, ``to_mermaid()`` and ``to_svg()`` other forms."""
        print(self.to_text())  # noqa: T201  # what it is for

    def _describe(self) -> Step:
        return self._spec.steps[0] if self._spec.wraps else self._spec

    def __repr__(self) -> str:
        return f"<Hush {self.name!r}>"


def why_on_signal(number: int | None = None, file: IO[str] | None = None) -> None:
    """Print what all runs of the process are at whenever a signal comes: ``kill -USR1 <pid>`` asks for it.

    Call it once, in the main thread; what was done at that signal before is replaced. A loop that is held up by a call
    tells of its runs when that has ended, and of the call at once.

    Args:
        number: The signal; ``SIGUSR1`` if not given (Windows has none: give another).
        file: Where to print: standard error if not given.
    """
    from hush.core._why import tell_on_signal

    tell_on_signal(number, file)


def _as_runtime_error(stop: StopIteration) -> RuntimeError:
    """What a coroutine can raise instead of ``StopIteration`` (PEP 479), with the same note and record."""
    info = stop.__dict__["hush"]
    error = RuntimeError(f"{info.path} raised StopIteration, which would end the coroutine that runs it")
    error.__dict__.update(hush=info, __notes__=stop.__dict__.get("__notes__", []))
    error.__cause__ = stop
    return error


@cache
def _tracing_type() -> type[Tracing]:
    """Imported when it is first needed: with the events it is a fifth of what importing Hush takes."""
    from hush.core._runtime._tracing import Tracing

    return Tracing


def _finished(
    run: Run, status: str, seconds: float, *, error: BaseException | None = None, result: Result | None = None
) -> None:
    if run.tracing is not None:
        run.tracing.run_finished(run.name, status, seconds, error, result, run.tags())
        run.tracing = None  # that was the last event: calls that were left behind have nobody to tell


def _run_alone(node: Node, inputs: Mapping[str, Any]) -> dict[str, Any]:
    spec, given = alone(node, inputs)
    engine = Hush.__new__(Hush)
    require_sound(spec)
    named, problems = named_by(spec, NO_LIMITS, None)
    # A limit that only ``Hush(graph, limits=)`` defines may be unknown here: the node does without it.
    require_sound(spec, [one for one in problems if not one.message.startswith("limit=")])
    engine._prepare(spec, named, 1.0, None)
    return dict(engine.run_sync(given))


run_alone.call = _run_alone

"""``Compiler``: from a checked spec to a plan, in one pass over the steps of each graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from hush.core._expr._model import Expr, Read, reads
from hush.core._plan._bind import argument, call_of, expr_reader, or_default, slots_maker
from hush.core._plan._choice import choice_of
from hush.core._plan._gives import arms_in, gives_of
from hush.core._plan._model import UNGATED, Argument, Gate, Liveness, LoopPlan, MapPlan, Plan, Reader, Slots, StepPlan
from hush.core._plan._scope import Scope
from hush.core._spec._model import EVERYTHING, METRICS, BranchSpec, CallSpec, GraphSpec, LoopSpec, MapSpec, Step
from hush.core._spec._reads import is_optional


class Policies(Protocol):
    """What the runtime adds to a step while it is compiled: where it runs, and what is wrapped around it."""

    def __call__(self, spec: Step, path: str, *, handled: bool) -> tuple[Gate | None, Callable[..., Any] | None]:
        """The gate of a ``def``, and how to start what is awaited."""
        ...


def compile_body(body: GraphSpec, path: str, policies: Policies, around: tuple[GraphSpec, ...]) -> Plan:
    """The plan of the body of a container alone, as it is compiled for a worker process."""
    return Compiler(Scope(body, around), path, policies).plan()


class _Parts(NamedTuple):
    """What differs between the kinds of steps."""

    call: Callable[[Slots], Any]
    bind: Callable[[Slots], Callable[[], Any]] | None = None
    gate: Gate | None = None
    begin: Callable[..., Any] | None = None
    body: Plan | None = None
    map: MapPlan | None = None
    loop: LoopPlan | None = None
    arguments: Sequence[Argument] = ()


class Compiler:
    """Compiles the graph of one scope; containers inside it get a compiler of their own."""

    def __init__(self, scope: Scope, path: str, policies: Policies) -> None:
        self.graph, self.scope, self.path, self.policies = scope.graph, scope, path, policies

    def plan(self) -> Plan:
        """The plan of the graph; its scope is used up by it."""
        graph, scope = self.graph, self.scope
        parts = [self._parts(number, step) for number, step in enumerate(graph.steps)]
        frees, shares, shared = self._releases()
        liveness: list[Liveness] | None = None
        soft_places: dict[int, int] = {}
        soft_after: list[list[tuple[int, int, bool]]] = []
        if scope.goes_on:
            from hush.core._plan._liveness import liveness_of, soft_after_of, soft_places_of

            liveness = liveness_of(scope)
            soft_places = soft_places_of(scope, len(parts) + len(shared))
            soft_after = soft_after_of(scope, soft_places)
        after = scope.order.after
        if scope.streamed_by:
            after = tuple(
                [
                    tuple([other for other in each if scope.streamed_by.get(at) != other])
                    for at, each in enumerate(after)
                ]
            )
        steps = tuple(
            [
                self._step(
                    number,
                    step,
                    parts[number],
                    frees=tuple(frees[number]),
                    shares=tuple(shares[number]),
                    after=after[number][::-1],
                    soft_after=tuple(soft_after[number]) if soft_after else (),
                    liveness=liveness[number] if liveness is not None else None,
                )
                for number, step in enumerate(graph.steps)
            ]
        )
        before, soft = scope.order.before, scope.order.soft
        return Plan(
            path=self.path,
            name=graph.name,
            steps=steps,
            template=scope.template,
            countdowns=[
                *[len(hard) + bool(some) for hard, some in zip(before, soft, strict=True)],
                *shared,
                *[len(soft[number]) for number in soft_places],
            ],
            first=tuple([step for step in reversed(steps) if not before[step.index] and not soft[step.index]]),
            ends=sum(not step.after for step in steps),
            output_keys=tuple(scope.writers.by_key) if scope.writers is not None else (),
            several_writers=sum(bool(step.writes) for step in graph.steps) > 1,
            inputs=scope.inputs,
            imports=scope.imports,
        )

    def _releases(self) -> tuple[list[list[int]], list[list[tuple[int, int]]], list[int]]:
        """When values die: with their only reader, or with the last of several."""
        count = len(self.graph.steps)
        frees: list[list[int]] = [[] for _ in range(count)]
        shares: list[list[tuple[int, int]]] = [[] for _ in range(count)]
        shared: list[int] = []
        for slot, readers in self.scope.readers.items():
            if len(readers) == 1:
                (reader,) = readers
                frees[reader].append(slot)
            else:
                for reader in readers:
                    shares[reader].append((count + len(shared), slot))
                shared.append(len(readers))
        return frees, shares, shared

    # --- steps --------------------------------------------------------------------------------------------
    def _parts(self, number: int, step: Step) -> _Parts:
        if isinstance(step, CallSpec):
            return self._call_parts(number, step)
        if isinstance(step, BranchSpec):
            gate, begin = self._policies(number, step)
            return _Parts(choice_of(step, self.scope.resolver(number)), gate=gate, begin=begin)
        return self._container_parts(number, step)

    def _container_parts(self, number: int, step: GraphSpec | MapSpec | LoopSpec) -> _Parts:
        body = step if isinstance(step, GraphSpec) else step.body
        inner = Scope(body, (*self.scope.around, self.graph))
        over: MapPlan | None = None
        loop: LoopPlan | None = None
        stop: Reader | None = None
        if isinstance(step, LoopSpec):
            from hush.core._plan._iteration import stop_reader

            stop = stop_reader(step, inner)
        plan = Compiler(inner, self._path(step), self.policies).plan()
        pairs = self._inner_pairs(number, step, inner)
        _, begin = self._policies(number, step)
        if isinstance(step, MapSpec):
            from hush.core._plan._iteration import map_plan

            over = map_plan(self.scope, number, step, inner, self._path(step))
        elif isinstance(step, LoopSpec):
            from hush.core._plan._iteration import loop_plan

            loop = loop_plan(self.scope, number, step, stop)
        return _Parts(slots_maker(plan, pairs), begin=begin, body=plan, map=over, loop=loop)

    def _path(self, step: Step) -> str:
        return self.path if self.graph.wraps else f"{self.path}/{step.name}"

    def _policies(self, number: int, step: Step) -> tuple[Gate | None, Callable[..., Any] | None]:
        return self.policies(step, self._path(step), handled=self.scope.handled[number])

    def _call_parts(self, number: int, step: CallSpec) -> _Parts:
        assert step.fn is not None
        signature, scope = step.signature, self.scope
        hard = scope.resolver(number)
        arguments = []
        for name, expr in step.inputs:
            parameter = signature.parameter(name)
            if parameter is None or not parameter.has_default:
                arguments.append(argument(name, expr, hard, scope.constant, None))
            else:
                resolve = scope.resolver(number, optional=name in step.starred, default=True)
                arguments.append(argument(name, expr, resolve, scope.constant, parameter.default))
        call, bind = call_of(step.fn, signature, arguments)
        gate, begin = self._policies(number, step)
        return _Parts(call, bind, gate, begin, arguments=arguments)

    def _inner_pairs(self, number: int, step: Step, inner: Scope) -> list[tuple[int, Reader]]:
        """How the slots of a container's body are filled: its inputs, then what is passed down into it."""
        given: dict[str, Expr] = {} if isinstance(step, LoopSpec) else dict(step.inputs)  # a loop's are its variables
        pairs: list[tuple[int, Reader]] = []
        for key, slot in inner.inputs.items():
            if key in given:
                optional = key in step.starred and is_optional(step, key)
                reader = expr_reader(given[key], self.scope.resolver(number, optional=optional))
                pairs.append((slot, reader if key in inner.with_defaults else or_default(reader)))
        for (source, key), slot in inner.imports.items():
            pairs.append((slot, expr_reader(Read(source, key, step.where), self.scope.resolver(number))))
        return pairs

    def _step(
        self,
        number: int,
        step: Step,
        parts: _Parts,
        *,
        frees: tuple[int, ...],
        shares: tuple[tuple[int, int], ...],
        after: tuple[int, ...],
        soft_after: tuple[tuple[int, int, bool], ...],
        liveness: Liveness | None,
    ) -> StepPlan:
        scope = self.scope
        captures, optional = scope.copies(number)
        arms = arms_in(step, scope.order.index)
        gives = optional or step.writes or arms or soft_after
        return StepPlan(
            index=number,
            name=step.name,
            path=self._path(step),
            where=step.where,
            call=parts.call,
            bind=parts.bind,
            signature=step.signature if isinstance(step, CallSpec) else None,
            arguments=parts.arguments,
            gate=parts.gate or UNGATED,
            begin=parts.begin,
            awaited=parts.gate is None and (parts.body is None or parts.begin is not None),
            handled=scope.handled[number],
            named=step.name in scope.named,
            captures=captures,
            gives=gives_of(scope, number, optional, arms, soft_after) if gives else None,
            frees=frees if parts.body is None else (),
            shares=shares if parts.body is None else (),
            on_entry=(frees, shares) if parts.body is not None else None,
            after=after,
            reader=scope.streamed_by.get(number),
            then=scope.order.only_after(number) if number not in scope.streamed_by else None,
            liveness=liveness,
            body=parts.body,
            map=parts.map,
            loop=parts.loop,
            measured=parts.body is not None and _reads_metrics(step, scope.captures[number]),
            timeout_s=step.timeout_s,
        )


def _reads_metrics(step: Step, captures: Mapping[str, int]) -> bool:
    """Whether anybody reads the ``iteration_metrics`` of ``step``."""
    written = [read.key for write in step.writes if write.expr is not None for read in reads(write.expr)]
    return METRICS in captures or METRICS in written or any(write.key == EVERYTHING for write in step.writes)

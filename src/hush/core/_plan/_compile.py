"""``compile_root``: from a checked spec to a plan, in one pass over the steps of each graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from hush.core._expr._model import Const, Expr, Read, reads
from hush.core._plan._bind import Place, argument, call_of, expr_reader, none_for_skipped
from hush.core._plan._choice import choice_of
from hush.core._plan._gives import arms_in, gives_of
from hush.core._plan._model import (
    SKIPPED,
    UNGATED,
    EachPlan,
    Gate,
    Liveness,
    LoopPlan,
    MapPlan,
    Plan,
    Reader,
    RootInput,
    RootPlan,
    Slots,
    StepPlan,
    StreamPlan,
)
from hush.core._plan._scope import Scope
from hush.core._spec._model import (
    ERROR,
    EVERYTHING,
    METRICS,
    STAR,
    BranchSpec,
    CallSpec,
    EachInput,
    GraphSpec,
    LoopSpec,
    MapSpec,
    Source,
    Step,
)
from hush.core._spec._order import order_of
from hush.core._spec._reads import body_of, is_optional, parent_reads
from hush.core._spec._streams import columns_taken, streams_of

if TYPE_CHECKING:
    from hush.core._spec._portable import PortableBody


class Policies(Protocol):
    """What the runtime adds to a step while it is compiled: where it runs, and what is wrapped around it."""

    def __call__(self, spec: Step, path: str, *, handled: bool) -> tuple[Gate | None, Callable[..., Any] | None]:
        """The gate of a ``def``, and how to start what is awaited."""
        ...


def compile_root(root: GraphSpec, policies: Policies) -> RootPlan:
    """The plan of a whole graph, with what a run must bring. ``root`` has been checked."""
    scope = Scope(root, order_of(root))
    plan = _Compiler(root, scope, root.name, policies).plan()
    own = dict(root.inputs)
    wanted: dict[str, RootInput] = {}
    pairs: list[tuple[int, Reader]] = []
    for key, slot in plan.inputs.items():
        required, reader = _wanted(scope, key)
        wanted_by = root.name if root.wraps else f"{root.name}/{reader}"
        expr = own.get(key, Const(SKIPPED))
        if any(read.source.step is not None for read in reads(expr)):
            expr = Const(SKIPPED)  # it reads a node of a graph around, which is not there when this one is the root
        if isinstance(expr, Const):
            wanted[key] = RootInput(key, required and expr.value is SKIPPED, wanted_by)
            pairs.append((slot, _of_run(key, expr.value)))
        else:
            for read in reads(expr):
                wanted.setdefault(read.key, RootInput(read.key, required, wanted_by))
            pairs.append(
                (slot, expr_reader(expr, lambda read: Place(0, maybe=True, reader=_of_run(read.key, SKIPPED))))
            )
    must = frozenset([one.key for one in wanted.values() if one.required])
    return RootPlan(plan, root.where, root.timeout_s, wanted, must, _slots_maker(plan, pairs))


def compile_body(body: GraphSpec, path: str, policies: Policies, around: tuple[GraphSpec, ...]) -> Plan:
    """The plan of the body of a container alone, as it is compiled for a worker process."""
    return _Compiler(body, Scope(body, order_of(body)), path, policies, around).plan()


def _of_run(key: str, default: Any) -> Reader:
    return lambda given: given.get(key, default)


def _slots_maker(plan: Plan, pairs: list[tuple[int, Reader]]) -> Callable[[Any], Slots]:
    """A function that gives the first slots of ``plan``, reading from whatever stands around it."""
    template = plan.template

    def first_slots(outside: Any) -> Slots:
        slots = template.copy()
        slots[0] = {}
        for slot, read in pairs:
            slots[slot] = read(outside)
        return slots

    return first_slots


def _wanted(scope: Scope, key: str) -> tuple[bool, str]:
    """Whether a run must bring ``key``, and the first step that wants it."""
    first = ""
    for step, name, read in parent_reads(scope.graph):
        if read.key != key:
            continue
        first = first or step.name
        number = scope.order.index[step.name]
        earlier = scope.writers is not None and scope.writers.may_precede(number, key)
        if not earlier and not is_optional(step, name):
            return True, step.name
    return False, first


class _Parts(NamedTuple):
    """What differs between the kinds of steps."""

    call: Callable[[Slots], Any]
    bind: Callable[[Slots], Callable[[], Any]] | None = None
    gate: Gate | None = None
    begin: Callable[..., Any] | None = None
    body: Plan | None = None
    map: MapPlan | None = None
    loop: LoopPlan | None = None


class _Compiler:
    """Compiles one graph; containers inside it get a compiler of their own."""

    def __init__(
        self, graph: GraphSpec, scope: Scope, path: str, policies: Policies, around: tuple[GraphSpec, ...] = ()
    ) -> None:
        self.graph, self.scope, self.path, self.policies, self.around = graph, scope, path, policies, around
        self.streams = streams_of(graph)
        self.readers = {before: after for after, befores in self.streams.items() for before in befores}

    def plan(self) -> Plan:
        graph, scope = self.graph, self.scope
        parts = [self._parts(number, step) for number, step in enumerate(graph.steps)]
        frees, shares, shared = self._releases()
        self.soft_places = self._soft_places(len(parts) + len(shared))
        self.soft_after = self._soft_after()
        liveness = self._liveness() if scope.goes_on else None
        after = scope.order.after
        if self.readers:
            after = tuple(
                [tuple([other for other in each if self.readers.get(at) != other]) for at, each in enumerate(after)]
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
                    liveness=liveness[number] if liveness is not None else None,
                )
                for number, step in enumerate(graph.steps)
            ]
        )
        before = scope.order.before
        return Plan(
            path=self.path,
            name=graph.name,
            steps=steps,
            template=scope.template,
            countdowns=[
                *[len(hard) + bool(soft) for hard, soft in zip(before, scope.order.soft, strict=True)],
                *shared,
                *[len(scope.order.soft[number]) for number in self.soft_places],
            ],
            first=tuple(
                [step for step in reversed(steps) if not before[step.index] and not scope.order.soft[step.index]]
            ),
            ends=sum(not step.after for step in steps),
            output_keys=tuple(scope.writers.by_key) if scope.writers is not None else (),
            several_writers=sum(bool(step.writes) for step in graph.steps) > 1,
            inputs=scope.inputs,
            imports=scope.imports,
        )

    def _soft_places(self, first: int) -> dict[int, int]:
        """The countdown of the soft edges of each step that has some."""
        joined = [number for number, soft in enumerate(self.scope.order.soft) if soft]
        return {number: first + place for place, number in enumerate(joined)}

    def _soft_after(self) -> list[list[tuple[int, int, bool]]]:
        """For each step, those joined by a soft edge from it, with their countdown; nothing if there are none."""
        if not self.soft_places:
            return []
        found: list[list[tuple[int, int, bool]]] = [[] for _ in self.graph.steps]
        for number, place in self.soft_places.items():
            for before in self.scope.order.soft[number]:
                found[before].append((number, place, not self.scope.chosen_by[number]))
        return found

    def _liveness(self) -> list[Liveness]:
        order, scope = self.scope.order, self.scope
        count = len(self.graph.steps)
        starts = {order.index[name] for name in self.graph.starts or ()}
        edges_after: list[list[int]] = [[] for _ in range(count)]
        strict_after: list[list[int]] = [[] for _ in range(count)]
        blocked_after: list[list[int]] = [[] for _ in range(count)]
        for number in range(count):
            for table, befores in (
                (edges_after, scope.deciding(number)),
                (strict_after, scope.unforgiven(number)),
                (blocked_after, scope.blocking(number)),
            ):
                for before in befores:
                    table[before].append(number)
        return [
            Liveness(
                edges=len(scope.deciding(number)) + bool(order.soft[number] and not scope.chosen_by[number]),
                from_start=number in starts and not scope.chosen_by[number],
                edges_after=tuple(edges_after[number]),
                strict_after=tuple(strict_after[number]),
                blocked_after=tuple(blocked_after[number]),
            )
            for number in range(count)
        ]

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
        path = self._path(step)
        if isinstance(step, CallSpec):
            return self._call_parts(number, step, path)
        if isinstance(step, BranchSpec):
            gate, begin = self.policies(step, path, handled=self.scope.handled[number])
            return _Parts(choice_of(step, self.scope.resolver(number)), gate=gate, begin=begin)
        body = body_of(step)
        assert body is not None
        inner = Scope(body, order_of(body))
        stop = self._stop(step, inner) if isinstance(step, LoopSpec) else None
        plan = _Compiler(body, inner, path, self.policies, (*self.around, self.graph)).plan()
        pairs = self._inner_pairs(number, step, inner)
        _, begin = self.policies(step, path, handled=self.scope.handled[number])
        over = self._map_plan(number, step, inner) if isinstance(step, MapSpec) else None
        loop = self._loop_plan(number, step, stop) if isinstance(step, LoopSpec) else None
        return _Parts(_slots_maker(plan, pairs), begin=begin, body=plan, map=over, loop=loop)

    def _path(self, step: Step) -> str:
        return self.path if self.graph.wraps else f"{self.path}/{step.name}"

    def _stop(self, step: LoopSpec, inner: Scope) -> Reader | None:
        """How the condition of a loop is read from the slots of its body, before a round."""
        if step.stop is None:
            return None
        return expr_reader(step.stop, none_for_skipped(inner.before_all))

    def _loop_plan(self, number: int, step: LoopSpec, stop: Reader | None) -> LoopPlan:
        variables: list[tuple[str, Reader]] = []
        for name, expr in step.inputs:
            optional = name in step.starred and is_optional(step, name)
            reader = expr_reader(expr, self.scope.resolver(number, optional=optional))
            variables.append((name, reader if optional else _or_none(reader)))
        tried = [] if step.stop is None else [read.key for read in reads(step.stop) if read.source == Source(0, None)]
        at_limit = step.on_limit == "stop"
        return LoopPlan(tuple(variables), stop, step.stop_text, frozenset(tried), step.max_iterations, at_limit)

    def _call_parts(self, number: int, step: CallSpec, path: str) -> _Parts:
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
        gate, begin = self.policies(step, path, handled=scope.handled[number])
        return _Parts(call, bind, gate, begin)

    def _inner_pairs(self, number: int, step: Step, inner: Scope) -> list[tuple[int, Reader]]:
        """How the slots of a container's body are filled: its inputs, then what is passed down into it."""
        given: dict[str, Expr] = {} if isinstance(step, LoopSpec) else dict(step.inputs)  # a loop's are its variables
        pairs: list[tuple[int, Reader]] = []
        for key, slot in inner.inputs.items():
            if key in given:
                optional = key in step.starred and is_optional(step, key)
                reader = expr_reader(given[key], self.scope.resolver(number, optional=optional))
                pairs.append((slot, reader if key in inner.with_defaults else _or_none(reader)))
        for (source, key), slot in inner.imports.items():
            pairs.append((slot, expr_reader(Read(source, key, step.where), self.scope.resolver(number))))
        return pairs

    def _map_plan(self, number: int, step: MapSpec, inner: Scope) -> MapPlan:
        resolve = self.scope.resolver(number)
        streamed = {Source(0, self.graph.steps[before].name): before for before in self.streams.get(number, ())}
        each = [self._each_plan(number, one, inner, streamed) for one in step.each]
        columns = [
            (one.source.source, one.source.key)
            for one in step.each
            if isinstance(one.source, Read) and one.source.source not in streamed
        ]
        watched = {source for source, key in columns if key == ERROR}
        upstream = [
            expr_reader(Read(source, ERROR, step.where), resolve)
            for source in dict.fromkeys(source for source, _ in columns)
            if source not in watched and self._is_map(source)
        ]
        return MapPlan(
            each=tuple(each),
            upstream=tuple(upstream),
            named=not any(write.key == STAR for one in step.body.steps for write in one.writes),
            max_concurrency=step.max_concurrency,
            fail_fast=step.on_error == "raise",
            tolerate=step.tolerate,
            batch=step.batch,
            first=step.first,
            key=step.key,
            item_timeout_s=step.item_timeout_s,
            batch_wait_s=step.batch_wait_s,
            window=step.window,
            stream=self._stream(number),
            streams_from=tuple([self.scope.channel(before) for before in streamed.values()]),
            apart=self._apart(step) if step.executor is not None else None,
        )

    def _apart(self, step: MapSpec) -> PortableBody:
        from hush.core._spec._portable import portable  # few maps run in processes

        return portable(step, self._path(step), (*self.around, self.graph))

    def _each_plan(self, number: int, one: EachInput, inner: Scope, streamed: Mapping[Source, int]) -> EachPlan:
        column: str | None = None
        if isinstance(one.source, Read) and one.source.source in streamed:
            column = one.source.key
            reader: Reader = itemgetter(self.scope.channel(streamed[one.source.source], reader=number))
        else:
            reader = expr_reader(one.source, self.scope.resolver(number))
        spent = one.spent if isinstance(one.source, Const) else None
        slot = inner.inputs.get(one.name)
        return EachPlan(one.name, _or_none(reader), slot, one.pull, one.where, spent, column)

    def _stream(self, number: int) -> StreamPlan | None:
        """How the items of this map go to the one that streams from it, if one does."""
        if number not in self.readers:
            return None
        reader = self.graph.steps[self.readers[number]]
        assert isinstance(reader, MapSpec)
        keys = columns_taken(reader, self.graph.steps[number].name)
        return StreamPlan(self.scope.channel(number), keys, reader.ordered)

    def _is_map(self, source: Source) -> bool:
        if source.step is None:
            return False
        graph = (*self.around, self.graph)[-1 - source.up]
        return any(isinstance(step, MapSpec) and step.name == source.step for step in graph.steps)

    def _step(
        self,
        number: int,
        step: Step,
        parts: _Parts,
        *,
        frees: tuple[int, ...],
        shares: tuple[tuple[int, int], ...],
        after: tuple[int, ...],
        liveness: Liveness | None,
    ) -> StepPlan:
        scope = self.scope
        captures, optional = scope.copies(number)
        arms = arms_in(step, scope.order.index)
        soft_after = tuple(self.soft_after[number]) if self.soft_after else ()
        gives = optional or step.writes or arms or soft_after
        return StepPlan(
            index=number,
            name=step.name,
            path=self._path(step),
            where=step.where,
            call=parts.call,
            bind=parts.bind,
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
            reader=self.readers.get(number),
            then=scope.order.only_after(number) if number not in self.readers else None,
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


def _or_none(reader: Reader) -> Reader:
    def read(slots: Slots) -> Any:
        value = reader(slots)
        return None if value is SKIPPED else value

    return read

"""Which of several resources is asked, and who is asked in its place when it fails or is known to be down.

It stands between the cache and the retries: each resource has its own retries, within its own limits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from threading import Lock
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from hush.core._admission._circuit import Circuit
from hush.core._plan._model import StepPlan
from hush.core._runtime._admitting import admitted
from hush.core._runtime._calls import Attempt, Try
from hush.core._runtime._frame import Frame
from hush.core._runtime._opened import Services
from hush.core._runtime._retrying import MISTAKES, is_ending, retried
from hush.core._runtime._run import Raised
from hush.core._runtime._serving import requested, served
from hush.core._runtime._signals import signal_of
from hush.core._runtime._strand import Strand
from hush.core._spec._limits import NamedLimits
from hush.core._spec._model import CallSpec
from hush.core._spec._policies import Retry
from hush.core._spec._serving import Again, Resource

PATIENCE_S = 2.0
"""Who would have to wait longer than this to be tried again is passed over while there is somebody else to ask."""
_REFUSES_ALL = frozenset((401, 402, 403, 404))
"""What such an answer says holds for every call: a wrong key, no credit, no such model."""

_Circuits = WeakKeyDictionary[Any, Circuit]
_lock = Lock()
_process: _Circuits = WeakKeyDictionary()
_of_test_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Circuits] = WeakKeyDictionary()


def circuit_of(resource: Resource, loop: asyncio.AbstractEventLoop) -> Circuit:
    """What is known of ``resource`` in this process; on a loop of the test kit, on that loop."""
    with _lock:
        circuits = _process
        if hasattr(loop, "runs_inline"):
            circuits = _of_test_loops.setdefault(loop, WeakKeyDictionary())
        return circuits.setdefault(resource, Circuit())


_retries: WeakKeyDictionary[Any, dict[tuple[Retry, bool], Retry]] = WeakKeyDictionary()


def _retry_of(resource: Resource, usual: Retry | None, *, hasty: bool) -> Retry:
    """How often ``resource`` is tried where the leaf does not say it: one object for each, and so one budget."""
    if usual is None:
        return Retry(max_attempts=1)
    with _lock:
        found = _retries.setdefault(resource, {})
        if (usual, hasty) not in found:
            most = min(2, usual.max_attempts) if hasty else usual.max_attempts
            found[usual, hasty] = replace(usual, max_attempts=most)
        return found[usual, hasty]


class Candidate:
    """A resource that may be asked, and the call that asks it, with its retries and limits."""

    __slots__ = ("call", "resource", "share", "weight")

    def __init__(self, resource: Resource, call: Try, share: float = 1.0) -> None:
        self.resource = resource
        self.call = call
        self.share = share
        self.weight = 0.0


def served_by(spec: CallSpec, limits: NamedLimits, services: Services) -> Try:
    """The calls of a leaf that resources serve, with all that is wrapped around them."""
    given, uses = spec.policies, spec.policies.uses
    assert uses is not None
    own = limits.of(spec) if given.limits else []
    last = uses.fallback[-1] if uses.fallback else None

    def candidate(name: str, share: float = 1.0) -> Candidate:
        assert uses is not None
        resource = services.resources[uses.category, name]
        call = served(uses, resource, services)
        named = [*own, *([] if resource.limit is None else [(resource.name, resource.limit)])]
        if named:
            call = admitted(call, spec, named, resource)
        retry = given.retry or _retry_of(resource, uses.retry, hasty=bool(uses.fallback) and name != last)
        return Candidate(resource, retried(retry, call, waits=bool(named)), share)

    first = [
        candidate(name, share) for name, share in zip(uses.names, uses.ratios or [1.0] * len(uses.names), strict=True)
    ]
    fallback = [candidate(name) for name in uses.fallback]
    call = routed(first, fallback)
    if given.cache is not None:
        from hush.core._runtime._cached_call import CachedCall

        all_limits = [limit for _, limit in own] + [
            one.resource.limit for one in (*first, *fallback) if one.resource.limit
        ]
        identities = [one.resource.identity for one in (*first, *fallback)]
        call = CachedCall(given.cache, all_limits, spec, call, identities).outputs
    return requested(uses, call)


def routed(first: Sequence[Candidate], fallback: Sequence[Candidate]) -> Try:
    """The call of a leaf, by one of ``first``, each as often as its share says, and by ``fallback`` when that fails.

    A failure comes out as ``Raised``: the last one, with notes on those before it. With one candidate, that is its own.
    """
    lock = Lock()

    def drawn(among: Sequence[Candidate]) -> Candidate:
        """One of ``among``: smooth weighted round robin, so that ten calls at 7 : 3 are seven and three."""
        if len(among) == 1:
            return among[0]
        with lock:
            for one in among:
                one.weight += one.share
            best = max(among, key=lambda one: one.weight)
            best.weight -= sum(one.share for one in among)
            return best

    def order(loop: asyncio.AbstractEventLoop, now_s: float) -> list[Candidate]:
        """Whom to ask, in order: those known to be down are left out, unless all are."""
        if len(first) == 1 and not fallback:
            return [first[0]]
        up = [one for one in first if not circuit_of(one.resource, loop).is_open(now_s)]
        found = [drawn(up)] if up else []
        found += [one for one in fallback if not circuit_of(one.resource, loop).is_open(now_s)]
        admitted = [one for one in found[:1] if circuit_of(one.resource, loop).admits(now_s)] + found[1:]
        # A key may stand in both lists, so that each stands in for the other.
        each: dict[Resource, Candidate] = {}
        for one in admitted or [drawn(first), *fallback]:
            each.setdefault(one.resource, one)
        return list(each.values())

    async def call(strand: Strand, frame: Frame, step: StepPlan, attempt: Attempt) -> Any:
        loop = strand.run.loop
        todo = order(loop, _now_s(loop))
        passed: list[tuple[str, BaseException]] = []
        request, made, corrections = attempt.request, 0, 0
        while True:
            asked, others = todo[0], len(todo) > 1
            one = Attempt()
            one.earlier, one.request, one.corrections = made, request, corrections
            one.left_behind = attempt.left_behind
            one.last = attempt.last and not others
            one.patience_s = PATIENCE_S if others else None
            circuit, began_s = circuit_of(asked.resource, loop), _now_s(loop)
            out = await asked.call(strand, frame, step, one)
            attempt.number = made = one.number
            if type(out) is Again:
                circuit.answered()
                request, corrections = out.request, corrections + 1
                continue
            if type(out) is not Raised:
                circuit.answered()
                return out
            attempt.bound, attempt.abandoned = one.bound, one.abandoned
            error = out.error
            if isinstance(error, Exception) and not isinstance(error, MISTAKES):
                _tell_circuit(circuit, error, began_s, _now_s(loop))
                if others and not one.abandoned and not is_ending(strand):
                    passed.append((asked.resource.name, error))
                    del todo[0]
                    _tell_rerouted(strand, frame, step, made, error, asked, todo[0])
                    continue
            for name, before in passed:
                error.add_note(f"Hush: before it {name} was asked, and failed: {type(before).__name__}: {before}")
            return out

    return call


def _tell_circuit(circuit: Circuit, error: Exception, began_s: float, now_s: float) -> None:
    signal = signal_of(error)
    status = getattr(error, "status_code", None)
    surely = status in _REFUSES_ALL
    if signal.retryable or surely:
        circuit.failed(began_s, now_s, for_s=signal.retry_after_s, surely=surely)
    elif isinstance(status, int) and 400 <= status < 500 and status != 429:
        circuit.answered()  # it is there, and refuses what it was asked


def _tell_rerouted(
    strand: Strand, frame: Frame, step: StepPlan, number: int, error: BaseException, asked: Candidate, to: Candidate
) -> None:
    tracing = strand.run.tracing
    if tracing is not None:
        tracing.node_rerouted(frame, step, number, error, asked.resource.name, to.resource.name)


def _now_s(loop: asyncio.AbstractEventLoop) -> float:
    return loop.time() if hasattr(loop, "runs_inline") else monotonic()

"""``CachedCall``: the outermost policy of a leaf: what its function gave for the same inputs before is given again.

A call goes through four steps: its key, then what is kept under that key, then an identical call that is under way on
this loop, of a leaf that is tried, admitted and timed in the same way, and only then the function.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from hashlib import sha256
from time import perf_counter_ns
from typing import Any, TypeVar

from hush.core._cache._declared import declared_types
from hush.core._cache._file import FileStore
from hush.core._cache._memory import MemoryStore
from hush.core._cache._stores import memory_of, store_of
from hush.core._cache._values import Packed, Types, UnknownType, pack, unpack
from hush.core._plan._model import StepPlan
from hush.core._runtime._calls import Attempt, Try
from hush.core._runtime._flight import Fetched, shared
from hush.core._runtime._frame import Frame
from hush.core._runtime._outputs import as_mapping
from hush.core._runtime._run import Raised, Run
from hush.core._runtime._strand import Strand
from hush.core._runtime._threads import start_in_thread
from hush.core._spec._certain import Former, Uncertain, bytes_of, form_named
from hush.core._spec._identity import Identity, uncertain_function
from hush.core._spec._model import CallSpec
from hush.core._spec._policies import Limit, Retry
from hush.core.errors import CacheError

T = TypeVar("T")
_FORM = 1
"""Stands in every key: one more whenever the forms of values or functions change their meaning."""


class CachedCall:
    """The call of one leaf whose outputs are kept in ``cache``. ``limits`` are those that ``call`` is admitted by."""

    __slots__ = ("_call", "_declared", "_fn", "_function", "_identity", "_names", "_store", "_terms", "_uses", "name")

    def __init__(
        self, cache: str, limits: Sequence[Limit], spec: CallSpec, call: Try, served_by: Sequence[str] = ()
    ) -> None:
        assert spec.fn is not None
        self.name = spec.name
        self._fn = spec.fn
        self._names = spec.signature.names()
        self._call = call
        self._store = store_of(cache)
        self._function = f"{getattr(spec.fn, '__module__', '')}:{getattr(spec.fn, '__qualname__', spec.name)}"
        self._uses = spec.policies.uses
        version = spec.policies.version
        if self._uses is not None:  # who answers stands for the function, which only makes the request
            version = "\n".join([spec.kind, version or "", *served_by])
        self._identity = Identity(spec.fn, version)
        self._declared: dict[str, type] | None = None
        # Of nodes that differ in these one would fail, or wait, as the other was told to.
        self._terms = (spec.timeout_s, _values_of(spec.policies.retry), frozenset(limits))

    async def outputs(self, strand: Strand, frame: Frame, step: StepPlan, attempt: Attempt) -> Any:
        """The leaf's outputs: kept, made by an identical call under way, or made."""
        function = self._identify(step)
        key, types = self._key(function, frame, step, attempt)
        store = self._store if isinstance(self._store, FileStore) else memory_of(strand.run.loop)
        if isinstance(store, FileStore):
            fetch = partial(self._from_file, store, key, function, types, attempt.request)
        else:
            packed = store.get(key)
            if packed is not None:  # there is nothing to wait for
                outputs = self._read(packed.data, {**packed.types, **self._known(types)} if packed.types else {}, step)
                if outputs is not None:
                    if strand.run.tracing is not None:
                        strand.run.tracing.node_cached(frame, step, joined=False)
                    return outputs
            fetch = partial(self._into_memory, store, key, function, types, attempt.request)
        return await shared((store, key, self._terms), fetch, strand, frame, step, attempt)

    async def _into_memory(
        self,
        store: MemoryStore,
        key: bytes,
        function: bytes,
        types: Types,
        request: Any,
        strand: Strand,
        frame: Frame,
        step: StepPlan,
    ) -> Fetched:
        fetched = await self._make(function, types, request, strand, frame, step)
        if fetched.packed is not None and not store.put(key, fetched.packed):
            raise CacheError(
                f"{step.path} returned {len(fetched.packed.data):,} bytes, more than the cache in memory takes. Name a "
                f'file: cache="answers.db". ({step.where})'
            )
        return fetched

    async def _from_file(
        self,
        store: FileStore,
        key: bytes,
        function: bytes,
        types: Types,
        request: Any,
        strand: Strand,
        frame: Frame,
        step: StepPlan,
    ) -> Fetched:
        run = strand.run
        data = await _off_the_loop(run, partial(store.get, key))
        if data is not None:
            known = self._known(types)
            if self._read(data, known, step) is not None:
                return Fetched(None, Packed(data, known))
        fetched = await self._make(function, types, request, strand, frame, step)
        if fetched.packed is not None:
            await _off_the_loop(run, partial(store.put, key, fetched.packed.data, self._function), sure=True)
        return fetched

    def _identify(self, step: StepPlan) -> bytes:
        """What the function is now."""
        try:
            return self._identity.bytes()
        except Uncertain as exc:
            message, mend = uncertain_function(exc)
            raise CacheError(f"{step.path} cannot be cached: {message}. {mend} ({step.where})") from None

    def _inputs(self, frame: Frame, step: StepPlan, attempt: Attempt) -> Mapping[str, Any]:
        if self._uses is not None:
            return self._uses.key(attempt.request)
        assert step.bind is not None
        bound: Any = step.bind(frame.slots)
        return {**dict(zip(self._names, bound.args, strict=False)), **bound.keywords}

    def _key(self, function: bytes, frame: Frame, step: StepPlan, attempt: Attempt) -> tuple[bytes, Types]:
        """The key of a call, and the types of its inputs."""
        inputs = self._inputs(frame, step, attempt)
        former = Former(for_key=True)
        try:
            form = bytes_of(form_named(former, inputs))
        except Uncertain as exc:
            raise CacheError(
                f"{step.path} cannot be cached: its input {exc.at} is {exc.what}, and has no certain form to be found "
                "again by. Hand in what it is made of: plain data, a data class, a pydantic model; or leave cache= "
                f"out. ({step.where})"
            ) from None
        return sha256(b"hush %d %d\n%b%b" % (_FORM, len(function), function, form)).digest(), former.types

    async def _make(
        self, function: bytes, types: Types, request: Any, strand: Strand, frame: Frame, step: StepPlan
    ) -> Fetched:
        """Make the call. Raises ``CacheError`` if what it gives cannot be kept."""
        budget = strand.run.budget
        if budget.must_wait(perf_counter_ns()):
            await budget.turn(served=False)
        attempt = Attempt()
        attempt.request = request
        out = await self._call(strand, frame, step, attempt)
        if type(out) is Raised:
            return Fetched(out.error, attempt=attempt.number, bound=attempt.bound)
        outputs = as_mapping(step, out)
        try:
            packed = pack(outputs)
        except Uncertain as exc:
            raise CacheError(
                f"{step.path} returned what a cache cannot keep: {exc.at or 'something in it'} is {exc.what}. Return "
                f"plain data, data classes or pydantic models; or leave cache= out. ({step.where})"
            ) from None
        if isinstance(self._store, FileStore):
            self._check_declared(packed, types, step)
        if self._identify(step) != function:
            names = self._identity.changing()
            closed = f" ({', '.join(names)})" if names else ""
            raise CacheError(
                f"{step.path} cannot be cached: what its function closes over or names{closed} has changed while it "
                'ran, and is part of the key. Give version="1", which stands for all of that, or hand it in as an '
                f"input. ({step.where})"
            )
        return Fetched(None, packed, outputs)

    def _known(self, types: Types) -> dict[str, type]:
        """The types that may be made of what a file holds: those of the inputs, those that the function declares."""
        if self._declared is None:
            self._declared = declared_types(self._fn)
        return {**types, **self._declared}

    def _check_declared(self, packed: Packed, types: Types, step: StepPlan) -> None:
        known = self._known(types) if packed.types else {}
        for name, kind in packed.types.items():
            if known.get(name) is not kind:
                raise CacheError(
                    f"{step.path} returned a {kind.__qualname__}, which its function does not name: no other process "
                    "could make it again. Name it in the annotation of what the function returns: "
                    f"def {self.name}(...) -> dict[str, {kind.__name__}]. ({step.where})"
                )

    def _read(self, data: bytes, types: Types, step: StepPlan) -> dict[Any, Any] | None:
        """What was kept; nothing if it is of types that are not known here, or have changed since."""
        try:
            return unpack(data, types)
        except UnknownType:
            return None
        except ValueError as exc:
            raise CacheError(
                f"the cache {self._store.name} is damaged: what it keeps for {step.path} cannot be read ({exc}). "
                f"Delete it, or name another file in cache=. ({step.where})"
            ) from exc


def _values_of(retry: Retry | None) -> Hashable:
    """What is the same for two that try alike: graphs that are built for each request have one of their own each."""
    if retry is None:
        return None
    on = retry.on if isinstance(retry.on, Hashable) else id(retry.on)
    return tuple(on if one.name == "on" else getattr(retry, one.name) for one in fields(retry))


async def _off_the_loop(run: Run, call: Callable[[], T], *, sure: bool = False) -> T:
    """Call what blocks in a thread; under a test's loop at once.

    It is waited for even when this is cancelled, since it does not take long; if it is ``sure``, it is also done then.
    """
    if run.inline_only:
        return call()
    job = start_in_thread(run.loop, call)
    cancelled: CancelledError | None = None
    while not job.finished:
        try:
            await job.wait()
        except CancelledError as exc:
            if not sure and job.withdraw():
                raise
            cancelled = exc
    if cancelled is not None:
        raise cancelled
    if job.error is not None:
        raise job.error
    result: T = job.take()
    return result

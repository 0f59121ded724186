"""How a resource serves one attempt of a leaf, and how what the leaf was given becomes a request first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from hush.core._logs import logger
from hush.core._plan._model import StepPlan
from hush.core._runtime._about import about as about_it
from hush.core._runtime._calls import Attempt, Try, awaited_if_need_be, on_the_loop
from hush.core._runtime._frame import Frame
from hush.core._runtime._opened import Services
from hush.core._runtime._run import Raised
from hush.core._runtime._strand import Strand
from hush.core._spec._policies import Uses
from hush.core._spec._serving import Resource

log = logger("hush.resources")

LONGEST_HOLD_S = 120.0
"""A header that speaks of a day must not close a limit for so long: who comes earlier is told so."""


class ServedAttempt:
    """One attempt, as the resource that serves it sees it (``Serving``)."""

    __slots__ = ("_attempt", "_frame", "_step", "_strand", "attempts", "corrections", "resource", "streams")

    def __init__(self, resource: Resource, strand: Strand, frame: Frame, step: StepPlan, attempt: Attempt) -> None:
        tracing = strand.run.tracing
        self.resource = resource
        self.attempts = attempt.number
        self.corrections = attempt.corrections
        self.streams = tracing is not None and tracing.streams
        self._strand = strand
        self._frame = frame
        self._step = step
        self._attempt = attempt

    def chunk(self, text: str, kind: str = "content") -> None:
        """Tell of a part of the answer."""
        run = self._strand.run
        if run.tracing is not None:
            run.tracing.node_chunk(self._frame, self._step, self.attempts, text, kind)

    def answered(self, about: Callable[[], Mapping[str, Any]]) -> None:
        """Tell what was answered, if somebody asks for that."""
        tracing = self._strand.run.tracing
        if tracing is None or not tracing.sees_calls:
            return
        said = _told(self._strand, self._frame, self._step, self.resource, "has answered", about)
        if said is not None:
            tracing.node_answered(self._frame, self._step, self.attempts, self.resource.name, said)

    def hold_s(self, seconds: float) -> None:
        """Nobody should come back for ``seconds``."""
        self._attempt.hold_s = min(seconds, LONGEST_HOLD_S)


def served(uses: Uses, resource: Resource, services: Services) -> Try:
    """One attempt: ``resource``, opened if need be, is asked for what the leaf's function has made its request of."""

    async def serve(strand: Strand, frame: Frame, step: StepPlan, attempt: Attempt) -> Any:
        asked = _ask(strand, frame, step, attempt)
        return await awaited_if_need_be(strand, step, asked)

    def _ask(strand: Strand, frame: Frame, step: StepPlan, attempt: Attempt) -> Awaitable[Any]:
        async def ask() -> Any:
            service = await services.service(resource, strand.run.loop)
            one = ServedAttempt(resource, strand, frame, step, attempt)
            return await uses.serve(attempt.request, service, one)

        tracing = strand.run.tracing
        if tracing is None or not tracing.sees_calls:
            return ask()
        about: Mapping[str, Any] | None = None
        if uses.asked is not None:
            about = _told(strand, frame, step, resource, "is asked", partial(uses.asked, attempt.request, resource))
        return tracing.resource_called(frame, step, attempt.number, resource.name, about, ask)

    return serve


def _told(
    strand: Strand, frame: Frame, step: StepPlan, resource: Resource, what: str, about: Callable[[], Mapping[str, Any]]
) -> dict[str, Any] | None:
    """What ``about`` gives; ``None`` if it raises."""
    try:
        return dict(about())
    except Exception:  # whoever wrote the resource erred, and a run without tracers would not have noticed
        fields = about_it(strand.run.id, step.path, frame.item)
        log.exception("%s cannot tell what it %s", resource.name, what, extra=fields)
        return None


def requested(uses: Uses, call: Try) -> Try:
    """The outermost of a leaf that resources serve: its function makes the request, and what was answered is finished.

    What it makes of the answer is not cached, so it may be of any type.
    """

    async def ask(strand: Strand, frame: Frame, step: StepPlan, attempt: Attempt) -> Any:
        attempt.request = on_the_loop(strand, frame, step)
        out = await call(strand, frame, step, attempt)
        if type(out) is Raised or uses.finish is None:
            return out
        return uses.finish(attempt.request, out)

    return ask

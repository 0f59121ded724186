"""``SendingTracer``: what ``OTelTracer`` and ``LangfuseTracer`` have in common, wherever they send."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from logging import INFO, WARNING
from typing import TYPE_CHECKING

from hush.core.events import Event, NodeStarted
from hush.core.extend import logger
from hush.core.protocols import Tracer
from hush.observability._tracer import SpanTracer

if TYPE_CHECKING:
    from hush.observability._exporter import Exporter
    from hush.observability._recorder import Sink

SDK_DISABLED = "OTEL_SDK_DISABLED"
"""``true`` leaves nothing but a tracer that does nothing:
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/."""
LANGFUSE_ENABLED = "LANGFUSE_TRACING_ENABLED"
"""``false`` does the same to Langfuse's own SDK, and to its alone."""

log = logger("hush.tracing")


class SendingTracer(SpanTracer):
    """The base of the tracers that send spans over OpenTelemetry's protocol.

    One that a variable has switched off when it was made hears nothing of runs, which pay nothing for it: no span is
    made, counted or sent. Where it would have sent them is not looked at.
    """

    _off = False

    def for_run(self) -> Tracer:
        return DEAF if self._off else super().for_run()

    def _sink(self) -> Sink:
        from hush.observability._otel._links import linked

        return linked(super()._sink())


class _Deaf:
    """Hears any run, and does nothing."""

    sees_calls = False
    terse = True  # a run that others hear shall not tell them more because of it

    def attach(self, under_way: Callable[[int, int], Sequence[NodeStarted]]) -> None:
        """The run begins."""

    def emit(self, event: Event, /) -> None:
        """Something has happened."""


DEAF = _Deaf()


def switched_off(who: str, variables: Mapping[str, str]) -> bool:
    """Whether one of ``variables`` has the value, in whatever case, that switches ``who`` off. It is said once."""
    for name, value in variables.items():
        given = os.environ.get(name, "").strip().lower()
        if given == value:
            say_once(INFO, f"{who} sends nothing: {name} is {given}")
            return True
        if given not in ("", "true", "false"):
            say_once(WARNING, f"{name} is neither true nor false, and is not heeded")
    return False


@cache
def say_once(level: int, text: str) -> None:
    """Log ``text``, once in this process."""
    log.log(level, text)


def nowhere() -> Exporter:
    """What makes the exporter of a tracer that is switched off: nobody calls it."""
    raise AssertionError

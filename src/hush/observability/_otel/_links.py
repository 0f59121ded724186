"""A run's span is linked to the span that was the current one where the run began, such as that of a web request.

It is no child of it: a run's trace is its own, with ids that are made of the run, the same to every exporter.
Source: https://opentelemetry.io/docs/specs/otel/overview/#links-between-spans.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from opentelemetry.trace import SpanContext, get_current_span

from hush.observability._complaints import NOTHING, Fields
from hush.observability._span import RunRecord, Span

if TYPE_CHECKING:
    from hush.observability._recorder import RunRecorder, Sink


class LinkedSpan(Span):
    """A run's span, and what it is linked to.

    Attributes:
        link: The span in whose context the run began.
    """

    link: SpanContext


class _Linking:
    """What one run's spans go through on their way to a pipeline; it is a ``Sink``.

    The link goes with the span itself, so that nothing is kept of a run whose span has been exported, or dropped.
    """

    def __init__(self, to: Sink, link: SpanContext) -> None:
        self._to = to
        self._link = link

    def add(self, recorder: RunRecorder, run: Hashable, /) -> bool:
        return self._to.add(recorder, run)

    def take(self, spans: list[Span], run: str, /) -> int:
        if spans and spans[-1].kind == "run":  # it ends last
            of_run = spans[-1] = LinkedSpan._make(spans[-1])
            of_run.link = self._link
        return self._to.take(spans, run)

    def crowd(self, held: int, /) -> tuple[int, int]:
        return self._to.crowd(held)

    def is_behind(self, events: int, /) -> bool:
        return self._to.is_behind(events)

    def leave(self, recorder: RunRecorder, record: RunRecord, /) -> None:
        self._to.leave(recorder, record)

    def complain(self, message: str, about: Fields = NOTHING, /) -> None:
        self._to.complain(message, about)


def linked(to: Sink) -> Sink:
    """Where the spans of a run go that begins here and now: ``to``, by way of a link if there is a current span."""
    try:
        current = get_current_span().get_span_context()
        there = current.is_valid
    except Exception:  # a span of somebody else's
        to.complain("the span in which a run began could not be read")
        return to
    return _Linking(to, current) if there else to

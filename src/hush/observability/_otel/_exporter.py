"""``OTLPExporter`` sends spans over OTLP/HTTP; ``GivenExporter`` hands them to any exporter of the SDK's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from time import monotonic, sleep
from typing import TYPE_CHECKING

from hush.core.extend import logger
from hush.observability._complaints import EVERY_S, MOST_REASONS
from hush.observability._exporter import ExportError
from hush.observability._otel._convert import Converter, Form
from hush.observability._otel._endpoint import Endpoint
from hush.observability._otel._sender import Sender, TooLarge
from hush.observability._recorder import LET_GO_S
from hush.observability._span import Batch, Span

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

_MOST_SPANS = 512
_MOST_BYTES = 4_000_000
"""Of one request before it is compressed. Servers take 4 to 20 MB; spans with all their values can be large."""
_STRETCH = 8
"""Spans that are converted at a time: in a third of a millisecond."""

log = logger("hush.tracing")


def resource_of(service_name: str | None, more: Iterable[tuple[str, str | None]] = ()) -> Resource:
    """What sends: of ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES`` where nothing is given."""
    variables = os.environ.get("OTEL_SERVICE_NAME"), os.environ.get("OTEL_RESOURCE_ATTRIBUTES")
    return _resource(service_name, tuple(more), variables)


@lru_cache(64)  # the SDK asks several threads each time, and a tracer may be made for each request
def _resource(
    service_name: str | None, more: tuple[tuple[str, str | None], ...], variables: tuple[str | None, ...]
) -> Resource:
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource

    given = {SERVICE_NAME: service_name, **dict(more)}
    return Resource.create({name: value for name, value in given.items() if value is not None})


def _let_go() -> None:
    """Whoever waits for the interpreter has it now, and not after 5 ms."""
    sleep(LET_GO_S)


class _Lost:
    """What is lost of a batch, and the first reason."""

    def __init__(self) -> None:
        self.count = 0
        self.why = ""

    def add(self, count: int, why: str) -> None:
        self.count += count
        self.why = self.why or why

    def tell(self, batch: Batch) -> None:
        """Raise what says so, if anything is."""
        if self.count:
            taken = len(batch.ended) - self.count
            raise ExportError(f"some were not taken: {self.why}", again=False, taken=taken)


class OTLPExporter:
    """Takes ended spans for one endpoint; it is an ``Exporter``."""

    live = False
    most = _MOST_SPANS

    def __init__(
        self, endpoint: Endpoint, form: Form, resource: Resource, let_go: Callable[[], object] = _let_go
    ) -> None:
        self._converter = Converter(form, resource)
        self._let_go = let_go
        self._sender = Sender(endpoint)
        self.where = endpoint.shown
        self._said: dict[str, float] = {}  # what the collector said that was logged, and when

    def export(self, batch: Batch, /) -> None:
        self._converter.hear(batch.runs)
        lost, done = _Lost(), 0
        parts = [batch.ended]
        while parts:
            part = parts.pop()
            try:
                of_part = self._send(part, rest=not batch.urgent)
            except TooLarge:
                if len(part) == 1:
                    lost.add(1, f"the span {part[0].name} is too large for the server")
                else:
                    half = len(part) // 2
                    parts += [part[half:], part[:half]]
                    continue
            except ExportError as error:
                error.done, error.taken = done, done - lost.count
                raise
            else:
                lost.add(of_part.count, of_part.why)
            done += len(part)
        lost.tell(batch)
        if lost.why and self._is_new(lost.why):
            log.warning("the collector of traces says: %s", lost.why, extra={"run": batch.run})

    def _is_new(self, said: str) -> bool:
        """Whether it has not been logged for a minute: collectors say the same with each answer."""
        now_s = monotonic()
        self._said = {text: at_s for text, at_s in self._said.items() if now_s - at_s < EVERY_S}
        if said in self._said or len(self._said) >= MOST_REASONS:
            return False
        self._said[said] = now_s
        return True

    def close(self) -> None:
        self._sender.close()

    def _send(self, spans: Sequence[Span], *, rest: bool) -> _Lost:
        """Send all of them in one request; what was lost of them."""
        from hush.observability._otel._encode import Body

        converter, lost = self._converter, _Lost()
        body = Body(converter.resource, converter.scope)
        _each(spans, lambda span: body.add(converter.convert(span)), lost, self._let_go if rest else None)
        if not body.count:
            return lost
        data = body.data()
        if len(data) > _MOST_BYTES and len(spans) > 1:
            raise TooLarge
        rejected, said = self._sender.send(data)
        rejected = min(max(rejected, 0), body.count)  # as it is said by somebody else
        lost.add(rejected, said or ("no reason given" if rejected else ""))
        return lost


class GivenExporter:
    """Hands ended spans to an exporter of the SDK's; it is an ``Exporter``. It says only whether it took them."""

    live = False
    most = _MOST_SPANS

    def __init__(
        self, given: SpanExporter, form: Form, resource: Resource, let_go: Callable[[], object] = _let_go
    ) -> None:
        self._converter = Converter(form, resource)
        self._let_go = let_go
        self._given = given

    def export(self, batch: Batch, /) -> None:
        from opentelemetry.sdk.trace.export import SpanExportResult

        converter, lost = self._converter, _Lost()
        converter.hear(batch.runs)
        spans: list[ReadableSpan] = []
        let_go = None if batch.urgent else self._let_go
        _each(batch.ended, lambda span: spans.append(converter.convert(span)), lost, let_go)
        if spans and self._given.export(spans) is not SpanExportResult.SUCCESS:
            raise ExportError(f"{type(self._given).__name__} did not take them", again=False)
        lost.tell(batch)

    def close(self) -> None:
        self._given.shutdown()


def _each(spans: Sequence[Span], do: Callable[[Span], None], lost: _Lost, let_go: Callable[[], object] | None) -> None:
    """Convert one after the other; ``let_go``, if given, lets others have the interpreter between stretches of them."""
    for number, span in enumerate(spans, 1):
        try:
            do(span)
        except Exception as error:  # one span that is odd does not cost the others
            lost.add(1, f"the span {span.name} cannot be converted: {type(error).__name__}")
        if let_go is not None and not number % _STRETCH:
            let_go()

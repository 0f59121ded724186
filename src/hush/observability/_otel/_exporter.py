"""``OTLPExporter`` sends spans over OTLP/HTTP; ``GivenExporter`` hands them to any exporter of the SDK's."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from hush.core.extend import logger
from hush.observability._exporter import ExportError
from hush.observability._otel._convert import Converter, Form
from hush.observability._otel._endpoint import Endpoint
from hush.observability._otel._sender import Sender, TooLarge
from hush.observability._span import Batch, Span

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

_MOST_SPANS = 512
_MOST_BYTES = 4_000_000
"""Of one request before it is compressed. Servers take 4 to 20 MB; spans with all their values can be large."""

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


class _Lost:
    """What is lost of a batch, and the first reason."""

    def __init__(self) -> None:
        self.count = 0
        self.why = ""

    def add(self, count: int, why: str) -> None:
        self.count += count
        self.why = self.why or why


class OTLPExporter:
    """Takes ended spans for one endpoint; it is an ``Exporter``.

    Of a batch that has to be sent in parts, those that were sent are not sent anew when it is offered again.
    """

    live = False
    most = _MOST_SPANS

    def __init__(self, endpoint: Endpoint, form: Form, resource: Resource) -> None:
        self._converter = Converter(form, resource)
        self._sender = Sender(endpoint)
        self._seen: set[tuple[str, str]] = set()  # of the batch that is to be offered again
        self._lost = _Lost()

    def export(self, batch: Batch, /) -> None:
        self._converter.hear(batch.runs)
        self._seen.intersection_update([(span.trace, span.id) for span in batch.ended])
        if not self._seen:
            self._lost = _Lost()
        spans = [span for span in batch.ended if (span.trace, span.id) not in self._seen]
        try:
            self._send(self._converted(spans))
        except ExportError as error:
            if not error.again:
                error.taken = len(self._seen) - self._lost.count
                self._seen.clear()
            raise
        self._seen.clear()
        if self._lost.count:
            taken = len(batch.ended) - self._lost.count
            text = f"{self._lost.count} spans were not taken: {self._lost.why}"
            raise ExportError(text, again=False, taken=taken)
        if self._lost.why:
            log.warning("the collector of traces says: %s", self._lost.why)

    def close(self) -> None:
        self._sender.close()

    def _converted(self, spans: list[Span]) -> list[ReadableSpan]:
        found = _converted(self._converter, spans, self._lost)
        if len(found) < len(spans):
            good = set(map(_key, found))
            self._seen.update(key for span in spans if (key := (span.trace, span.id)) not in good)
        return found

    def _send(self, spans: list[ReadableSpan]) -> None:
        """Send all of them: what is too large, or cannot be encoded, in halves, down to the one span that it is."""
        rest = [spans]
        while rest:
            part = rest.pop()
            if not part:
                continue
            body = _encoded(part)
            why = "cannot be encoded"
            if body is not None and (len(body) <= _MOST_BYTES or len(part) == 1):
                try:
                    rejected, said = self._sender.send(body)
                except TooLarge:
                    why = f"of {len(body):,} bytes is too large for the server"
                else:
                    self._lost.add(rejected, said or ("no reason given" if rejected else ""))
                    self._seen.update(map(_key, part))
                    continue
            if len(part) == 1:
                self._lost.add(1, f"the span {part[0].name} {why}")
                self._seen.add(_key(part[0]))
                continue
            half = len(part) // 2
            rest += [part[half:], part[:half]]


class GivenExporter:
    """Hands ended spans to an exporter of the SDK's; it is an ``Exporter``. It says only whether it took them."""

    live = False
    most = _MOST_SPANS

    def __init__(self, given: SpanExporter, form: Form, resource: Resource) -> None:
        self._converter = Converter(form, resource)
        self._given = given

    def export(self, batch: Batch, /) -> None:
        from opentelemetry.sdk.trace.export import SpanExportResult

        self._converter.hear(batch.runs)
        lost = _Lost()
        spans = _converted(self._converter, list(batch.ended), lost)
        if spans and self._given.export(spans) is not SpanExportResult.SUCCESS:
            raise ExportError(f"{type(self._given).__name__} did not take {len(spans)} spans", again=False)
        if lost.count:
            raise ExportError(f"{lost.count} spans were not taken: {lost.why}", again=False, taken=len(spans))

    def close(self) -> None:
        self._given.shutdown()


def _converted(converter: Converter, spans: list[Span], lost: _Lost) -> list[ReadableSpan]:
    found: list[ReadableSpan] = []
    for span in spans:
        try:
            found.append(converter.convert(span))
        except Exception as error:  # one span that is odd does not cost the others
            lost.add(1, f"the span {span.name} cannot be converted: {type(error).__name__}")
    return found


def _encoded(spans: list[ReadableSpan]) -> bytes | None:
    from hush.observability._otel._encode import encoded

    try:
        return encoded(spans)
    except Exception:  # told of with the span that it is
        return None


def _key(span: ReadableSpan) -> tuple[str, str]:
    context = span.context
    assert context is not None
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"

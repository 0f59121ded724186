"""``OTelTracer``: every run as OpenTelemetry spans, to any collector that takes OTLP over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from hush.core import ResourceHub
from hush.core.errors import UsageError
from hush.observability._exporter import Exporter
from hush.observability._otel._endpoint import Endpoint, endpoint_of
from hush.observability._otel._packages import load, needed
from hush.observability._otel._sending import SDK_DISABLED, SendingTracer, nowhere, switched_off
from hush.observability._sampling import USUAL, Sampling

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

    from hush.observability._otel._convert import Form


class OTelTracer(SendingTracer):
    """Sends every run as OpenTelemetry spans over OTLP/HTTP: to a collector, Phoenix, Jaeger, Tempo and many others.

    ``OTelTracer()`` alone heeds OpenTelemetry's variables, as its own exporter does: ``OTEL_EXPORTER_OTLP_ENDPOINT``,
    ``_HEADERS``, ``_TIMEOUT``, ``_COMPRESSION``, ``_CERTIFICATE``, ``_CLIENT_CERTIFICATE``, ``_CLIENT_KEY``, each also
    with ``_TRACES_`` in it, ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES``; without them it sends to
    ``http://localhost:4318/v1/traces``. With ``OTEL_SDK_DISABLED=true`` it does nothing. Give one to any number of
    runs, ``engine.run(tracer=tracer)``, from any thread and loop; those that send to the same place share one thread
    and one connection.

    Spans that other code makes inside a node, in an instrumented HTTP client or by hand, hang under the node's span,
    in worker threads too; they go where that code's tracer provider sends them. None is made or changed here. What code
    puts on the current span, attributes, events, links, exceptions, a name, a status, goes with the node's. A run's own
    span is linked to the one that is current where the run begins, such as that of a web request.

    Args:
        endpoint: The whole address, ``https://collector.example.com/v1/traces``; ``/v1/traces`` is added to one without
            a path.
        headers: Sent with each request, and shown nowhere.
        resource_key: A resource that says both, ``"otel:main"`` or ``"main"``; what is given beside it goes before it.
        service_name: As what the spans are shown; else ``OTEL_SERVICE_NAME``.
        timeout_s: How long one request may take; 10 s without it.
        exporter: Any exporter of OpenTelemetry's SDK, in place of all of the above; it is shut down at the end of the
            process.
        resources: The hub that has the resource, if it is not the one that is looked for.
        keep_values: ``None`` for previews of what nodes read and gave, ``True`` for all of it, ``False`` for nothing
            but what messages of errors quote.
        tags: Added to those of each run.
        sampling: Which items of large maps become spans.
        max_pending: How many spans may be in memory. Before there are so many, items that ended well are left out;
            what comes then is dropped and counted, except that as many again of what failed may wait.

    Raises:
        UsageError: The endpoint is no address, a header cannot be sent, or arguments exclude each other.
        ResourceError: The resource is not there, or its settings are wrong.
        ImportError: A package is missing: ``pip install 'hushflow[otel]'``.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        resource_key: str | None = None,
        service_name: str | None = None,
        timeout_s: float | None = None,
        exporter: SpanExporter | None = None,
        resources: ResourceHub | None = None,
        keep_values: bool | None = None,
        tags: Sequence[str] = (),
        sampling: Sampling = USUAL,
        max_pending: int = 40_000,
    ) -> None:
        self._off = switched_off("OTelTracer", {SDK_DISABLED: "true"})
        make, key = nowhere, None
        if not self._off:
            needed("OTelTracer")
            from hush.observability._otel._context import entering
            from hush.observability._otel._conventions import conventional

            self.entering = entering
            if exporter is not None:
                if any(one is not None for one in (endpoint, headers, resource_key, timeout_s)):
                    raise UsageError("OTelTracer(exporter=...): it knows where and how it sends; leave out the rest.")
                make = _given(exporter, conventional, service_name)
            else:
                if resource_key is not None:
                    from hush.observability._otel._resources import target

                    found = target("otel", resource_key, resources)
                    endpoint = endpoint or (None if found.endpoint is None else found.endpoint.get_secret_value())
                    headers = {**found.headers, **(headers or {})}
                    service_name = service_name or found.service_name
                    timeout_s = found.timeout_s if timeout_s is None else timeout_s
                to = endpoint_of("OTelTracer", endpoint, headers, timeout_s)
                make, key = sends(to, conventional, service_name), ("otel", to, service_name)
        super().__init__(
            make,
            key=key,
            keep_values=keep_values,
            tags=tags,
            sampling=sampling,
            max_pending=max_pending,
        )


def sends(to: Endpoint, form: Form, service_name: str | None, *more: tuple[str, str | None]) -> Callable[[], Exporter]:
    """What makes an exporter to an endpoint, for the thread that will use it.

    All that it needs is imported here: a script may have ended before that thread has come so far, and then some
    modules, which want to be told of the end, cannot be imported any more.
    """
    load()
    from hush.observability._otel._exporter import OTLPExporter, resource_of

    return partial(OTLPExporter, to, form, resource_of(service_name, more))


def _given(exporter: SpanExporter, form: Form, service_name: str | None) -> Callable[[], Exporter]:
    from hush.observability._otel._exporter import GivenExporter, resource_of

    if not callable(getattr(exporter, "export", None)) or not callable(getattr(exporter, "shutdown", None)):
        raise UsageError(f"OTelTracer(exporter={type(exporter).__name__}): it is a SpanExporter of the SDK's.")
    return partial(GivenExporter, exporter, form, resource_of(service_name))

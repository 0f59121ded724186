"""A real receiver of OTLP over HTTP on loopback: it parses what it gets, keeps it, answers questions, and misbehaves.

What it answers is planned beforehand, one ``Answer`` a request, in order; after these it takes everything. A connection
is served by a thread of its own, so one that hangs holds up no other.
"""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

PROTOBUF = "application/x-protobuf"
WHOLE, SILENT, RESET = "whole", "silent", "reset"
"""How it is answered: as it should be; never; by closing the connection in place of an answer."""


@dataclass(frozen=True)
class Answer:
    """What one request is answered. One that is taken, 200, is kept, but for the first ``rejected`` spans."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    kind: str = PROTOBUF
    rejected: int = 0
    message: str = ""
    sent: str = WHOLE


@dataclass(frozen=True)
class Got:
    """A span as it came: ``kind`` and ``status`` by their names, times in nanoseconds, links as trace and span."""

    trace: str
    id: str
    parent: str | None
    name: str
    kind: str
    status: str
    message: str
    started_ns: int
    ended_ns: int
    attributes: dict[str, Any]
    events: tuple[tuple[str, int, dict[str, Any]], ...]
    resource: dict[str, Any]
    scope: str
    links: tuple[tuple[str, str], ...]

    def event(self, name: str) -> dict[str, Any]:
        """The attributes of the one event that is called so."""
        (found,) = (attributes for called, _, attributes in self.events if called == name)
        return found


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    connection: int
    size: int
    spans: tuple[Got, ...]


class Receiver:
    """What was received so far; from any thread."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self.spans: list[Got] = []
        self.plan: deque[Answer] = deque()
        self.always: Answer = Answer()
        self.connections: set[socket.socket] = set()
        self.connected = 0
        self.hanging = threading.Semaphore(0)  # one more for each request that is left without an answer
        self.closing = threading.Event()
        self.lock = threading.Lock()

    def span(self, name: str) -> Got:
        """The one span that is called so."""
        (found,) = (span for span in self.spans if span.name == name)
        return found

    def children(self, of: Got | None) -> list[Got]:
        """Those under a span, or the roots, in the order of their starts."""
        parent = None if of is None else of.id
        return sorted((one for one in self.spans if one.parent == parent), key=lambda one: one.started_ns)

    def tree(self, of: Got | None = None) -> dict[str, Any]:
        """Names, nested."""
        return {one.name: self.tree(one) for one in self.children(of)}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: Receiver

    def setup(self) -> None:
        super().setup()
        with self.receiver.lock:
            self.receiver.connections.add(self.connection)
            self.receiver.connected += 1
            self.number = self.receiver.connected

    def finish(self) -> None:
        with self.receiver.lock:
            self.receiver.connections.discard(self.connection)
        try:
            super().finish()
        except OSError:
            pass  # the client is gone

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            pass  # the client is gone, or the test is over

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        plain = {"gzip": gzip.decompress, "deflate": zlib.decompress}.get(
            self.headers.get("content-encoding", ""), bytes
        )
        got = tuple(parsed(plain(body)))
        receiver = self.receiver
        with receiver.lock:
            answer = receiver.plan.popleft() if receiver.plan else receiver.always
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.asked.append(Asked(self.path, headers, self.number, len(body), got))
            if answer.sent == WHOLE and answer.status == 200:
                receiver.spans += got[answer.rejected :]
        if answer.sent != WHOLE:
            self.close_connection = True
            if answer.sent == SILENT:
                receiver.hanging.release()
                receiver.closing.wait()
            return
        self._send(answer)

    def _send(self, answer: Answer) -> None:
        body = answer.body
        if body is None:
            said = ExportTraceServiceResponse()
            if answer.rejected or answer.message:
                said.partial_success.rejected_spans = answer.rejected
                said.partial_success.error_message = answer.message
            body = said.SerializeToString()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-type", answer.kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@contextmanager
def otlp_receiver() -> Iterator[Receiver]:
    """A receiver on a port of its own, until the block ends."""
    receiver = Receiver()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("_Mine", (_Handler,), {"receiver": receiver}))
    server.daemon_threads = False  # closing waits for them
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/v1/traces"
    serving = threading.Thread(target=server.serve_forever, args=(0.01,), name="otlp-receiver")
    serving.start()
    try:
        yield receiver
    finally:
        receiver.closing.set()
        server.shutdown()
        serving.join()
        with receiver.lock:
            for connection in receiver.connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        server.server_close()


def parsed(body: bytes) -> Iterator[Got]:
    """The spans of a request."""
    for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = plain(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield Got(
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex() or None,
                    span.name,
                    span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    span.status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
                    span.status.message,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    plain(span.attributes),
                    tuple((event.name, event.time_unix_nano, plain(event.attributes)) for event in span.events),
                    resource,
                    of_scope.scope.name,
                    tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                )


def plain(attributes: Any) -> dict[str, Any]:
    """Attributes as plain data."""
    return {one.key: _value(one.value) for one in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return plain(value.kvlist_value.values)
    return None if kind is None else getattr(value, kind)

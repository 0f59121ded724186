"""``Sender``: bytes of OTLP over HTTP, one request at a time on one kept connection, within a bounded time.

The SDK's own exporter tries again by itself for as long as it may take, and says only that it failed. Here each refusal
is told as it came, so that the tracer's thread decides, once for all exporters, when to try again and what to drop.
Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp.
"""

from __future__ import annotations

import math
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from hush.core.extend import without_secrets
from hush.observability._exporter import ExportError
from hush.observability._otel._endpoint import Endpoint
from hush.observability._otel._packages import hush_version

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session

_AGAIN = frozenset({429, 502, 503, 504})
_MOST_ANSWER = 65_536
_SHOWN = 300
_LONGEST_WAIT_S = 300.0
"""A server may ask for no longer. OTLP wants ``Retry-After`` to be heeded, but one of a day, by mistake, would keep
a process from sending for good, and to be asked once in five minutes bothers no server."""
_HINTS = {
    401: "Are its keys, or its headers, right?",
    403: "Are its keys, or its headers, right?",
    404: "Is the address whole? That of a collector usually ends with /v1/traces.",
    405: "Is the address whole? That of a collector usually ends with /v1/traces.",
}


class TooLarge(Exception):
    """The server takes no request of this size."""


class Sender:
    """Sends to one endpoint. From one thread at a time."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._session: Session | None = None
        self._used = False  # whether the connection may be one that the server has closed since

    def send(self, body: bytes) -> tuple[int, str]:
        """Send one request, serialized.

        Returns:
            How many spans the server rejected of those it took, and why.

        Raises:
            ExportError: It was not taken. No header, and nothing secret, is in it.
            TooLarge: It would be taken in smaller parts.
        """
        from opentelemetry.context import (  # what instrumentations of HTTP clients look at
            _SUPPRESS_HTTP_INSTRUMENTATION_KEY,
            _SUPPRESS_INSTRUMENTATION_KEY,
            attach,
            detach,
            set_value,
        )

        quiet = set_value(_SUPPRESS_INSTRUMENTATION_KEY, True)
        token = attach(set_value(_SUPPRESS_HTTP_INSTRUMENTATION_KEY, True, quiet))
        try:
            return self._sent(_compressed(body, self._endpoint.compression))
        finally:
            detach(token)

    def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _sent(self, data: bytes) -> tuple[int, str]:
        import requests

        deadline = time.monotonic() + self._endpoint.timeout_s
        try:
            try:
                response = self._post(data, deadline)
            except requests.ConnectionError as error:
                if not self._used or not _was_closed(error):
                    raise
                self._used = False  # the server had closed the kept connection: once more, on a new one
                response = self._post(data, deadline)
            with response:
                self._used = True
                try:
                    answer = _answer(response, deadline)
                except (requests.RequestException, OSError):
                    answer = b""  # its status has said what became of the spans: sent again, they would be there twice
                return self._read(response, answer)
        except (requests.RequestException, OSError) as error:
            if _timed_out(error):
                raise self._error(f"gave no answer within {self._endpoint.timeout_s:g} s", again=True) from None
            raise self._error(f"cannot be reached: {_reason(error)}{self._grpc()}", again=True) from None

    def _post(self, data: bytes, deadline: float) -> Response:
        import urllib3

        if self._session is None:
            self._session = _session(self._endpoint)
        left: Any = urllib3.Timeout(total=max(deadline - time.monotonic(), 0.001))  # it bounds connecting and reading
        return self._session.post(self._endpoint.url, data=data, timeout=left, allow_redirects=False, stream=True)

    def _read(self, response: Response, answer: bytes) -> tuple[int, str]:
        status = response.status_code
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if 200 <= status < 300 and kind == "text/html":
            said = "answered with a web page, which no collector does. Is it the address of one? Most end in /v1/traces"
            raise self._error(said, again=False)
        if 200 <= status < 300:
            rejected, why = _partly(answer, kind)
            return rejected, _shown(why)
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise TooLarge
        said = _shown(_message(answer, kind))
        text = f"answered {status} {response.reason or ''}".rstrip() + (f": {said}" if said else "")
        hint = _HINTS.get(status)
        wait_s = _retry_after(response.headers.get("retry-after"))
        text = f"{text}. {hint}" if hint else text
        raise self._error(text, again=status in _AGAIN, answered=True, retry_after_s=wait_s)

    def _error(
        self, text: str, *, again: bool, answered: bool = False, retry_after_s: float | None = None
    ) -> ExportError:
        text = without_secrets(f"{self._endpoint.shown} {text}")
        return ExportError(text, again=again, answered=answered, retry_after_s=retry_after_s)

    def _grpc(self) -> str:
        said = " (port 4317 is usually that of gRPC; OTLP over HTTP is on 4318)"
        return said if ":4317/" in self._endpoint.url else ""


def _session(endpoint: Endpoint) -> Session:
    import requests

    session = requests.Session()
    session.headers.update({"user-agent": f"hushflow/{hush_version()}", "content-type": "application/x-protobuf"})
    if endpoint.compression != "none":
        session.headers["content-encoding"] = endpoint.compression
    session.headers.update(dict(endpoint.headers))
    session.auth = _as_it_is  # else a file .netrc would replace the header Authorization
    session.verify = endpoint.verify
    session.cert = endpoint.certificate
    return session


def _as_it_is(request: PreparedRequest) -> PreparedRequest:
    return request


def _compressed(body: bytes, compression: str) -> bytes:
    if compression == "gzip":
        import gzip

        return gzip.compress(body, compresslevel=6)
    if compression == "deflate":
        import zlib

        return zlib.compress(body)
    return body


def _answer(response: Response, deadline: float) -> bytes:
    """The body, as far as it matters; a server that drips it does not hold us beyond the deadline."""
    import requests

    found = bytearray()
    for part in response.iter_content(4_096):
        found += part
        if len(found) > _MOST_ANSWER:
            break
        if time.monotonic() > deadline:
            raise requests.Timeout
    return bytes(found)


def _was_closed(error: BaseException) -> bool:
    """Whether a kept connection was closed by the server before it answered anything."""
    return any(isinstance(one, ConnectionResetError | BrokenPipeError) for one in _chain(error))


def _timed_out(error: BaseException) -> bool:
    import requests
    import urllib3

    kinds = (TimeoutError, requests.Timeout, urllib3.exceptions.ReadTimeoutError)
    return any(isinstance(one, kinds) for one in _chain(error))


def _reason(error: BaseException) -> str:
    """The innermost reason in plain words; what libraries make of it would show addresses, and proxies' passwords."""
    innermost = _chain(error)[-1]
    return getattr(innermost, "strerror", None) or type(innermost).__name__


def _chain(error: BaseException) -> list[BaseException]:
    found = [error]
    while len(found) < 20:
        last = found[-1]
        inner = [last.__cause__, last.__context__, getattr(last, "reason", None), *last.args]
        following = next((one for one in inner if isinstance(one, BaseException) and one not in found), None)
        if following is None:
            break
        found.append(following)
    return found


def _partly(answer: bytes, kind: str) -> tuple[int, str]:
    """How many spans the server rejected, and why."""
    if not answer:
        return 0, ""
    try:
        if kind == "application/json":
            import json

            part = json.loads(answer).get("partialSuccess") or {}
            return int(part.get("rejectedSpans") or 0), str(part.get("errorMessage") or "")
        if kind != "application/x-protobuf":
            return 0, ""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

        found = ExportTraceServiceResponse.FromString(answer).partial_success
        return found.rejected_spans, found.error_message
    except Exception:  # it was taken, whatever else is said
        return 0, ""


def _message(answer: bytes, kind: str) -> str:
    """What a refusal says: OTLP wants a ``google.rpc.Status``, others send JSON, text or a page."""
    if kind == "application/x-protobuf":
        from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

        try:
            return str(Status.FromString(answer).message)
        except Exception:
            return ""
    return "" if kind == "text/html" else answer.decode("utf-8", "replace")


def _shown(text: str) -> str:
    text = " ".join(without_secrets(text).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _retry_after(value: str | None) -> float | None:
    """In seconds, of seconds or a date, as RFC 9110 has it; within bounds."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (TypeError, ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), _LONGEST_WAIT_S) if math.isfinite(seconds) else None

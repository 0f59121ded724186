"""``Endpoint``: where spans are sent and how, from arguments, a resource, or OpenTelemetry's variables.

The variables are those of https://opentelemetry.io/docs/specs/otel/protocol/exporter/, each with ``_TRACES_`` first;
seconds are seconds, as in OpenTelemetry's own exporter for Python.
"""

from __future__ import annotations

import math
import os
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote, urlsplit

from hush.core.errors import UsageError
from hush.core.extend import is_secret_name, looks_secret, remember_secrets

_DEFAULT = "http://localhost:4318"
_PATH = "v1/traces"
_TIMEOUT_S = 10.0
_LONG = 16
"""Values of headers that are shorter, such as a tenant's name, may be words that traces and logs are full of."""
_COMPRESSIONS = ("none", "gzip", "deflate")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how. Two that are equal share a connection. Its ``repr`` shows no secret.

    Attributes:
        url: The whole address, without a user and a password.
        headers: Sent with each request, all their values secret.
        timeout_s: The longest time from asking to the whole answer.
        compression: ``none``, ``gzip`` or ``deflate``.
        verify: ``True`` for the system's certificates, or the path of others. TLS is always verified.
        certificate: A client's own certificate, and the key to it if that is in a file of its own.
    """

    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timeout_s: float = _TIMEOUT_S
    compression: str = "none"
    verify: bool | str = True
    certificate: str | tuple[str, str] | None = None

    @property
    def shown(self) -> str:
        """The address for errors and logs, without what follows ``?``."""
        return urlsplit(self.url)._replace(query="", fragment="").geturl()


def endpoint_of(who: str, url: str | None, headers: Mapping[str, str] | None, timeout_s: float | None) -> Endpoint:
    """What was given to ``who``, completed by the variables. It connects to nothing.

    Args:
        who: Whose arguments these are, for errors: ``"OTelTracer"``.
        url: The whole address, as the SDK's exporter takes it, or that of a server, to which the usual path is added;
            ``None`` leaves it to the variables.
        headers: Sent besides those of the variables; they win over them.
        timeout_s: ``None`` leaves it to the variables, else 10 s.

    Raises:
        UsageError: An argument, or a variable, is no address, header or number. No value of a header is in it.
    """
    if url is not None:
        url = _with_path(url)
    else:
        url = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or None
    if url is None:
        url = f"{(os.environ.get('OTEL_EXPORTER_OTLP_ENDPOINT') or _DEFAULT).removesuffix('/')}/{_PATH}"
    if timeout_s is None:
        timeout_s = _variable_seconds()
    found = given_endpoint(who, url, {**_variable_headers(), **_checked(who, headers)}, timeout_s)
    return replace(
        found,
        compression=_compression(),
        verify=_variable("CERTIFICATE") or True,
        certificate=_certificate(),
    )


def given_endpoint(
    who: str, url: str, headers: Mapping[str, str], timeout_s: float | None, compression: str = "none"
) -> Endpoint:
    """What was given to ``who``, and nothing else: the variables may hold the keys of another server."""
    address, login = _address(who, url)
    all_headers = {**login, **_checked(who, headers)}
    seconds = _TIMEOUT_S if timeout_s is None else _seconds(who, timeout_s)
    return Endpoint(address, tuple(sorted(all_headers.items())), seconds, compression)


def _variable(name: str) -> str | None:
    found = os.environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or os.environ.get(f"OTEL_EXPORTER_OTLP_{name}")
    return found or None


def _address(who: str, url: Any) -> tuple[str, dict[str, str]]:
    """``url`` without a user and a password, and the header that carries these."""
    try:
        parts = urlsplit(url.strip())
        fine = parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except (AttributeError, TypeError, ValueError):
        fine = False
        parts = urlsplit("")
    if not fine:
        raise UsageError(
            f"{who}: the endpoint is no address of a collector. Write the whole of it, such as "
            f"{_DEFAULT}/{_PATH}; a server of gRPC, usually on port 4317, is no such one."
        )
    if parts.username is None:
        return parts.geturl(), {}
    given = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    if parts.password:
        remember_secrets([parts.password, unquote(parts.password)])
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), {"authorization": basic(given)}


def _with_path(url: str) -> str:
    """``url`` with the usual path if it has none: nobody takes spans at the root of a server."""
    try:
        parts = urlsplit(url.strip())
    except (AttributeError, TypeError, ValueError):
        return url  # which is told by itself
    return parts._replace(path=f"/{_PATH}").geturl() if parts.netloc and parts.path in ("", "/") else url


def basic(given: str) -> str:
    """The value of a header ``Authorization`` for ``user:password``; it is remembered as a secret."""
    encoded = b64encode(given.encode()).decode()
    remember_secrets([encoded])
    return f"Basic {encoded}"


def _variable_headers() -> dict[str, str]:
    text = _variable("HEADERS")
    if text is None:
        return {}
    found: dict[str, str] = {}
    for pair in text.split(","):
        name, equals, value = pair.partition("=")
        if equals and name.strip():
            found[unquote(name).strip()] = unquote(value).strip()
    return _checked("OTEL_EXPORTER_OTLP_HEADERS", found)


def _checked(who: str, headers: Mapping[str, Any] | None) -> dict[str, str]:
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise UsageError(f"{who}: headers are a mapping from names to values.")
    found: dict[str, str] = {}
    for name, given in headers.items():
        reveal = getattr(given, "get_secret_value", None)
        value = reveal() if callable(reveal) else given
        if not isinstance(name, str) or not name.strip() or not (name.isascii() and name.isprintable()):
            raise UsageError(f"{who}: {name!r} is no name of a header.")
        if not isinstance(value, str) or not (value.isascii() and value.isprintable()):
            raise UsageError(f"{who}: the header {name} has a value that no header can carry.")
        if is_secret_name(name) or looks_secret(value) or len(value) >= _LONG:
            remember_secrets([value, value.rpartition(" ")[2]])
        found[name.strip().lower()] = value.strip()
    return found


def _seconds(who: str, given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < math.inf:
        raise UsageError(f"{who}(timeout_s={given!r}): it is a number of seconds above 0.")
    return float(given)


def _variable_seconds() -> float | None:
    text = _variable("TIMEOUT")
    if text is None:
        return None
    try:
        return _seconds("OTEL_EXPORTER_OTLP_TIMEOUT", float(text))
    except ValueError:
        raise UsageError(f"OTEL_EXPORTER_OTLP_TIMEOUT={text!r}: it is a number of seconds above 0.") from None


def _compression() -> str:
    given = (_variable("COMPRESSION") or "none").strip().lower()
    if given not in _COMPRESSIONS:
        raise UsageError(f"OTEL_EXPORTER_OTLP_COMPRESSION={given!r}: it is one of {', '.join(_COMPRESSIONS)}.")
    return given


def _certificate() -> str | tuple[str, str] | None:
    certificate, key = _variable("CLIENT_CERTIFICATE"), _variable("CLIENT_KEY")
    return (certificate, key) if certificate is not None and key is not None else certificate

"""Which errors tell of a connection that was lost, refused or too slow: those that may be different the next time.

Those of clients are recognised by the names of their classes, without importing anything.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

_ERRNOS = frozenset(
    getattr(errno, name)
    for name in ("ENETDOWN", "ENETUNREACH", "ENETRESET", "EHOSTDOWN", "EHOSTUNREACH")
    if hasattr(errno, name)
)  # others have classes of their own below ConnectionError and TimeoutError

_OF_HTTPX = frozenset(("TransportError",))
_OF_VENDORS = frozenset(("APIConnectionError",))

# By package: the classes below which all are such errors.
_KINDS = {
    "aiohttp": frozenset(("ClientConnectionError", "ClientPayloadError")),
    "anthropic": _OF_VENDORS,
    "botocore": frozenset(("ConnectionError", "ConnectionClosedError", "ReadTimeoutError")),
    "http": frozenset(("BadStatusLine", "IncompleteRead")),  # http.client
    "httpcore": frozenset(("NetworkError", "RemoteProtocolError", "TimeoutException")),
    "httpx": _OF_HTTPX,
    "httpx2": _OF_HTTPX,
    "openai": _OF_VENDORS,
    "requests": frozenset(("ChunkedEncodingError", "ConnectionError", "Timeout")),
    "urllib3": frozenset(("IncompleteRead", "NewConnectionError", "ProtocolError", "TimeoutError")),
}
# What stands below those and will be the same the next time: the request itself is wrong, or the peer not who it was.
_HOPELESS = frozenset((
    ("aiohttp", "ServerFingerprintMismatch"),
    ("httpx", "LocalProtocolError"),
    ("httpx", "UnsupportedProtocol"),
    ("httpx2", "LocalProtocolError"),
    ("httpx2", "UnsupportedProtocol"),
    ("ssl", "SSLCertVerificationError"),
))  # fmt: skip
_TLS = frozenset(
    (("aiohttp", "ClientSSLError"), ("requests", "SSLError"), ("ssl", "SSLError"), ("urllib3", "SSLError"))
)
_CUT_OFF = frozenset((("ssl", "SSLEOFError"), ("ssl", "SSLSyscallError"), ("ssl", "SSLZeroReturnError")))
_WRAPPERS = frozenset((("urllib", "URLError"), ("urllib3", "MaxRetryError")))

# The name server has answered, and there is no such host. EAI_AGAIN, no answer in time, is another matter.
_NO_SUCH_HOST = frozenset(getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA") if hasattr(socket, name))
_LONGEST_CHAIN = 16

Name = tuple[str, str]


def named(error: BaseException, package: str, name: str) -> bool:
    """Whether ``error`` is of the class ``name`` of ``package``, or of one below it."""
    return (package, name) in _names(error)


def of_transport(error: BaseException) -> bool:
    """Whether ``error`` tells of a connection that may be better the next time."""
    chain = list(_chain(error))
    names = frozenset[Name]().union(*map(_names, chain))
    if not names.isdisjoint(_HOPELESS) or any(_no_such_host(each) for each in chain):
        return False
    if not names.isdisjoint(_TLS):
        return not names.isdisjoint(_CUT_OFF)
    return any(_is_lost(each) for each in (chain if not _names(error).isdisjoint(_WRAPPERS) else (error,)))


def _is_lost(error: BaseException) -> bool:
    if isinstance(error, ConnectionError | TimeoutError | socket.gaierror):
        return True
    if isinstance(error, OSError) and (error.errno in _ERRNOS or _several_addresses(error)):
        return True
    return any(name in _KINDS.get(package, ()) for package, name in _names(error))


def _several_addresses(error: OSError) -> bool:
    # What asyncio raises if no address of a host answers, and not all for the same reason (loop.create_connection).
    return type(error) is OSError and error.errno is None and str(error).startswith("Multiple exceptions: [Errno ")


def _no_such_host(error: BaseException) -> bool:
    return isinstance(error, socket.gaierror) and error.errno in _NO_SUCH_HOST


def _names(error: BaseException) -> frozenset[Name]:
    return frozenset((str(each.__module__).partition(".")[0], each.__name__) for each in type(error).__mro__)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that clients say it was made from: as its cause, or among what it was made with.

    Not its ``__context__``: that may be anything that was handled just then.
    """
    todo: list[object] = [error]
    seen: set[int] = set()
    while todo and len(seen) < _LONGEST_CHAIN:
        one = todo.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        todo += [one.__cause__, *one.args]
        for name in ("reason", "os_error"):  # urllib3 and urllib, aiohttp
            try:
                todo.append(getattr(one, name, None))
            except Exception:  # a property of the user's
                continue

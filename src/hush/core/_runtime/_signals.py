"""What an error says: whether trying again may help, whether its sender has too much to do, and when to come back.

Errors of HTTP clients are recognised by their shape and by the names of their classes, without importing anything.
"""

from __future__ import annotations

import re
from asyncio import CancelledError
from time import time
from typing import Any, NamedTuple

from hush.core._runtime._transport import named, of_transport


class Signal(NamedTuple):
    """What one error says.

    Attributes:
        retryable: Whether trying again may help.
        overloaded: Whether whoever was called asks for less: 429, 503, 529, or it says when to come back.
        retry_after_s: In how many seconds it may be asked again, from when the error was raised; never negative.
    """

    retryable: bool
    overloaded: bool
    retry_after_s: float | None


NOTHING = Signal(retryable=False, overloaded=False, retry_after_s=None)

_OVERLOADED = frozenset((429, 503, 529))
_DEEPEST_GROUP = 16
_SECONDS = re.compile(r"[0-9]{1,12}(?:\.[0-9]{0,12})?")
_FIRST_TIMESTAMP = 1_000_000_000  # smaller numbers are no seconds since the epoch that anybody would send today

# google/rpc/code.proto says which status of HTTP each stands for. UNAVAILABLE is also what a lost connection gives.
_OF_GRPC = {
    "UNAVAILABLE": Signal(retryable=True, overloaded=False, retry_after_s=None),
    "DEADLINE_EXCEEDED": Signal(retryable=True, overloaded=False, retry_after_s=None),
    "RESOURCE_EXHAUSTED": Signal(retryable=True, overloaded=True, retry_after_s=None),
}
# The codes that the AWS SDKs try again in their standard mode, some of which come with a status of 400:
# https://boto3.amazonaws.com/v1/documentation/api/latest/guide/retries.html
_TRANSIENT_OF_AWS = frozenset(("RequestTimeout", "RequestTimeoutException", "PriorRequestNotComplete"))
_THROTTLED_BY_AWS = frozenset((
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottledException",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
    "TransactionInProgressException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "RequestThrottled",
    "SlowDown",
    "EC2ThrottledException",
))  # fmt: skip


def signal_of(error: BaseException) -> Signal:
    """What ``error`` says. Changes nothing and never raises, whatever the attributes of ``error`` do.

    Retryable are: whatever carries ``retry_after_s``; answers of HTTP with the status 408, 429 or 5xx, and others from
    400 on that say when to come back (``Retry-After``: RFC 9110, 10.2.3); lost connections and timeouts, but no refused
    certificates and no hosts that do not exist; a group of which all members are.
    """
    try:
        return _signal_of(error, 0)
    except KeyboardInterrupt:
        raise  # more likely the user's own than a property's
    except BaseException:
        return NOTHING


def _signal_of(error: BaseException, depth: int) -> Signal:
    if not isinstance(error, Exception) or depth > _DEEPEST_GROUP:
        return NOTHING
    told = _told(error)
    if isinstance(error, ExceptionGroup):
        found = _of_group(error, depth)
    else:
        status, headers = _status_of(error)
        if status is not None:
            found = _of_answer(status, headers)
        else:
            found = _of_service(error) or Signal(of_transport(error), overloaded=False, retry_after_s=None)
    if told is None:
        return found
    return Signal(retryable=True, overloaded=True, retry_after_s=max(told, found.retry_after_s or 0.0))


def _of_group(group: ExceptionGroup[Exception], depth: int) -> Signal:
    members = [_signal_of(member, depth + 1) for member in group.exceptions]
    return Signal(
        all(member.retryable for member in members),
        any(member.overloaded for member in members),
        max((member.retry_after_s for member in members if member.retry_after_s is not None), default=None),
    )


def _of_answer(status: int, headers: Any) -> Signal:
    after_s = _retry_after_s(status, headers)
    retryable = status in (408, 429) or 500 <= status < 600 or after_s is not None
    # The clients of OpenAI and Anthropic obey it before anything else (``_should_retry`` in ``_base_client.py``).
    wish = _header(headers, "x-should-retry")
    if wish in ("true", "false"):
        retryable = wish == "true"
    # A 429 that is not to be tried again, as for an account with nothing left to spend, asks nobody to wait.
    overloaded = (status in _OVERLOADED and wish != "false") or after_s is not None
    return Signal(retryable, overloaded, after_s)


# --- shapes -----------------------------------------------------------------------------------------------------------
def _get(owner: Any, name: str) -> Any:
    """An attribute, or ``None`` where there is none, or reading it raises."""
    try:
        return getattr(owner, name, None)
    except (Exception, CancelledError):
        return None


def _told(error: BaseException) -> float | None:
    """What it carries as ``retry_after_s``."""
    given = _get(error, "retry_after_s")
    if given is None or isinstance(given, bool | str | bytes):
        return None
    try:
        seconds = float(given)
    except (Exception, CancelledError):
        return None
    return max(0.0, seconds) if seconds - seconds == 0 else None  # neither infinite nor no number at all


def _status_of(error: Exception) -> tuple[int | None, Any]:
    """The status and the headers of the answer that it tells of; ``None`` if it tells of none from 400 on."""
    response = _get(error, "response")  # httpx, requests, openai, anthropic; one of requests may be false
    if response is not None:
        for name in ("status_code", "status"):
            status = _as_status(_get(response, name))
            if status is not None:
                return status, _get(response, "headers")
        if isinstance(response, dict) and isinstance(meta := response.get("ResponseMetadata"), dict):
            return _of_aws(response, meta)
    for name in ("status_code", "status"):  # aiohttp has ``status`` and ``headers``
        status = _as_status(_get(error, name))
        if status is not None:
            return status, _get(error, "headers")
    headers = _get(error, "headers")
    if headers is not None or named(error, "google", "GoogleAPICallError"):  # urllib.error.HTTPError
        status = _as_status(_get(error, "code"))
        if status is not None:
            return status, headers
    return None, None


def _as_status(given: Any) -> int | None:
    if isinstance(given, int) and not isinstance(given, bool) and 400 <= given < 600:
        return int(given)
    return None


def _of_aws(response: dict[Any, Any], meta: dict[Any, Any]) -> tuple[int | None, Any]:
    """As ``_status_of``, of ``botocore.exceptions.ClientError.response``."""
    told = response.get("Error")
    code = told.get("Code") if isinstance(told, dict) else None
    status, headers = _as_status(meta.get("HTTPStatusCode")), meta.get("HTTPHeaders")
    if isinstance(code, str):
        if code in _THROTTLED_BY_AWS:
            status = 429
        elif code in _TRANSIENT_OF_AWS:
            status = 408
    return status, headers


def _of_service(error: Exception) -> Signal | None:
    if not named(error, "grpc", "RpcError"):
        return None
    code = _get(error, "code")
    return _OF_GRPC.get(str(_get(code(), "name"))) if callable(code) else None


# --- headers ----------------------------------------------------------------------------------------------------------
def _header(headers: Any, name: str) -> str | None:
    """One header, whatever kind of mapping they are in: some ignore the case of names, some do not."""
    try:
        found = headers.get(name)
        if found is None:
            wanted = name.encode()
            for key, value in headers.items():
                key = key.lower()
                if key in (name, wanted):
                    found = value
                    break
    except (Exception, CancelledError):
        return None
    if isinstance(found, list | tuple) and found:
        found = found[0]
    if isinstance(found, bytes):
        found = found.decode("latin-1")
    if isinstance(found, int | float) and not isinstance(found, bool):
        found = str(found)
    return found.strip() if isinstance(found, str) else None


def _retry_after_s(status: int, headers: Any) -> float | None:
    """In how many seconds the answer says to come back."""
    if headers is None:
        return None
    # Azure and OpenAI send it in milliseconds too, which is more exact; Cosmos DB under the second name only.
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        milliseconds = _number(_header(headers, name))
        if milliseconds is not None:
            return milliseconds / 1000
    text = _header(headers, "retry-after")
    if text is not None:
        seconds = _number(text)
        return _until(text, headers) if seconds is None else seconds
    return _until_reset(headers) if status == 429 else None


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and _SECONDS.fullmatch(text) else None


def _until(text: str, headers: Any) -> float | None:
    """Seconds until a date as HTTP writes it (RFC 9110, 5.6.7)."""
    then_s = _at_s(text)
    return None if then_s is None else _left_s(then_s, headers)


def _until_reset(headers: Any) -> float | None:
    """Seconds until a limit that is used up starts anew, where the headers say it in a way that has one meaning only.

    ``RateLimit-Reset`` is a number of seconds (draft-ietf-httpapi-ratelimit-headers-06), with GitLab the time itself.
    ``X-RateLimit-Reset`` is one or the other or milliseconds, by vendor; as a time since the epoch (GitHub) it can be
    told from the others by its size. What is left must be nothing: else the limit that was met is another one.
    """
    for prefix in ("ratelimit", "x-ratelimit"):
        if _number(_header(headers, f"{prefix}-remaining")) != 0:
            continue
        reset = _number(_header(headers, f"{prefix}-reset"))
        if reset is None:
            continue
        if _FIRST_TIMESTAMP <= reset < 100 * _FIRST_TIMESTAMP:
            return _left_s(reset, headers)
        if prefix == "ratelimit" and reset < _FIRST_TIMESTAMP:
            return reset
    return None


def _left_s(then_s: float, headers: Any) -> float:
    """Seconds until ``then_s``, by the sender's own clock if it tells its time."""
    sent = _header(headers, "date")
    sent_s = None if sent is None else _at_s(sent)
    return max(0.0, then_s - (time() if sent_s is None else sent_s))


def _at_s(date: str) -> float | None:
    from datetime import UTC
    from email.utils import parsedate_to_datetime

    try:
        parsed = parsedate_to_datetime(date)
        return (parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None

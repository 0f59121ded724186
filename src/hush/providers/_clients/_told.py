"""What the body of an error says, whatever its shape: OpenAI's, Anthropic's, Gemini's, vLLM's, a page, plain text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from hush.providers._clients._lenient import NO_JSON, as_list, as_mapping, as_text, as_word, dumps, parsed
from hush.providers._clients._limits import duration_s

# What an error in a body stands for, where no status of HTTP says so. By Anthropic
# (https://platform.claude.com/docs/en/api/errors), OpenAI, vLLM, and google/rpc/code.proto.
_STATUSES: Mapping[str, int] = {
    "invalid_request_error": 400,
    "badrequesterror": 400,
    "context_length_exceeded": 400,
    "invalid_argument": 400,
    "failed_precondition": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "unauthenticated": 401,
    "billing_error": 402,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "not_found": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "resource_exhausted": 429,
    "rate_limit_reached_error": 429,
    "engine_overloaded_error": 429,
    "too_many_requests": 429,
    "api_error": 500,
    "server_error": 500,
    "internal_server_error": 500,
    "internalservererror": 500,
    "internal": 500,
    "unavailable_error": 503,
    "unavailable": 503,
    "service_unavailable": 503,
    "timeout_error": 504,
    "deadline_exceeded": 504,
    "overloaded_error": 529,
    "overloaded": 529,
}


_UNIT = r"(?:milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|h|days?|d)(?![a-z])"
_AGAIN = re.compile(
    rf"(?:try again|retry) (?:in|after) ((?:[0-9]+(?:\.[0-9]+)? ?{_UNIT}[ ,]*(?:and )?)+)", re.IGNORECASE
)
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ms|mil|s|m|h|d)", re.IGNORECASE)
_SPAN_S = {"ms": 0.001, "mil": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


PAGE = "a web page"


class Told(NamedTuple):
    """What an error object says.

    Attributes:
        message: In its words.
        words: Its code, type and status, as far as they are words.
        status: Of HTTP, or what one of these stands for.
        param: What of the request it is about.
        retry_after_s: When to come back.
        headers: What stands in the body of the headers that whoever is behind the server has sent, by small names.
        wording_s: When to come back by the words of the message alone.
    """

    message: str
    words: tuple[str, ...] = ()
    status: int | None = None
    param: str | None = None
    retry_after_s: float | None = None
    headers: Mapping[str, str] = {}
    wording_s: float | None = None


def told_by(body: bytes) -> Told:
    """What the body of an error says: JSON of whatever shape, a page, or plain text."""
    found = parsed(body)
    if found is NO_JSON:
        text = body[:20_000].decode("utf-8", "replace")
        if "<" in text:
            title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
            text = title[1] if title else re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL)
            return Told(f"{PAGE}: {text}")
        return Told(text)
    return told_of(found)


def told_of(found: Any) -> Told:
    """What an error object says, or what is around it."""
    if isinstance(found, list) and found:
        found = found[0]  # Gemini's
    if not isinstance(found, Mapping):
        return Told(found if isinstance(found, str) else dumps(found))
    inner = found.get("error")
    if isinstance(inner, str) and inner:
        told = " ".join(filter(None, [inner, as_text(found.get("message"))]))
        # LM Studio says so with the status 200 (https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/618).
        status = 404 if inner.lower().startswith("unexpected endpoint") else _status(found)
        kind = as_word(found.get("error_type"))  # of text-generation-inference
        return Told(told, (kind,) if kind else (), status, wording_s=_worded_s(told))
    error = as_mapping(inner) or found
    message = next((as_text(error[key]) for key in ("message", "detail", "msg", "errors") if error.get(key)), "")
    beside = as_mapping(error.get("metadata"))  # OpenRouter: what the one behind it said
    raw = as_text(beside.get("raw"))
    told = " ".join(filter(None, [message, raw])) or dumps(found)
    words = tuple(
        dict.fromkeys(
            word for key in ("code", "type", "status") if (word := as_word(error.get(key))) and word != "error"
        )
    )
    return Told(
        told,
        tuple(word for word in words if not word.isdecimal()),
        _status(error),
        as_word(error.get("param")),
        _google_retry_s(error),
        {str(name).lower(): str(value) for name, value in as_mapping(beside.get("headers")).items()},
        _worded_s(told),
    )


def _status(error: Mapping[str, Any]) -> int | None:
    for key in ("code", "status", "status_code"):
        value = error.get(key)
        if isinstance(value, str) and value.isdecimal() and len(value) == 3:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600:
            return value
    for key in ("code", "type", "status", "error_type"):
        word = as_word(error.get(key))
        if word and word.lower() in _STATUSES:
            return _STATUSES[word.lower()]
    return None


def _worded_s(message: str) -> float | None:
    # "Please try again in 1m2.5s", "Please retry after 20 seconds": some send no header, and proxies lose them.
    found = _AGAIN.search(message[:2000])
    if found is None:
        return None
    return sum(float(number) * _SPAN_S[unit.lower()] for number, unit in _SPAN.findall(found[1])) or None


def _google_retry_s(error: Mapping[str, Any]) -> float | None:
    # google.rpc.RetryInfo, which Gemini sends in place of a header.
    for detail in as_list(error.get("details")):
        delay = as_word(as_mapping(detail).get("retryDelay"))
        if delay:
            return duration_s(delay) or None
    return None

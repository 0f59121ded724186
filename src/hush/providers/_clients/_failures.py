"""What went wrong with a request, as an error of Hush: without secrets, with the setting to look at.

The errors of the vendors' clients hold the request with its key. They are read here and nothing else is kept of them.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

from hush.core.extend import without_secrets
from hush.providers._clients._charset import as_utf8, charset_of
from hush.providers._clients._limits import asks_back, duration_s, hold_s
from hush.providers._clients._settings import ClientSettings
from hush.providers._clients._told import PAGE, Told, told_by, told_of
from hush.providers.errors import BadReply, ProviderError, ProviderTimeout, RefusedByProvider, Unreachable

_KEPT = re.compile(
    r"retry-after|retry-after-ms|x-ms-retry-after-ms|x-should-retry|date|(x-|apim-)?request-id"
    r"|(x-)?ratelimit-.*|anthropic-ratelimit-.*"
)
_LONGEST = 500
_REQUEST_IDS = ("x-request-id", "request-id", "apim-request-id")

_JUDGED = re.compile(r"moderation|flagged|content polic|safety", re.IGNORECASE)
_LONG = re.compile(r"context_length_exceeded|string_above_max_length|maximum context length|prompt is too long")
_THOUGHTS = re.compile(r"reasoning_content|reasoning_details|thinking`? blocks?", re.IGNORECASE)

_CLIENTS = frozenset(("anthropic", "anyio", "h11", "h2", "httpcore2", "httpx2", "openai"))

# No pause helps against these, though their status is that of too many requests.
_SPENT = frozenset(
    ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "exceeded_current_quota_error")
)
_NO_MONEY = re.compile(r"insufficient (account )?balance|credit balance is too low|余额不足", re.IGNORECASE)


class Failures:
    """Makes errors that tell of one resource."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._secrets = settings.secrets

    def clean(self, text: str) -> str:
        """``text`` as an error may show it."""
        return shortened(without_secrets(text, self._secrets))

    # --- answers ----------------------------------------------------------------------------------------------
    def of_answer(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """Of an answer with a status that is no success."""
        kept = kept_headers(headers)
        if 300 <= status < 400:
            location = self.clean(headers.get("location", "nowhere").partition("?")[0])
            return self._refused(
                status,
                Told(f"it redirects to {location}, and redirects are not followed, since they carry the key"),
                kept,
            )
        return self._refused(status, told_by(_in_utf8(body, headers)), kept)

    def of_object(self, error: Any, headers: Mapping[str, str]) -> ProviderError:
        """Of an error object in an answer that began as a success."""
        told = told_of(error)
        kept = kept_headers(headers)
        if told.status is None:
            return self.bad(f"sent an error in its answer: {told.message}", kept, code=next(iter(told.words), None))
        return self._refused(told.status, told, kept)

    def no_json(self, body: bytes, headers: Mapping[str, str]) -> BadReply:
        """Of an answer that is no JSON."""
        told = told_by(body).message
        settings = self._settings
        mend = ""
        if told.startswith(PAGE):
            whose, end = settings.resource or "the resource", "; most end in /v1" if settings.vendor == "openai" else ""
            mend = f"Is {self.clean(settings.shown_url)} the address of an API? Look at base_url of {whose}{end}."
        return self.bad(f"gave an answer that is no JSON: {told}", headers, mend=mend)

    def bad(
        self,
        what: str,
        headers: Mapping[str, str] | None = None,
        kind: type[BadReply] = BadReply,
        *,
        mend: str = "",
        **more: Any,
    ) -> BadReply:
        """Of an answer that is none: ``what`` follows after who answered, and behind it what to do."""
        kept = kept_headers(headers or {})
        return kind(
            f"{self._settings.who} {self.clean(what)}" + (f"\n    {mend}" if mend else ""),
            resource=self._settings.resource,
            headers=kept,
            request_id=_request_id(kept),
            **more,
        )

    def of_request(self, what: str, code: str = "unsupported_parameter") -> RefusedByProvider:
        """Of a request that cannot be put into the provider's words."""
        return RefusedByProvider(
            f"{self._settings.who}: {self.clean(what)}", resource=self._settings.resource, status_code=400, code=code
        )

    def _refused(self, status: int, told: Told, kept: dict[str, str]) -> ProviderError:
        for name, value in kept_headers(told.headers).items():
            kept.setdefault(name, value)
        spent = not _SPENT.isdisjoint(told.words) or _NO_MONEY.search(told.message) is not None
        if status == 429 and spent:
            kept["x-should-retry"] = "false"
        elif status == 498:  # Groq: no room at this tier at the moment
            kept.setdefault("x-should-retry", "true")
        elif not any(asks_back(kept.get(name)) for name in ("retry-after", "retry-after-ms", "x-ms-retry-after-ms")):
            after_s = told.retry_after_s or duration_s(kept.get("retry-after", "")) or None
            if after_s is None and status == 429:
                after_s = hold_s(kept, refused=True)
            if after_s is None and status in (429, 503):
                after_s = told.wording_s
            if after_s is not None:
                kept["retry-after-ms"] = f"{after_s * 1000:.0f}"
        about = ", ".join(filter(None, [next(iter(told.words), ""), told.param and f"parameter {told.param}"]))
        text = f"{self._settings.who} answered {status}{f' ({self.clean(about)})' if about else ''}"
        mend = self._mend(status, told)
        return RefusedByProvider(
            f"{text}: {self.clean(told.message) or 'nothing more'}{mend}",
            resource=self._settings.resource,
            status_code=status,
            code=next((self.clean(word) for word in told.words), None),
            headers=kept,
            request_id=_request_id(kept),
        )

    def _mend(self, status: int, told: Told) -> str:
        settings = self._settings
        whose = f" of {settings.resource}" if settings.resource else ""
        if status == 402 or not _SPENT.isdisjoint(told.words) or _NO_MONEY.search(told.message):
            return "\n    The account has nothing left to spend; waiting does not help."
        if status == 403 and _JUDGED.search(told.message):
            return "\n    What was asked is not allowed there: it is the messages that it refuses, not the key."
        if status == 413 or _LONG.search(f"{told.message} {' '.join(told.words)}"):
            return "\n    It is asked for more than it takes at once: shorten the messages, the files or max_tokens."
        if status in (401, 403):
            has = "it has none" if settings.api_key is None else "it was sent"
            return f"\n    Look at api_key{whose} ({has})."
        if status == 404:
            return (
                f"\n    Asked for model {self.clean(settings.model)!r} at {self.clean(settings.shown_url)}: "
                f"look at model and base_url{whose}."
            )
        if 300 <= status < 400:
            return f"\n    Write where it leads into base_url{whose}, now {self.clean(settings.shown_url)}."
        if status in (400, 422) and _THOUGHTS.search(told.message):
            return (
                "\n    What a model thought goes back to it unaltered: put the output message of the node that asked "
                "into the history as it is."
            )
        if status in (400, 422) and re.search(r"response_format|json_schema", f"{told.message} {told.param}"):
            return f"\n    If it cannot enforce schemas, set schema_mode{whose} to json_object or none."
        return ""

    # --- no answer --------------------------------------------------------------------------------------------
    def of_exception(self, error: BaseException) -> tuple[ProviderError, BaseException | None]:
        """Of what a client raised, and what to name as its cause: an error of the system, made anew, or none."""
        chain = list(_chain(error))
        for each in chain:
            response = getattr(each, "response", None)
            if response is not None and isinstance(getattr(response, "status_code", None), int):
                return self.of_answer(response.status_code, lowered(response.headers), _content(response)), None
        settings = self._settings
        names = {base.__name__ for each in chain for base in type(each).__mro__}
        deepest = chain[-1]
        why = self.clean(str(deepest)) or type(deepest).__name__
        system = next((each for each in chain if isinstance(each, ssl.SSLError | socket.gaierror)), None)
        about: dict[str, Any] = {"resource": settings.resource}
        if "ConnectTimeout" in names:
            return Unreachable(f"{settings.who}: no connection within {settings.connect_s:g} s.", **about), None
        if isinstance(system, ssl.SSLCertVerificationError):
            text = (
                f"{settings.who}: its certificate was refused: {self.clean(str(system))}\n"
                f"    If a company's own authority has signed it, set verify of {settings.resource or 'the resource'} "
                "to the path of its certificates."
            )
            return Unreachable(text, **about), ssl.SSLCertVerificationError(1, self.clean(str(system)))
        if isinstance(system, ssl.SSLError):
            text = f"{settings.who}: TLS failed: {self.clean(str(system))}"
            return Unreachable(text, **about), type(system)(system.errno or 1, self.clean(str(system)))
        if isinstance(system, socket.gaierror):
            text = f"{settings.who}: the host was not found: {why}"
            return Unreachable(text, **about), socket.gaierror(system.errno, str(system.strerror))
        if not names.isdisjoint(("TimeoutException", "APITimeoutError")):
            return self.too_slow(settings.timeout_s, "answer"), None
        if not names.isdisjoint(("LocalProtocolError", "UnsupportedProtocol", "InvalidURL")):
            text = (
                f"{settings.who}: no request could be made: {why}\n    Look at base_url, api_key and headers of "
                f"{settings.resource or 'the resource'}."
            )
            return ProviderError(text, **about), None
        if "DecodingError" in names:
            return self.bad(f"sent what is not compressed as it says: {why}"), None
        if isinstance(error, TypeError | ValueError | RecursionError) and not isinstance(error, OSError):
            return ProviderError(f"{settings.who}: no request could be made: {why}", **about), None
        if isinstance(error, OSError) or not _CLIENTS.isdisjoint(
            str(base.__module__).partition(".")[0] for base in type(error).__mro__
        ):
            text = f"{settings.who}: no connection, or one that was lost: {why}"
            if "ConnectError" in names or isinstance(deepest, ConnectionRefusedError):
                text = (
                    f"{settings.who}: no connection to {self.clean(settings.shown_url)}: {why}\n    Is it up, and is "
                    f"base_url of {settings.resource or 'the resource'} right?"
                )
            return Unreachable(text, **about), None
        return self.bad(f"gave an answer that could not be read: {type(error).__name__}: {why}"), None

    def too_slow(self, limit_s: float, what: str) -> ProviderTimeout:
        """Of a time that is over."""
        settings = self._settings
        setting = "silence_timeout_s" if "stream" in what else "timeout_s"
        mend = f"If it may take longer, set a greater {setting} of {settings.resource or 'the resource'}."
        text = f"{settings.who}: no {what} within {limit_s:g} s.\n    {mend}"
        return ProviderTimeout(text, resource=settings.resource)


def shortened(text: str) -> str:
    """``text`` on one line, no longer than an error should be. What is secret has to be removed before."""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _in_utf8(body: bytes, headers: Mapping[str, str]) -> bytes:
    try:
        return as_utf8(body, charset_of(headers.get("content-type", "")))
    except LookupError:
        return body  # what can be read of an error is shown


def lowered(headers: Any) -> dict[str, str]:
    """Headers by their names in lower case; of several with one name the first."""
    found: dict[str, str] = {}
    for name, value in headers.items():
        found.setdefault(str(name).lower(), str(value))
    return found


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Those that speak of limits, time and the request."""
    return {name: value for name, value in headers.items() if _KEPT.fullmatch(name)}


def _request_id(headers: Mapping[str, str]) -> str | None:
    return next((headers[name] for name in _REQUEST_IDS if headers.get(name)), None)


def _content(response: Any) -> bytes:
    try:
        return bytes(response.content)
    except Exception:  # it was not read, or could not be
        return b""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those that it was made from, outermost first."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        each = todo.pop(0)
        if each is None or id(each) in seen or len(seen) > 30:
            continue
        seen.add(id(each))
        yield each
        todo.append(each.__cause__ or each.__context__)
        if isinstance(each, BaseExceptionGroup):
            todo.extend(each.exceptions)

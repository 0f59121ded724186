"""What a model is as a resource: how it is reached, what bounds it, what it costs. It opens nothing by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hush.core import Limit
from hush.core.extend import Service, limit_of
from hush.providers._model import Usage
from hush.providers._resources._prices import listed_cost, own_cost

if TYPE_CHECKING:
    from hush.providers._clients._settings import ClientSettings

_LEARNS = 1 / 8
_FIRST_ANSWER = 256
_LISTED = {"openai": "openai", "azure": "azure", "anthropic": "anthropic", "gemini": "google"}
_DEFAULT_CONNECTIONS = 256


class Model:
    """A model that may be asked: ``llm:name``, ``embedding:name``, ``rerank:name``.

    Attributes:
        name: Its key in the hub.
        model: What the server calls it.
        limit: What bounds all calls that it serves.
        identity: What decides what it answers.
        settings: What its client is made of.
        given: Its settings as they were checked.
    """

    def __init__(
        self, key: str, given: Any, settings: ClientSettings, client: Callable[[ClientSettings], Service]
    ) -> None:
        self.name = key
        self.model = settings.model
        self.limit: Limit | None = _limit(key, given)
        self.identity = f"{settings.vendor} {settings.shown_url} {settings.deployment or ''} {settings.model}"
        self.settings = settings
        self.given = given
        self._client = client
        self._lock = Lock()
        self._ratio = 1.0  # of the tokens that were sent to those that were counted
        self._answer: float | None = None

    def open(self) -> Service:
        """A client with connections of its own."""
        return self._client(self.settings)

    def cost(self, usage: Usage, model: str) -> float | None:
        """What a request cost, in US dollars; ``None`` if no price is known."""
        if self.given.price is not None:
            return own_cost(self.given.price, usage)
        vendor = _LISTED.get(self.settings.vendor)
        if vendor == "openai" and not self.settings.host.endswith("openai.com"):
            vendor = None  # somebody else who speaks its form
        found = listed_cost(usage, model or self.model, vendor, self.settings.shown_url)
        return (
            found
            if found is not None or model == self.model
            else listed_cost(usage, self.model, vendor, self.settings.shown_url)
        )

    def expected_tokens(self, input_tokens: int, max_tokens: int | None) -> Mapping[str, int]:
        """How many tokens a request is expected to take, of which ``input_tokens`` were counted roughly."""
        sent = max(1, round(input_tokens * self._ratio))
        usual = _FIRST_ANSWER if self._answer is None else round(self._answer)
        return {"input_tokens": sent, "output_tokens": usual if max_tokens is None else max_tokens}

    def learn(self, input_tokens: int, usage: Usage) -> None:
        """What a request took that was counted at ``input_tokens``. From any thread."""
        with self._lock:
            if usage.input_tokens and input_tokens:
                self._ratio += (usage.input_tokens / input_tokens - self._ratio) * _LEARNS
            if usage.output_tokens is not None:
                before = usage.output_tokens if self._answer is None else self._answer
                self._answer = before + (usage.output_tokens - before) * _LEARNS

    def __repr__(self) -> str:
        return f"<{self.name}: {self.model} at {self.settings.host or 'nowhere'}>"


def _limit(key: str, given: Any) -> Limit:
    if given.limits is None:
        return Limit(concurrency="auto", name=key)
    return limit_of(key, given.limits)


def client_settings(key: str, given: Any, vendor: Any, **more: Any) -> ClientSettings:
    """What a client is made of, of settings that have been checked."""
    from hush.providers._clients._settings import ClientSettings

    pool = given.pool
    bound = given.limits.concurrency if given.limits is not None else None
    most = pool.max_connections if pool is not None else None
    if most is None:
        most = bound if isinstance(bound, int) else _DEFAULT_CONNECTIONS
    kept = pool.max_keepalive_connections if pool is not None else None
    found: dict[str, Any] = {
        "vendor": vendor,
        "resource": key,
        "model": given.model or more.get("deployment") or "",
        "api_key": _secret(given.api_key),
        "base_url": given.base_url,
        "headers": {name: value.get_secret_value() for name, value in given.headers.items()},
        "timeout_s": given.timeout_s,
        "connect_s": given.connect_timeout_s,
        "silence_s": given.silence_timeout_s,
        "max_connections": most,
        "max_keepalive": most if kept is None else kept,
        "http2": given.http2,
        "verify": given.ca_bundle or True,
        "proxy": _secret(given.proxy),
        **more,
    }
    if pool is not None and pool.keepalive_expiry is not None:
        found["keepalive_s"] = pool.keepalive_expiry
    return ClientSettings(**{name: value for name, value in found.items() if value is not None})


def _secret(given: Any) -> str | None:
    return None if given is None else str(given.get_secret_value())


def is_local(url: str | None) -> bool:
    """Whether a server is on this machine, where nobody asks for a key."""
    host = (urlsplit(url).hostname or "") if url else ""
    return host in ("localhost", "::1") or host.startswith("127.")

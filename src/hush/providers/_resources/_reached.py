"""What a model is as a resource: how it is reached, what bounds it, what it costs. It opens nothing by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from hush.core import Limit
from hush.core.extend import Service, is_secret_name, limit_of, logger, remember_secrets
from hush.providers._model import Usage
from hush.providers._resources._expected import Expected
from hush.providers._resources._prices import Cost

if TYPE_CHECKING:
    from hush.providers._clients._settings import ClientSettings

log = logger("hush.resources")

_MOST_CONNECTIONS = 1024
_FEWEST_CONNECTIONS = 64
_STREAMS = 100
"""What one connection over HTTP/2 carries at a time, of which there is one; what httpcore2 allows, whatever the server
says."""
_LONG = 16
"""Values of headers that are shorter, such as a version or a tenant's name, may be words that traces are full of."""


class Model:
    """A model that may be asked: ``llm:name``, ``embedding:name``, ``rerank:name``.

    Attributes:
        name: Its key in the hub.
        model: What the server calls it.
        vendor: Whose form of requests it takes: ``"openai"``, ``"azure"``, ``"anthropic"``, ``"gemini"``.
        server: The host and port that are asked.
        limit: What bounds all calls that it serves.
        identity: What decides what it answers.
        settings: What its client is made of.
    """

    def __init__(
        self,
        key: str,
        given: Any,
        settings: ClientSettings,
        client: Callable[[ClientSettings], Any],
        probe: Callable[[ClientSettings], Awaitable[str]] | None = None,
    ) -> None:
        """Of settings that were checked, ``given``, and what makes a client of them.

        Args:
            key: Its key in the hub.
            given: Its settings as they were checked.
            settings: What its client is made of.
            client: Makes a client, which connects to nothing yet. It raises an ``ImportError`` if a package is missing.
            probe: Asks for as little as shows that it can be asked, for ``hub.check()``; it says what it found, or
                raises. Without it nothing is asked.
        """
        self.name = key
        self.model = settings.model
        self.vendor = settings.vendor
        self.server = settings.server
        self.limit: Limit | None = _limit(key, given)
        self.identity = f"{settings.vendor} {settings.shown_url} {settings.deployment or ''} {settings.model}"
        self.settings = settings
        self._cost = Cost(given, settings)
        self._client = client
        self._probe = probe
        self._loading: asyncio.Future[object] | None = None
        self._expected = Expected()

    def open(self) -> Service:
        """A client with connections of its own. Raises ``ImportError`` if a package that it needs is not there."""
        made: Service = self._client(self.settings)
        if slower := self._held_up():
            log.warning("%s: %s", self.name, slower)
        if (loads := self._cost.loads()) is not None:
            # It takes a fifth of a second, and is not waited for: it goes on beside the first request.
            self._loading = asyncio.get_running_loop().run_in_executor(None, loads)
        return made

    async def probe(self) -> str:
        """For ``hub.check()``: what was found. Raises what is wrong."""
        await self._client(self.settings).aclose()
        found = "nothing was asked" if self._probe is None else await self._probe(self.settings)
        slower = self._held_up()
        return f"{found}; {slower}" if slower else found

    def _held_up(self) -> str:
        """What keeps it from being asked as much at a time as its settings say."""
        bound = None if self.limit is None else self.limit.concurrency
        if not (self.settings.http2 and isinstance(bound, int) and bound > _STREAMS):
            return ""
        if not self.settings.url.lower().startswith("https:"):
            return ""  # without TLS it is HTTP/1.1 anyway
        return f"with http2 no more than {_STREAMS} of concurrency {bound} go on at a time: leave http2 off"

    def cost(self, usage: Usage, model: str) -> float | None:
        """What a request cost, in US dollars; ``None`` if no price is known."""
        return self._cost.of(usage, model)

    def expected_tokens(self, input_tokens: int, max_tokens: int | None) -> Mapping[str, int]:
        """How many tokens a request is expected to take, of which ``input_tokens`` were counted roughly."""
        return self._expected.tokens(input_tokens, max_tokens)

    def learn(self, input_tokens: int, usage: Usage) -> None:
        """What a request took that was counted at ``input_tokens``. From any thread."""
        self._expected.learn(input_tokens, usage)

    def __repr__(self) -> str:
        return f"<{self.name}: {self.model} at {self.settings.host or 'nowhere'}>"


def _limit(key: str, given: Any) -> Limit:
    """Of what is not said how many calls may go on at once, that is found out.

    Also beside a rate: what it allows in a minute a server may refuse in one second, or at the same time. Against 10
    calls a second, or 16 at once, ``rpm: 600`` alone is refused 97 of 100 times, and with ``auto`` 1 to 8 times; where
    the rate is right, finding the level costs the time of 3 to 8 calls, once.
    """
    if given.limits is None:
        return Limit(concurrency="auto", name=key)
    limit = limit_of(key, given.limits)
    return limit if limit.concurrency is not None else replace(limit, concurrency="auto")


class Hidden(str):
    """Text that is used and not shown: a client's settings are a dataclass, and ``asdict`` gives copies of it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'**********'"


def hidden(given: Any) -> str | None:
    """The text of a ``SecretStr``."""
    return None if given is None else Hidden(given.get_secret_value())


def client_settings(key: str, given: Any, vendor: Any, base_url: str | None = None) -> ClientSettings:
    """What a client is made of, of settings that have been checked."""
    from dataclasses import fields

    from hush.providers._clients._settings import ClientSettings

    pool = given.pool
    bound = given.limits.concurrency if given.limits is not None else None
    most = pool.max_connections if pool is not None else None
    if most is None:
        most = bound if isinstance(bound, int) else _usual_connections()
    kept = pool.max_keepalive_connections if pool is not None else None
    found: dict[str, Any] = {name: getattr(given, name, None) for name in (one.name for one in fields(ClientSettings))}
    found |= {
        "vendor": vendor,
        "resource": key,
        "model": given.model or getattr(given, "deployment", None),
        "api_key": hidden(given.api_key),
        "base_url": hidden(given.base_url) or base_url,
        "headers": {name: hidden(value) for name, value in given.headers.items()},
        "connect_s": given.connect_timeout_s,
        "silence_s": given.silence_timeout_s,
        "max_connections": most,
        "max_keepalive": most if kept is None else kept,
        "keepalive_s": None if pool is None else pool.keepalive_expiry,
        "proxy": hidden(given.proxy),
    }
    made = ClientSettings(**{name: value for name, value in found.items() if value is not None})
    remember_secrets(_credentials(made))
    return made


def _credentials(settings: ClientSettings) -> Iterator[str]:
    """What logs and traces are to hold nowhere, besides what settings under secret names and of secret shapes are."""
    for name, value in settings.headers.items():
        if is_secret_name(name) or len(value) >= _LONG:
            yield from (value, value.rpartition(" ")[2])
    for address in (settings.url, settings.proxy or ""):
        try:
            password = urlsplit(address).password
        except ValueError:
            continue
        if password:
            yield from (password, unquote(password))


def _usual_connections() -> int:
    """As many as calls may ever go on at once where that is found out, but no more than half of the open files."""
    try:
        import resource
    except ImportError:  # Windows
        return _MOST_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return _MOST_CONNECTIONS
    return max(_FEWEST_CONNECTIONS, min(_MOST_CONNECTIONS, files // 2))

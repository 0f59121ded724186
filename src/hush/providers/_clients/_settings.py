"""What a client is made of: the settings of one resource, checked, in plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

Vendor: TypeAlias = Literal["openai", "azure", "gemini", "anthropic"]
TokenParameter: TypeAlias = Literal["max_tokens", "max_completion_tokens"]
SchemaMode: TypeAlias = Literal["json_schema", "json_object", "none"]

_BASE_URLS: Mapping[str, str] = {
    "openai": "https://api.openai.com/v1",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/openai/",
    "anthropic": "https://api.anthropic.com",
}


_LONG = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """How one model is reached. Its ``repr`` shows no secret.

    Attributes:
        vendor: Whose form of requests is spoken; ``"openai"`` for everybody who speaks OpenAI's.
        resource: The key of the resource, for errors: ``"llm:gpt-4"``.
        model: What is sent as ``model``; with Azure the deployment, unless ``deployment`` is given.
        api_key: ``None`` sends no key.
        base_url: ``None`` is the vendor's own. A user and password in it are sent where there is no key. With Azure
            the endpoint, ``https://<name>.openai.azure.com``, or its ``.../openai/v1``, which wants no
            ``api_version``.
        api_version: Azure's, a date.
        deployment: Azure's name for the deployed model.
        headers: Sent with each request. All their values count as secret.
        timeout_s: The longest time from asking to the whole answer.
        connect_s: The longest time until there is a connection.
        silence_s: The longest pause within a stream that has begun.
        max_connections: How many at once; who wants one more waits, within ``timeout_s``.
        max_keepalive: How many of them stay open while nobody uses them.
        keepalive_s: For how long.
        http2: Whether to speak HTTP/2 where the server does; without the package ``h2`` nothing changes.
        verify: ``True`` for the system's certificates, or the path of a bundle of them, a file or folder. TLS is
            always verified.
        proxy: The URL of a proxy; ``None`` leaves it to the environment (``HTTPS_PROXY``, ...).
        token_parameter: How the bound on the answer is spelt. ``None``: ``max_completion_tokens`` for OpenAI itself
            and Azure, else ``max_tokens``; and the other one from when the server asks for it.
        schema_mode: What the server can enforce. In the last two the schema stands in the messages.
        max_tokens: The bound on answers where the vendor wants one (Anthropic) and the request gives none.
    """

    vendor: Vendor
    model: str
    resource: str = ""
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = field(default=None, repr=False)  # it may hold a password
    organization: str | None = None
    project: str | None = None
    api_version: str | None = None
    deployment: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = 600.0
    connect_s: float = 10.0
    silence_s: float = 120.0
    max_connections: int = 256
    max_keepalive: int = 64
    keepalive_s: float = 15.0
    http2: bool = False
    verify: Literal[True] | str = True
    proxy: str | None = field(default=None, repr=False)
    token_parameter: TokenParameter | None = None
    schema_mode: SchemaMode = "json_schema"
    max_tokens: int = 4096

    @property
    def url(self) -> str:
        """Where requests go."""
        return self.base_url or _BASE_URLS.get(self.vendor, "")

    @property
    def bare_url(self) -> str:
        """``url`` without the user and password: clients log where they send, with all that stands in it."""
        try:
            parts = urlsplit(self.url)
        except ValueError:
            return self.url
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else self.url

    @property
    def authorization(self) -> str | None:
        """The header of that name: of the key, or else of the user and password in ``url``."""
        if self.api_key:
            return f"Bearer {self.api_key}"
        try:
            user, at, _ = urlsplit(self.url).netloc.rpartition("@")
        except ValueError:
            return None
        if not at:
            return None
        from base64 import b64encode

        return f"Basic {b64encode(unquote(user).encode()).decode()}"

    @property
    def host(self) -> str:
        """The host of ``url``, in lower case."""
        try:
            return urlsplit(self.url).hostname or ""
        except ValueError:
            return ""

    @property
    def server(self) -> str | None:
        """The host and port of ``url``, as addresses have them: ``"api.openai.com:443"``, ``"[::1]:8080"``."""
        try:
            parts = urlsplit(self.url)
            port = parts.port or (80 if parts.scheme.lower() == "http" else 443)
        except ValueError:
            return None
        host = parts.hostname
        return None if not host else f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def shown_url(self) -> str:
        """``url`` as errors may show it: without a user, a password and what follows ``?``."""
        try:
            parts = urlsplit(self.url)
            return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
        except ValueError:
            return "a base_url that is none"

    @property
    def secrets(self) -> tuple[str, ...]:
        """All values that no text may show."""
        found = [self.api_key, *self.headers.values()]
        for address in (self.url, self.proxy or ""):
            try:
                parts = urlsplit(address)
                found += [parts.password, unquote(parts.password or "")]
                if len(parts.username or "") >= _LONG:  # a key may stand there; a short one is a word like any
                    found += [parts.username, unquote(parts.username or "")]
            except ValueError:
                continue
            found += [value for _, value in parse_qsl(parts.query)]
        return tuple(value for value in found if value)

    @property
    def who(self) -> str:
        """Who answers, as errors say it: the resource and its host."""
        host = self.host or "nowhere"
        return f"{self.resource} ({host})" if self.resource else host

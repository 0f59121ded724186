"""What the kinds of models have in common: how a client is made, what has to be there, what is missing."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hush.core.extend import LIMIT_SPELLINGS, Fault, ResourceKind
from hush.providers._resources._reached import Model, client_settings

if TYPE_CHECKING:
    from pydantic import BaseModel

    from hush.providers._clients._settings import ClientSettings, Vendor

SPELLINGS = {
    **{f"limits.{short}": long for short, long in LIMIT_SPELLINGS.items()},
    "timeout": "timeout_s",
    "ca_bundle": "verify",
    "price.cached": "cached_input",
    "max_completion_tokens": "max_tokens",
}
AZURE_SPELLINGS = {
    **SPELLINGS,
    "azure_endpoint": "base_url",
    "endpoint": "base_url",
    "azure_deployment": "deployment",
    "deployment_name": "deployment",
}
_DROPPED = {
    **dict.fromkeys(
        ("batch_size", "batch_flush_interval", "batch_poll_interval", "batch_timeout"),
        "Leave it out: batches are maps, and the providers' batch files are not used.",
    ),
    "embed_batch_size": "Leave it out, and give it to the node: EmbeddingNode(batch_size=...).",
    "retry": "Leave it out, and give it to the node: LLMNode(retry=Retry(...)).",
    **dict.fromkeys(
        (
            "project_id", "private_key", "private_key_id", "client_email", "client_id", "location", "auth_uri",
            "token_uri", "auth_provider_x509_cert_url", "client_x509_cert_url", "universe_domain",
        ),
        "Leave it out: Gemini is asked with an API key. Write api_key: ${GEMINI_API_KEY}",
    ),
}  # fmt: skip


def kind_of(
    name: str,
    of: type[Model],
    settings: str,
    vendor: Vendor,
    client: Callable[[ClientSettings], Any],
    probe: Callable[[ClientSettings], Awaitable[str]],
    *,
    variable: str = "",
    base_url: str | None = None,
    needs: tuple[str, ...] = ("model",),
    spellings: Mapping[str, str] = SPELLINGS,
    classes: tuple[str, ...] = (),
) -> ResourceKind:
    """One kind of models.

    Args:
        name: As ``type:`` names it.
        of: What its models are.
        settings: The name of the model of its settings.
        vendor: Whose form is spoken.
        client: Makes a client.
        probe: Asks for as little as possible.
        variable: The variable in which its key usually is; empty if a key need not be given.
        base_url: Where it is asked if the settings do not say it; ``None`` is the vendor's own.
        needs: Which of ``model`` and ``base_url`` must be given.
        spellings: Other names of its settings.
        classes: What ``_class:`` calls it.
    """

    @cache
    def model() -> type[BaseModel]:
        from hush.providers._resources import _models

        return _models.named(settings, needs)

    def make(key: str, given: Any) -> Model:
        return of(key, given, client_settings(key, given, vendor, base_url), client, probe)

    def faults(given: Mapping[str, Any]) -> Iterable[Fault]:
        if given.get("price") is not None and given.get("cost_per_input_token") is not None:
            yield Fault("cost_per_input_token", "says what price says", "Leave one of them out.")
        if vendor == "azure" and given.get("model") is None and given.get("deployment") is None:
            yield Fault("deployment", "is missing", "Write the name under which the model is deployed.")
        if variable and given.get("api_key") is None and not _needs_no_key(given.get("base_url"), given.get("headers")):
            where = given.get("base_url")
            free = "; or api_key: none, if this server wants none" if where is not None and vendor == "openai" else ""
            yield Fault("api_key", "is missing", f"Write api_key: ${{{variable}}}{free}")

    return ResourceKind(name, model, make, spellings, classes, faults, _DROPPED)


def _needs_no_key(url: Any, headers: Any) -> bool:
    """Whether a server may want no key: one that is near, or asked without TLS, or gets its key in a header."""
    if isinstance(headers, Mapping) and any("auth" in name.lower() or "key" in name.lower() for name in headers):
        return True
    reveal = getattr(url, "get_secret_value", None)
    text = reveal() if callable(reveal) else url
    if not isinstance(text, str):
        return False
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        return True  # which is told by itself
    if parts.scheme.lower() != "https" or parts.username or "." not in host:
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host.endswith((".local", ".internal", ".lan", ".localhost"))

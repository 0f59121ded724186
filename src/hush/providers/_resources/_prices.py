"""What a request costs: by the price in the resource's settings, else by the list of the package genai-prices."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hush.providers._model import Usage
from hush.providers._resources._listed import calculator, listed_cost

if TYPE_CHECKING:
    from hush.providers._clients._settings import ClientSettings

_MILLION = 1_000_000
_LISTED = {"openai": "openai", "azure": "azure", "anthropic": "anthropic", "gemini": "google"}
_OWN = {"openai": "openai.com", "azure": "azure.com", "anthropic": "anthropic.com", "gemini": "googleapis.com"}
"""The vendors' own domains: whoever speaks their form elsewhere has prices of his own."""


class Cost:
    """What the requests to one resource cost, in US dollars."""

    def __init__(self, given: Any, settings: ClientSettings) -> None:
        self._price = given.price
        if self._price is None and given.cost_per_input_token is not None:
            from hush.providers._resources._models import Price

            output = given.cost_per_output_token or 0.0
            self._price = Price(input=given.cost_per_input_token * _MILLION, output=output * _MILLION)
        domain = _OWN[settings.vendor]
        own = settings.host == domain or settings.host.endswith(f".{domain}")
        self._vendor = _LISTED[settings.vendor] if own else None
        self._url = settings.shown_url
        self._listed = self._price is None and settings.url.startswith("https://")  # who has prices has certificates
        self._model = settings.model

    def of(self, usage: Usage, model: str) -> float | None:
        """Of one request that ``model`` answered, as the server calls it; ``None`` if no price is known."""
        if usage.input_tokens is None and usage.output_tokens is None:
            return None
        if self._price is not None:
            return _by_price(self._price, usage)
        if not self._listed:
            return None
        for name in dict.fromkeys(filter(None, (model, self._model))):
            found = listed_cost(usage, name, self._vendor, self._url)
            if found is not None:
                return found
        return None

    def loads(self) -> Callable[[], object] | None:
        """What loads the list, if it will be needed and is not loaded; to be called in a thread."""
        return calculator if self._listed and not calculator.cache_info().currsize else None


def _by_price(price: Any, usage: Usage) -> float:
    cached, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    fresh = max(0, (usage.input_tokens or 0) - cached - written)
    read = price.cached_input if price.cached_input is not None else price.input
    write = price.cache_write if price.cache_write is not None else price.input
    total: float = fresh * price.input + cached * read + written * write + (usage.output_tokens or 0) * price.output
    return total / _MILLION

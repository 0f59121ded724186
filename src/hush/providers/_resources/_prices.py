"""What a request costs: by the price in the resource's settings, else by the list of the package genai-prices."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

from hush.providers._model import Usage

log = logging.getLogger("hush.prices")
_MILLION = 1_000_000


def own_cost(price: Any, usage: Usage) -> float | None:
    """In US dollars, by a ``Price``; ``None`` where the server did not say what it took."""
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    cached, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    fresh = max(0, (usage.input_tokens or 0) - cached - written)
    rest = price.cached_input if price.cached_input is not None else price.input
    write = price.cache_write if price.cache_write is not None else price.input
    total: float = fresh * price.input + cached * rest + written * write + (usage.output_tokens or 0) * price.output
    return total / _MILLION


def listed_cost(usage: Usage, model: str, vendor: str | None, url: str | None) -> float | None:
    """In US dollars, by list; ``None`` where no price is known of that model of that vendor, or at that address."""
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    calc = _calculator()
    if calc is None:
        return None
    calculate, counted = calc
    try:
        found = calculate(
            counted(
                input_tokens=usage.input_tokens or 0,
                output_tokens=usage.output_tokens or 0,
                cache_read_tokens=usage.cached_tokens or None,
                cache_write_tokens=usage.cache_write_tokens or None,
            ),
            model_ref=model,
            provider_id=vendor,
            provider_api_url=None if vendor else url,
        )
    except (LookupError, ValueError):
        return None
    return float(found.total_price)


@lru_cache(maxsize=1)
def _calculator() -> tuple[Any, Any] | None:
    try:
        from genai_prices import Usage as Counted
        from genai_prices import calc_price
    except ImportError:
        log.info("costs are not known: the package genai-prices is not there (pip install 'hushflow[llm]')")
        return None
    return calc_price, Counted

"""Costs by the list of the package genai-prices, which is asked for rates and not for each cost.

One cost takes it 0.1 to 0.5 ms, as long as a call over HTTP takes the processor. Rates are worked out from a few costs
and hold for a minute; above the number of tokens at which another tier of prices begins it is asked each time.
"""

from __future__ import annotations

from functools import lru_cache
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from hush.core.extend import logger
from hush.providers._model import Usage

if TYPE_CHECKING:
    from decimal import Decimal

log = logger("hush.prices")
_PROBE = 100  # tokens: fewer than any tier of prices begins at
_HOLDS_S = 60  # some prices hold by the hour of the day only


class Rates(NamedTuple):
    """What a request and a token cost at a model, in US dollars; it holds below ``until`` tokens of input."""

    request: Decimal
    fresh: Decimal
    cached: Decimal
    written: Decimal
    output: Decimal
    until: float


def listed_cost(usage: Usage, model: str, vendor: str | None, url: str | None) -> float | None:
    """In US dollars, by list; ``None`` where no price is known of that model of that vendor, or at that address."""
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    rates = _rates(model, vendor, url, int(time() / _HOLDS_S))
    if rates is None:
        return None
    given, cached, written = usage.input_tokens or 0, usage.cached_tokens or 0, usage.cache_write_tokens or 0
    fresh = given - cached - written
    if given >= rates.until or fresh < 0:
        found = _listed(model, vendor, url, given, usage.output_tokens or 0, cached, written)
        return None if found is None else float(found.total_price)
    return float(
        rates.request
        + fresh * rates.fresh
        + cached * rates.cached
        + written * rates.written
        + (usage.output_tokens or 0) * rates.output
    )


@lru_cache(maxsize=256)
def _rates(model: str, vendor: str | None, url: str | None, when: int) -> Rates | None:
    """The rates, found by asking for the costs of some requests: each time that takes as long as a call over HTTP.

    ``when`` makes them be found anew.
    """
    none = _listed(model, vendor, url, 0, 0, 0, 0)
    if none is None:
        return None
    counts = ((_PROBE, 0, 0, 0), (_PROBE, 0, _PROBE, 0), (_PROBE, 0, 0, _PROBE), (0, _PROBE, 0, 0))
    found: list[Decimal] = []
    for each in counts:
        one = _listed(model, vendor, url, *each)
        if one is None:
            return None
        found.append((one.total_price - none.total_price) / _PROBE)
    fresh, cached, written, output = found
    tiers = [tier.start for price in vars(none.model_price).values() for tier in getattr(price, "tiers", ())]
    return Rates(none.total_price, fresh, cached, written, output, min(tiers, default=float("inf")))


def _listed(
    model: str, vendor: str | None, url: str | None, given: int, answered: int, cached: int, written: int
) -> Any:
    """What the package says that so many tokens cost; ``None`` where it knows no price."""
    calc = calculator()
    if calc is None:
        return None
    calculate, counted = calc
    try:
        return calculate(
            counted(
                input_tokens=given,
                output_tokens=answered,
                cache_read_tokens=cached or None,
                cache_write_tokens=written or None,
            ),
            model_ref=model,
            provider_id=vendor,
            provider_api_url=None if vendor else url,
        )
    except (LookupError, ValueError):
        return None


@lru_cache(maxsize=1)
def calculator() -> tuple[Any, Any] | None:
    try:
        from genai_prices import Usage as Counted
        from genai_prices import calc_price
    except ImportError:
        log.info("costs are not known: the package genai-prices is not there (pip install 'hushflow[llm]')")
        return None
    return calc_price, Counted

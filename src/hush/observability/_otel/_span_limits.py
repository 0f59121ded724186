"""``SpanLimits``: how much of a span is sent, where OpenTelemetry's variables set a bound; without them there is none.

The defaults that they have there are for what code puts on spans, and hold for that here too (``_annotations``).
Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#span-limits.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from logging import WARNING
from typing import Any, NamedTuple, TypeVar

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Event
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import Link

from hush.observability._otel._sending import say_once

T = TypeVar("T")


class SpanLimits(NamedTuple):
    """How many of each there may be, and of how many characters a text; ``None`` for any number."""

    text: int | None = None
    attributes: int | None = None
    events: int | None = None
    links: int | None = None
    of_event: int | None = None
    of_link: int | None = None

    def on_span(self, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        """The attributes of a span: the first ones, since those of the code in a node come last."""
        return self._bounded(attributes, self.attributes)

    def events_of(self, events: Sequence[Event]) -> Sequence[Event]:
        """The last events: why it failed is among them."""
        if self.text is not None or self.of_event is not None:
            events = [Event(e.name, self._bounded(e.attributes or {}, self.of_event), e.timestamp) for e in events]
        return _last(events, self.events)

    def links_of(self, links: Sequence[Link]) -> Sequence[Link]:
        """The first links: a run's own is one of them."""
        if self.text is not None or self.of_link is not None:
            links = [Link(one.context, self._bounded(one.attributes or {}, self.of_link)) for one in links]
        if self.links is None or len(links) <= self.links:
            return links
        found = BoundedList.from_seq(self.links, links[: self.links])
        found.dropped = len(links) - self.links
        return found

    def _bounded(self, attributes: Mapping[str, Any], most: int | None) -> Mapping[str, Any]:
        if (most is None or len(attributes) <= most) and self.text is None:
            return attributes
        first = list(attributes.items())[:most]
        found = BoundedAttributes(None, dict(first), immutable=False, max_value_len=self.text)
        found.dropped = len(attributes) - len(first)
        return found


def span_limits() -> SpanLimits | None:
    """Those that the variables set, if any does. One that is no number is said once, and is not heeded."""
    found = SpanLimits(
        text=_number("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
        attributes=_number("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"),
        events=_number("OTEL_SPAN_EVENT_COUNT_LIMIT"),
        links=_number("OTEL_SPAN_LINK_COUNT_LIMIT"),
        of_event=_number("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"),
        of_link=_number("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"),
    )
    return None if found == SpanLimits() else found


def _number(*names: str) -> int | None:
    for name in names:
        given = os.environ.get(name, "").strip()
        if given.isdecimal():
            return int(given)
        if given and given.lower() != "none":  # which the SDK takes for no limit
            say_once(WARNING, f"{name} is no whole number, and is not heeded")
    return None


def _last(given: Sequence[T], most: int | None) -> Sequence[T]:
    if most is None or len(given) <= most:
        return given
    return BoundedList.from_seq(most, given)

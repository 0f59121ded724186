"""``Annotations``: what code in a node has put on the node's own span; ``Annotating`` keeps it until that has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import time_ns
from typing import Any

from hush.observability._bounds import Bounds
from hush.observability._failure import described, failure_of
from hush.observability._preview import clean, exact, preview
from hush.observability._span import Annotations, Failure, Happened

_NAME = 1_000
"""Characters of a name."""
_TEXT = 4_000
_MOST = 128
"""Attributes of one span, events, and links, as in OpenTelemetry's own limits."""
_MOST_SPANS = 40_000
"""Spans under way that have such: what has been left behind by calls may go on with those that have ended."""


class _Open:
    """What has been put on one span so far."""

    __slots__ = ("attributes", "dropped", "events", "links", "name", "status")

    def __init__(self) -> None:
        self.attributes: dict[str, Any] = {}
        self.events: list[Happened] = []
        self.links: list[tuple[Any, Mapping[str, Any]]] = []
        self.name: str | None = None
        self.status: tuple[str, str | None] | None = None
        self.dropped = 0


class Annotating:
    """What is put on the spans of one run, by the numbers of their nodes' starts: plain, bounded, without secrets.

    It is called in whatever thread the node is in, and raises nothing.

    Args:
        bounds: How much of a value is kept; ``None`` if nothing is.
        open_: Where it is kept.
        complain: Told of what is lost.
    """

    __slots__ = ("_complain", "bounds", "open")

    def __init__(
        self,
        bounds: Bounds | None,
        open_: dict[int, Any] | None = None,
        complain: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.bounds = bounds
        self.open: dict[int, Any] = {} if open_ is None else open_
        self._complain = complain

    def attribute(self, number: int, name: Any, value: Any) -> None:
        """One more, or another value of one that is there."""
        one = self._of(number)
        if one is None:
            return
        for key, kept in self._plain({_text(name, _NAME): value}).items():
            if key in one.attributes or len(one.attributes) < _MOST:
                one.attributes[key] = kept
            else:
                one.dropped += 1

    def event(self, number: int, name: Any, attributes: Mapping[str, Any] | None, at_ns: int | None) -> None:
        """Something has happened, now or ``at_ns`` since the epoch."""
        self._happened(number, Happened(_text(name, _NAME), _instant(at_ns), self._plain(attributes)))

    def raised(
        self, number: int, error: BaseException, attributes: Mapping[str, Any] | None, at_ns: int | None
    ) -> None:
        """An exception that the code has met, and the node need not fail with."""
        try:
            failure = failure_of(error)
        except Exception as exc:  # no memory, or no stack, is left
            self._complain(f"an exception could not be put on a span: {described(exc)}")
            failure = Failure("lost", "what was raised could not be kept")
        self._happened(number, Happened("exception", _instant(at_ns), self._plain(attributes), failure))

    def link(self, number: int, to: Any, attributes: Mapping[str, Any] | None) -> None:
        """It has to do with another span."""
        one = self._of(number)
        if one is None:
            return
        if len(one.links) < _MOST:
            one.links.append((to, self._plain(attributes)))
        else:
            one.dropped += 1

    def rename(self, number: int, name: Any) -> None:
        """It is to be called so."""
        one = self._of(number)
        if one is not None:
            one.name = _text(name, _NAME)

    def judge(self, number: int, code: str, description: Any) -> None:
        """How it went, by whoever knows: ``"OK"`` is final, and ``"UNSET"`` says nothing, as in the SDK."""
        one = self._of(number)
        if one is not None and code != "UNSET" and (one.status is None or one.status[0] != "OK"):
            one.status = code, _text(description, _TEXT) if code == "ERROR" and description is not None else None

    def _happened(self, number: int, what: Happened) -> None:
        one = self._of(number)
        if one is None:
            return
        if len(one.events) < _MOST:
            one.events.append(what)
        else:
            one.dropped += 1

    def _of(self, number: int) -> _Open | None:
        if self.bounds is None:
            return None
        one: _Open | None = self.open.get(number)
        if one is not None:
            return one
        if len(self.open) >= _MOST_SPANS:
            self._complain("what code puts on its nodes' spans is dropped: too many that are under way have such")
            return None
        made: _Open = self.open.setdefault(number, _Open())  # another thread of the node may have been first
        return made

    def _plain(self, attributes: Mapping[str, Any] | None) -> dict[str, Any]:
        if not attributes or self.bounds is None:
            return {}
        return preview(attributes, self.bounds._replace(items=max(_MOST, self.bounds.items)))


def taken(open_: dict[int, Any], number: int) -> Annotations | None:
    """What was put on the span with this number, which has ended; it is kept no longer."""
    one: _Open | None = open_.pop(number, None)
    if one is None:
        return None
    return Annotations(one.attributes, tuple(one.events), tuple(one.links), one.name, one.status, one.dropped)


def _text(given: Any, longest: int) -> str:
    return clean(exact(given) if isinstance(given, str) else f"<{type(given).__name__}>", longest)


def _instant(at_ns: Any) -> int:
    return at_ns if type(at_ns) is int and 0 <= at_ns < 2**63 else time_ns()

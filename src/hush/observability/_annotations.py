"""``Annotations``: what code in a node has put on the node's own span; ``Annotating`` keeps it until that has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sized
from time import time_ns
from typing import Any

from hush.core.extend import without_named_secrets, without_secrets
from hush.observability._bounds import Bounds
from hush.observability._failure import described, failure_of
from hush.observability._kinds import issubclass_of
from hush.observability._look import named
from hush.observability._preview import clean, exact, preview, without_named
from hush.observability._span import Annotations, Happened

_NAME = 1_000
"""Characters of a name."""
_TEXT = 4_000
_MOST = 128
"""Attributes of one span, events, and links, as in OpenTelemetry's own limits."""
_JSON = ("{", "[")
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

    def has_room(self, among: Sized) -> bool:
        """Whether there is room for one more of a kind; else it is counted."""
        if len(among) < _MOST:
            return True
        self.dropped += 1
        return False


class Annotating:
    """What is put on the spans of one run, by the numbers of their nodes' starts: plain, bounded, without secrets.

    It is called in whatever thread the node is in; ``put`` raises nothing.

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

    def put(self, what: Callable[..., object], number: int, *given: Any) -> None:
        """Do ``what`` with whatever code has given; it goes on, whatever that raises when it is looked at."""
        try:
            what(self, number, *given)
        except Exception as exc:  # a mapping, or a text, of somebody's own; or no memory, or no stack, is left
            self._complain(f"what code has put on a span could not be kept: {described(exc)}")

    def attributes(self, number: int, given: Any) -> None:
        """Several."""
        if issubclass_of(type(given), dict):
            pairs: Iterable[tuple[Any, Any]] = dict.items(given)
        else:
            pairs = given.items() if isinstance(given, Mapping) else ()
        for name, value in pairs:
            self.attribute(number, name, value)

    def attribute(self, number: int, name: Any, value: Any) -> None:
        """One more, or another value of one that is there."""
        one, name = self._of(number), _text(name, _NAME)
        if one is not None and (name in one.attributes or one.has_room(one.attributes)):
            one.attributes.update(self._plain({name: value}))

    def event(self, number: int, name: Any, attributes: Any, at_ns: Any) -> None:
        """Something has happened, now or ``at_ns`` since the epoch."""
        one = self._of(number)
        if one is not None and one.has_room(one.events):
            one.events.append(Happened(_text(name, _NAME), _instant(at_ns), self._plain(attributes)))

    def raised(self, number: int, error: Any, attributes: Any, at_ns: Any) -> None:
        """An exception that the code has met, and the node need not fail with."""
        one = self._of(number)
        if one is not None and one.has_room(one.events):
            at_ns = _instant(at_ns)
            one.events.append(Happened("exception", at_ns, self._plain(attributes), failure_of(error)))

    def link(self, number: int, to: Any, attributes: Any) -> None:
        """It has to do with another span."""
        one = self._of(number)
        if one is not None and one.has_room(one.links):
            one.links.append((to, self._plain(attributes)))

    def rename(self, number: int, name: Any) -> None:
        """It is to be called so."""
        one = self._of(number)
        if one is not None:
            one.name = _text(name, _NAME)

    def judge(self, number: int, code: str, description: Any) -> None:
        """How it went, by whoever knows: ``"OK"`` is final, and ``"UNSET"`` says nothing, as in the SDK."""
        one = self._of(number)
        if one is not None and code != "UNSET" and (one.status is None or one.status[0] != "OK"):
            why = code == "ERROR" and description is not None  # which is what an exception says, more often than not
            one.status = code, _text(description, _TEXT, without_named_secrets) if why else None

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

    def _plain(self, attributes: Any) -> dict[str, Any]:
        if attributes is None or self.bounds is None:
            return {}
        bounds = self.bounds._replace(items=max(_MOST, self.bounds.items))
        found = preview(attributes, bounds)
        for name, value in found.items():
            if type(value) is str and value.startswith(_JSON):  # attributes have no other way to hold what is nested
                found[name] = without_named(value, bounds)
        return found


def taken(open_: dict[int, Any], number: int) -> Annotations | None:
    """What was put on the span with this number, which has ended; it is kept no longer."""
    one: _Open | None = open_.pop(number, None)
    if one is None:
        return None
    # A copy: a thread that the node has left behind may be about to put one more there.
    return Annotations(dict(one.attributes), tuple(one.events), tuple(one.links), one.name, one.status, one.dropped)


def _text(given: Any, longest: int, hide: Callable[[str], str] = without_secrets) -> str:
    kind = type(given)  # by the class alone, as in previews: what an object says of itself is somebody's code
    return clean(exact(given) if issubclass_of(kind, str) else f"<{named(kind)}>", longest, hide)


def _instant(at_ns: Any) -> int:
    return at_ns if type(at_ns) is int and 0 <= at_ns < 2**63 else time_ns()

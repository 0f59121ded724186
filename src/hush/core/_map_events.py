"""The events of maps, their items and loops' rounds; ``hush.core.events`` has the others, and what all begin with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class MapStarted(NamedTuple):
    """A map began to pull its items. ``total`` is their number where it is known.

    Of a source that is no list, tuple or range and has a length, it is what ``len()`` says when the map begins, and may
    prove wrong: what it goes through is what ``done`` counts.
    """

    run: str
    path: str
    item: int | None
    at_ns: int
    total: int | None = None
    outer: tuple[int, ...] = ()


class MapFinished(NamedTuple):
    """A map ended, well or not: ``done`` items ended, ``failed`` of them badly. Each of them has been told of.

    ``total`` is as of ``MapStarted``; ``rate_per_s`` is ``done`` over the seconds since then, 0 if none passed.
    """

    run: str
    path: str
    item: int | None
    at_ns: int
    done: int = 0
    failed: int = 0
    outer: tuple[int, ...] = ()
    total: int | None = None
    rate_per_s: float = 0.0


class MapProgressed(NamedTuple):
    """How far a map is: ``done`` items have ended, ``failed`` of them badly, of ``total`` where that is known.

    It comes right after the end of an item, if the map's last one, or its beginning, is 0.1 s ago: at most ten times
    a second, never for a map that ends sooner, and not while no item ends. So the last items before a pause may not be
    counted yet: whoever shows numbers meanwhile counts ``ItemFinished`` and ``ItemFailed``. Where items are told in
    sums (``ItemsRan``) it comes with these, no later than 0.1 s after the first item that it counts. Seconds are those
    of the loop's clock, in a test those of virtual time.

    ``rate_per_s`` is the number of items that end in a second, as the mean since the map began in which an instant
    that is ``age`` seconds ago has the weight ``exp(-age / 3)``; between two events items are taken to end evenly.
    """

    run: str
    path: str
    item: int | None
    at_ns: int
    done: int
    failed: int
    total: int | None
    rate_per_s: float
    outer: tuple[int, ...] = ()


class RoundFinished(NamedTuple):
    """A round of a loop ended well. ``path`` is the loop's, ``round`` counts from 0."""

    run: str
    path: str
    item: int | None
    at_ns: int
    round: int
    outer: tuple[int, ...] = ()


class ItemFinished(NamedTuple):
    """An item of a map ended well. ``path`` is the map's, ``item`` the index.

    ``key`` is what the map's ``key=`` calls it. ``outputs`` is ``None`` but in ``engine.stream(..., items=...)``.
    ``took_ns`` is told of an item that ran in a worker process, of whose nodes nothing is told, and ``ended_ns``, when
    it ended there, by the clock of ``at_ns``. Such items are told of several at a time, so ``at_ns`` is later. Of one
    process no two overlap. Both are told where some tracer asks for calls (``protocols.CallTracer``).
    """

    run: str
    path: str
    item: int | None
    at_ns: int
    outer: tuple[int, ...] = ()
    key: str | None = None
    outputs: Mapping[str, Any] | None = None
    took_ns: int | None = None
    ended_ns: int | None = None


class ItemsRan(NamedTuple):
    """Items of a map ended well, ``items`` of them, since this was last told; ``path`` and ``item`` are the map's.

    Only tracers that ask for it get it (``protocols.SamplingTracer``), in place of ``NodeRan`` and ``ItemFinished``,
    for items in which one ``node`` was called on the loop, with nothing in between, that they do not want one by one.
    ``calls`` of it ended meanwhile; all together these took ``took_ns``, the slowest one ``slowest_ns``. It is told
    0.1 s after the first of these items ended, or when the map ends.
    """

    run: str
    path: str
    item: int | None
    at_ns: int
    node: str
    items: int
    calls: int
    took_ns: int
    slowest_ns: int
    outer: tuple[int, ...] = ()


class ItemFailed(NamedTuple):
    """An item of a map failed. ``error`` is what stands at its place in the map's ``error`` column.

    ``took_ns`` and ``ended_ns`` as of ``ItemFinished``. One with which its process died, or was killed since it was
    late, ended when that was noticed; one that could not be sent there took 0.

    If ``corrects`` is true the item has been told of before, as one that ended well, by itself or in a sum: it lacks a
    key of which nobody knew, and which showed up in a later item. So as many items have ended as before, and one more
    of them badly. That is told when all have ended; it has no ``took_ns``. All other items are told of once.
    """

    run: str
    path: str
    item: int | None
    at_ns: int
    error: Any = None
    outer: tuple[int, ...] = ()
    key: str | None = None
    took_ns: int | None = None
    ended_ns: int | None = None
    corrects: bool = False

"""Simulated servers with a limit of their own, and a client whose calls an admission controller lets through.

Everything runs in virtual time, as one queue of events, and depends on nothing but its seed. A minute of 100 calls a
second takes about a tenth of a second.

A server is asked at the instant a call reaches it and says when it will be answered, and how. ``FINE`` and ``REFUSED``
are the two answers; a server that queues gives the first, late.

What ``Adaptive`` reaches against them, with latencies of 5, 50 and 500 ms ± 20 %, refusals in 5 ms, and several seeds:

- 100/s for a minute: 97 % used of a sliding window, 99.7–100 % of a bucket of 10; 0.18–0.50 % refused. 16 slots:
  99–100 % used; 0.01, 0.06 and 0.59 % refused.
- 100/s → 30/s → 100/s: 92–104 % ten seconds after each change; 0.45–0.91 % refused. Slots 20 → 6 → 20 too, but at 500
  ms (12 calls a second) 67–100 % after the drop and 0.95–1.05 % refused.
- 5 s of refusals: 6–10 calls (30 at 3,200/s); 90 % again within 3.3–4.8 s, and 1.5–10 s if the run began with them.
- Each refusal with a pause of 1 or 2 s: 90 % of a rate that has come back within 9.5 s (30/s → 100/s and 10/s → 50/s,
  after no more than 40 s), but for 1 of 1,080 runs: 11.8 s (10/s → 50/s, pauses of 2 s). What that costs is a pause
  each 8 s: with pauses of 1 s, 78–85 % of a rate that stays are used from 10 to 60 s. After a minute the ceiling is
  looked for more and more rarely, and a higher one found that much later: 89–93 % (a bucket at 500 ms: 82–86 %).

A share that is refused at any rate, where the server bears all calls, against ``Fixed`` at the number of clients, in
the middle and at worst of ten seeds, for 300 calls of each client (5 or 50, of 50 ms or 2 s):

- 14 and 30 % at random: 1.03–1.2 times as long; at worst 5.3 times without pauses, and 3.2 times with them.
- 5 %: 1.04–1.6 times; at worst 7.5 times without pauses, since it took long to be found, and 4.5 times with them.
- 1 %: 1.06–1.8 times; at worst 4.9 times.

It takes some tens of calls at a low rate to find out: for 60 calls of each client it is 1.03–3 times without pauses
in the middle. On top of a capacity of 30/s, 66–100 % of it are used with 5 %, and 92–100 % with 14 %; 4–17 % of the
calls are refused besides the share. With pauses of 1 s it is 2–82 %: there each refusal of the share costs one.

Of rates of a few calls a second there is little to learn from. In the first minute, with answers in 50 ms and without
pauses, with pauses of 1 s, and of 5 s: of a window of 2/s 86, 82 and 50 % are used, and 10–11 % of the calls refused;
of 10/s 94, 84 and 70 %, and 1–2 %. What a bucket of 2/s had saved up comes on top: 104–107 %, and 6–12 %. Of 1/s it is
27–82 % and 22–45 %; in ten minutes a bucket of 1/s without pauses, or with those of 5 s, is taken for chance in
some runs: a quarter to a third of the calls is refused.
"""

from __future__ import annotations

import heapq
import math
import random
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

FINE = True
REFUSED = False


class Controller(Protocol):
    """What lets calls through: the interface of ``hush.core._admission._adaptive.Adaptive``."""

    def admit_at_s(self, now_s: float, in_flight: int) -> float: ...
    def started(self, now_s: float) -> object: ...
    def ended(self, token: object, now_s: float, *, overloaded: bool, retry_after_s: float | None) -> None: ...


class Server(Protocol):
    def arrive(self, now_s: float, chance: random.Random) -> tuple[float, bool]:
        """A call comes in: when it is answered, and whether it is served."""


@dataclass
class Latency:
    """How long an answer takes: the mean, spread evenly by ± ``jitter``, or as an exponential if ``jitter`` is 1."""

    mean_s: float
    jitter: float = 0.2
    refusal_s: float = 0.005

    def served(self, chance: random.Random) -> float:
        if self.jitter >= 1:
            return self.mean_s * chance.expovariate(1)
        return self.mean_s * (1 + self.jitter * chance.uniform(-1, 1))

    def refused(self, chance: random.Random) -> float:
        return self.refusal_s * chance.uniform(0.8, 1.2)


Capacity = Callable[[float], float]


def steady(value: float) -> Capacity:
    """The same capacity for ever."""
    return lambda _now_s: value


def steps(*parts: tuple[float, float]) -> Capacity:
    """A capacity that changes: ``(until_s, value)``; the last value stays."""

    def capacity(now_s: float) -> float:
        return next((value for until_s, value in parts if now_s < until_s), parts[-1][1])

    return capacity


@dataclass
class SlidingWindow:
    """Serves at most ``capacity`` calls in any ``window_s``, and refuses the others at once."""

    capacity: Capacity
    latency: Latency
    window_s: float = 1.0
    _taken: deque[float] = field(default_factory=deque)

    def arrive(self, now_s: float, chance: random.Random) -> tuple[float, bool]:
        while self._taken and self._taken[0] <= now_s - self.window_s:
            self._taken.popleft()
        if len(self._taken) >= self.capacity(now_s) * self.window_s:
            return now_s + self.latency.refused(chance), REFUSED
        self._taken.append(now_s)
        return now_s + self.latency.served(chance), FINE


@dataclass
class TokenBucket:
    """Serves ``capacity`` calls a second, ``burst`` of them at once after a pause, and refuses the others at once."""

    capacity: Capacity
    latency: Latency
    burst: float = 10.0
    _tokens: float = math.inf
    _at_s: float = 0.0

    def arrive(self, now_s: float, chance: random.Random) -> tuple[float, bool]:
        self._tokens = min(self.burst, self._tokens + (now_s - self._at_s) * self.capacity(now_s))
        self._at_s = now_s
        if self._tokens < 1:
            return now_s + self.latency.refused(chance), REFUSED
        self._tokens -= 1
        return now_s + self.latency.served(chance), FINE


@dataclass
class Slots:
    """Serves ``capacity`` calls at a time; refuses the others at once, or (``queue=True``) lets them wait in line."""

    capacity: Capacity
    latency: Latency
    queue: bool = False
    held_s: float = 0.0  # a slot is free again only so long after its answer
    _busy: list[float] = field(default_factory=list)

    def arrive(self, now_s: float, chance: random.Random) -> tuple[float, bool]:
        slots = max(1, int(self.capacity(now_s)))
        while self._busy and self._busy[0] <= now_s:
            heapq.heappop(self._busy)
        begin_s = now_s
        if len(self._busy) >= slots:
            if not self.queue:
                return now_s + self.latency.refused(chance), REFUSED
            begin_s = heapq.heappop(self._busy)  # in line, where the first slot gets free
        end_s = begin_s + self.latency.served(chance)
        heapq.heappush(self._busy, end_s + self.held_s)
        return end_s, FINE


@dataclass
class Outage:
    """Another server, which refuses every call from ``from_s`` to ``until_s``."""

    server: Server
    from_s: float
    until_s: float
    refusal_s: float = 0.005

    def arrive(self, now_s: float, chance: random.Random) -> tuple[float, bool]:
        if self.from_s <= now_s < self.until_s:
            return now_s + self.refusal_s * chance.uniform(0.8, 1.2), REFUSED
        return self.server.arrive(now_s, chance)


@dataclass
class Blips:
    """Another server, which also refuses the calls with these numbers, for no reason."""

    server: Server
    numbers: frozenset[int]
    _count: int = 0

    def arrive(self, now_s: float, chance: random.Random) -> tuple[float, bool]:
        self._count += 1
        if self._count in self.numbers:
            return now_s + 0.005, REFUSED
        return self.server.arrive(now_s, chance)


@dataclass
class Unreliable:
    """Another server, which also refuses each call with a probability of ``share``, however few there are.

    With ``every`` it is each call of that number instead.
    """

    server: Server
    share: float = 0.0
    every: int | None = None
    refusal_s: float = 0.005
    _count: int = 0

    def arrive(self, now_s: float, chance: random.Random) -> tuple[float, bool]:
        self._count += 1
        if self._count % self.every == 0 if self.every else chance.random() < self.share:
            return now_s + self.refusal_s * chance.uniform(0.8, 1.2), REFUSED
        return self.server.arrive(now_s, chance)


@dataclass
class Fixed:
    """A controller that allows so many calls at a time, whatever becomes of them."""

    most: int

    def admit_at_s(self, now_s: float, in_flight: int) -> float:
        return now_s if in_flight < self.most else math.inf

    def started(self, now_s: float) -> object:
        return None

    def ended(self, token: object, now_s: float, *, overloaded: bool, retry_after_s: float | None) -> None:
        pass


def reached_in_s(let_in_s: list[float], per_s: float, from_s: float) -> float:
    """How long after ``from_s`` 90 % of ``per_s`` were let in within a second that began after it; ``inf`` for never.

    ``let_in_s`` is when calls started, or came, that were served; in order.
    """
    need = math.ceil(0.9 * per_s)
    after_s = let_in_s[bisect_left(let_in_s, from_s) :]
    return next(
        (last - from_s for first, last in zip(after_s, after_s[need - 1 :], strict=False) if last - first < 1), math.inf
    )


@dataclass
class Drive:
    """What came of it: when calls were served (their ends, and their starts) and refused (their starts)."""

    served_s: list[float]
    let_in_s: list[float]
    refused_s: list[float]
    started_s: list[float]
    in_flight_most: int
    end_s: float
    levels: list[tuple[float, float]]

    @property
    def refused_share(self) -> float:
        return len(self.refused_s) / max(1, len(self.started_s))

    def served_per_s(self, from_s: float, until_s: float) -> float:
        """Calls that were served in the interval, by their ends, a second."""
        return sum(from_s <= at_s < until_s for at_s in self.served_s) / (until_s - from_s)


def drive(
    controller: Controller,
    server: Server,
    *,
    seconds: float,
    seed: int = 0,
    work: int | None = None,
    demand_per_s: float | None = None,
    clients: int | None = None,
    retry_after_s: float | None = None,
    look: Callable[[float], float] | None = None,
) -> Drive:
    """Make calls as the controller lets them through, until ``seconds`` are over or ``work`` calls were served.

    A refused call is made again at the next chance. As much is to do as there is room for, or ``demand_per_s`` calls
    come up a second, or ``clients`` of them at a time. With ``retry_after_s`` each refusal asks for that pause, and
    the whole limit keeps it, which is the caller's part.
    """
    chance = random.Random(seed)
    order = count()
    events: list[tuple[float, int, object, bool]] = []
    result = Drive([], [], [], [], 0, 0.0, [])
    now_s, in_flight, closed_until_s, wakes_at_s, done, came = 0.0, 0, 0.0, math.inf, 0, 0
    look_at_s = 0.0
    while now_s <= seconds:
        if look is not None and now_s >= look_at_s:
            result.levels.append((now_s, look(now_s)))
            look_at_s = now_s + 0.25
        while True:  # start what may start
            if (work is not None and done + in_flight >= work) or (clients is not None and in_flight >= clients):
                wakes_at_s = math.inf
                break
            if demand_per_s is not None and done + in_flight >= int(now_s * demand_per_s):
                came = done + in_flight + 1
                wakes_at_s = came / demand_per_s + 1e-9
                break
            wakes_at_s = max(controller.admit_at_s(now_s, in_flight), closed_until_s)
            if wakes_at_s > now_s:
                break
            token = controller.started(now_s)
            in_flight += 1
            result.started_s.append(now_s)
            at_s, fine = server.arrive(now_s, chance)
            (result.let_in_s if fine else result.refused_s).append(now_s)
            heapq.heappush(events, (at_s, next(order), token, fine))
        result.in_flight_most = max(result.in_flight_most, in_flight)
        ends_at_s = events[0][0] if events else math.inf
        if wakes_at_s == ends_at_s == math.inf:
            assert done >= (math.inf if work is None else work), f"nothing will ever happen again at {now_s} s"
            break
        if wakes_at_s < ends_at_s:
            now_s = wakes_at_s
            continue
        now_s, _, token, fine = heapq.heappop(events)
        in_flight -= 1
        if fine:
            done += 1
            result.served_s.append(now_s)
        elif retry_after_s is not None:
            closed_until_s = max(closed_until_s, now_s + retry_after_s)
        controller.ended(token, now_s, overloaded=not fine, retry_after_s=None if fine else retry_after_s)
    result.end_s = now_s
    return result

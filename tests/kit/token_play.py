"""Calls of mixed sizes under a limit of tokens a minute, and a server that counts them: admission alone, no loop.

Ten minutes of 100,000 tokens take about a tenth of a second. The server counts what a call takes, its answer too, from
when it comes, refuses it at once if its prompt does not fit, and says when it will: as `hush.testing.ScriptedLLM` does.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from hush.core import Limit
from hush.core._admission._limiter import End
from unit.admission.desk import Desk, is_in

PERIOD_S = 60.0
LATENCY_S = (0.5, 4.0)
ANSWER = (10, 500)

Estimate = Callable[[int], tuple[int, int]]
"""What a call is expected to take whose prompt has so many tokens: of the prompt, of the answer."""


def right_on_average(sent: int) -> tuple[int, int]:
    return sent, sum(ANSWER) // 2


class TokenServer:
    """Takes at most ``most`` tokens in any minute, half-open, and notes when it took how many."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.took: list[tuple[float, int]] = []
        self._inside: deque[tuple[float, int]] = deque()
        self._used = 0

    def refuses_for_s(self, sent: int, now_s: float) -> float | None:
        """In how many seconds a call will fit whose prompt has so many tokens; ``None`` if it does now."""
        inside = self._inside
        while inside and inside[0][0] + PERIOD_S <= now_s:
            self._used -= inside.popleft()[1]
        over = self._used + sent - self.most
        for at_s, tokens in inside:
            if over <= 0:
                break
            over -= tokens
            if over <= 0:
                return math.ceil((at_s + PERIOD_S - now_s) * 1000) / 1000
        return None

    def take(self, tokens: int, now_s: float) -> None:
        self._used += tokens
        self._inside.append((now_s, tokens))
        self.took.append((now_s, tokens))


@dataclass
class Played:
    """What the server saw.

    Attributes:
        used: The share of the allowance that was taken, of all the time.
        pace: The share at which calls come in the long run, from when half of the first minute's tokens were taken to
            when half of the last one's were.
        refused: How many calls were refused of
        calls: all.
    """

    used: float
    pace: float
    refused: int
    calls: int


def played(
    seed: int,
    tpm: int,
    *,
    estimate: Estimate = right_on_average,
    learn: Callable[[int, int], object] = lambda sent, answered: None,
    most_answered: int | None = None,
    seconds: float = 600.0,
    clients: int = 64,
) -> Played:
    """Ask for ``seconds``, as many calls at a time as there are clients; ``learn`` is told what each answer took."""
    play = _Play(random.Random(f"{seed} {tpm} {most_answered}"), tpm, estimate, most_answered)
    for _ in range(clients):
        play.plan(0.0, "asks", None, play.size())
    play.plan(math.inf, "", None, 0)
    desk, events = play.desk, play.events
    while (next_s := min(desk.bell.at_s, events[0][0])) <= seconds:
        desk.go_to(next_s, play.look)
        if events[0][0] > desk.now_s:
            continue
        _, _, kind, ticket, sent, more = heapq.heappop(events)
        if kind == "asks":
            play.ask(sent)
        elif kind == "answered":
            learn(sent, more)
            desk.end(ticket, End((sent + more, sent, more)))
            play.plan(desk.now_s, "asks", None, play.size())
        else:
            desk.end(ticket, End(failed=True, overloaded=True, retry_after_s=more))
            play.plan(desk.now_s + more + play.chance.random() / 2, "asks", None, sent)
        play.look()
    return _seen(play.server, tpm, seconds, play.refused, play.calls)


class _Play:
    """Who asks, and the server; what is to come stands in ``events``."""

    def __init__(self, chance: random.Random, tpm: int, estimate: Estimate, most_answered: int | None) -> None:
        self.chance = chance
        self.estimate = estimate
        self.most_answered = most_answered
        self.desk, self.server = Desk(), TokenServer(tpm)
        self.limit = Limit(tokens_per_minute=tpm, concurrency="auto")
        self.events: list[tuple[float, int, str, Any, int, Any]] = []
        self.calls = self.refused = 0
        self._order = count()
        self._waiting: dict[Any, int] = {}

    def plan(self, at_s: float, kind: str, ticket: Any, sent: int, more: Any = None) -> None:
        heapq.heappush(self.events, (at_s, next(self._order), kind, ticket, sent, more))

    def size(self) -> int:
        """As many tokens as a prompt has."""
        if self.chance.random() < 0.5:
            return self.chance.choice((50, 200, 1000, 5000))
        return self.chance.randint(50, 5000)

    def ask(self, sent: int) -> None:
        prompt, answer = self.estimate(sent)
        ticket = self.desk.ask(self.limit, tokens=(prompt + answer, prompt, answer))
        if is_in(ticket) and ticket not in self.desk.bell.woken:
            self._start(ticket, sent)
        else:
            self._waiting[ticket] = sent

    def look(self) -> None:
        """Start what was admitted."""
        woken, self.desk.bell.woken = self.desk.bell.woken, []
        for ticket in woken:
            self._start(ticket, self._waiting.pop(ticket))

    def _start(self, ticket: Any, sent: int) -> None:
        now_s = self.desk.now_s
        self.desk.admission.begin(ticket)
        self.calls += 1
        pause_s = self.server.refuses_for_s(sent, now_s)
        if pause_s is not None:
            self.refused += 1
            self.plan(now_s, "refused", ticket, sent, pause_s)
            return
        answered = min(self.chance.randint(*ANSWER), self.most_answered or ANSWER[1])
        self.server.take(sent + answered, now_s)
        self.plan(now_s + self.chance.uniform(*LATENCY_S), "answered", ticket, sent, answered)


def _seen(server: TokenServer, tpm: int, seconds: float, refused: int, calls: int) -> Played:
    taken, times = 0, []
    for at_s, tokens in server.took:
        taken += tokens
        if taken >= (len(times) + 0.5) * tpm:
            times.append(at_s)
    used = sum(tokens for at_s, tokens in server.took if at_s < seconds) / (tpm * seconds / PERIOD_S)
    return Played(used, PERIOD_S * (len(times) - 1) / (times[-1] - times[0]), refused, calls)

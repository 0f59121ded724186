"""Calls of mixed sizes under a limit of tokens a minute, and a server that counts them: admission alone, without a loop.

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
from hush.core._admission._limiter import End, Tokens
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
    """Ask for ``seconds``, as many calls at a time as there are clients."""
    chance = random.Random(f"{seed} {tpm} {most_answered}")
    desk, server, limit = Desk(), TokenServer(tpm), Limit(tokens_per_minute=tpm, concurrency="auto")
    order = count()
    events: list[tuple[float, int, str, Any, int, Any]] = []
    waiting: dict[Any, int] = {}
    calls = refused = 0

    def at(at_s: float, kind: str, ticket: Any, sent: int, more: Any = None) -> None:
        heapq.heappush(events, (at_s, next(order), kind, ticket, sent, more))

    def ask(sent: int) -> None:
        prompt, answer = estimate(sent)
        tokens: Tokens = (prompt + answer, prompt, answer)
        ticket = desk.ask(limit, tokens=tokens)
        if is_in(ticket) and ticket not in desk.bell.woken:
            start(ticket, sent)
        else:
            waiting[ticket] = sent

    def start(ticket: Any, sent: int) -> None:
        nonlocal calls, refused
        desk.admission.begin(ticket)
        calls += 1
        pause_s = server.refuses_for_s(sent, desk.now_s)
        if pause_s is not None:
            refused += 1
            at(desk.now_s, "refused", ticket, sent, pause_s)
            return
        answered = chance.randint(*ANSWER)
        if most_answered is not None:
            answered = min(answered, most_answered)
        server.take(sent + answered, desk.now_s)
        at(desk.now_s + chance.uniform(*LATENCY_S), "answered", ticket, sent, answered)

    def look() -> None:
        while desk.bell.woken:
            woken, desk.bell.woken = desk.bell.woken, []
            for ticket in woken:
                start(ticket, waiting.pop(ticket))

    def size() -> int:
        return chance.choice((50, 200, 1000, 5000)) if chance.random() < 0.5 else chance.randint(50, 5000)

    for _ in range(clients):
        at(0.0, "asks", None, size())
    at(math.inf, "", None, 0)
    while (next_s := min(desk.bell.at_s, events[0][0])) <= seconds:
        desk.go_to(next_s, look)
        if events[0][0] > desk.now_s:
            continue
        _, _, kind, ticket, sent, more = heapq.heappop(events)
        if kind == "asks":
            ask(sent)
        elif kind == "answered":
            learn(sent, more)
            desk.end(ticket, End((sent + more, sent, more)))
            at(desk.now_s, "asks", None, size())
        else:
            desk.end(ticket, End(failed=True, overloaded=True, retry_after_s=more))
            at(desk.now_s + more + chance.random() / 2, "asks", None, sent)
        look()
    return _seen(server, tpm, seconds, refused, calls)


def _seen(server: TokenServer, tpm: int, seconds: float, refused: int, calls: int) -> Played:
    taken, times = 0, []
    for at_s, tokens in server.took:
        taken += tokens
        if taken >= (len(times) + 0.5) * tpm:
            times.append(at_s)
    used = sum(tokens for at_s, tokens in server.took if at_s < seconds) / (tpm * seconds / PERIOD_S)
    return Played(used, PERIOD_S * (len(times) - 1) / (times[-1] - times[0]), refused, calls)

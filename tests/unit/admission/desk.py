"""An ``Admission`` under a clock that the test moves, with one waker that does what a loop would do."""

from __future__ import annotations

import math
from collections.abc import Callable

from hush.core import Limit
from hush.core._admission._admission import Admission
from hush.core._admission._lane import ADMITTED, Ticket, Waker
from hush.core._admission._limiter import NOT_KNOWN, WELL, End, Tokens


class Bell(Waker):
    """A loop's waiters: it notes who was woken, and when it was asked to call."""

    def __init__(self) -> None:
        super().__init__()
        self.woken: list[Ticket] = []
        self.at_s = math.inf
        self.alive = True

    def wake(self, ticket: Ticket) -> bool:
        if self.alive:
            self.woken.append(ticket)
        return self.alive

    def arm(self, at_s: float) -> None:
        self.at_s = min(self.at_s, at_s)


class Desk:
    """Asks for admission, ends calls and moves the clock."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.admission = Admission(lambda: self.now_s)
        self.bell = Bell()

    def ask(self, *limits: Limit, priority: int = 0, tokens: Tokens = NOT_KNOWN, bell: Bell | None = None) -> Ticket:
        lane = self.admission.lane(limits)
        ticket = self.admission.enter(lane, tokens)
        if ticket is None:
            waker = bell or self.bell
            ticket = self.admission.queue(lane, waker, None, priority=priority, tokens=tokens)
        return ticket

    def end(self, ticket: Ticket, end: End = WELL) -> None:
        ticket.begun = True
        self.admission.give_back(ticket, end)

    def withdraw(self, ticket: Ticket) -> None:
        self.admission.give_back(ticket)

    def go_to(self, at_s: float, each: Callable[[], object] = lambda: None) -> None:
        """Let time pass, calling back when that was asked for; ``each`` is called after each such call."""
        while self.bell.at_s <= at_s:
            self.now_s, self.bell.at_s = max(self.now_s, self.bell.at_s), math.inf
            self.admission.tick(self.bell)
            each()
        self.now_s = max(self.now_s, at_s)

    def waiting(self, limit: Limit) -> int:
        return self.admission.state(limit).waiting

    def in_use(self, limit: Limit) -> int:
        return self.admission.state(limit).in_use


def is_in(ticket: Ticket) -> bool:
    return ticket.state == ADMITTED

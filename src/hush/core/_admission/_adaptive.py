"""``Adaptive``: the controller behind ``Limit(concurrency="auto")``."""

from __future__ import annotations

from collections import deque
from math import exp, inf

MIN_RATE = 1 / 30  # calls a second
FIRST_GAP_S = 0.1
GAP_MOST_S = 5.0
HOLD_S = 5.5
SHORT_HOLD_S = 1.0
STEEP = 0.1
KEEP = 0.97
REOPEN = 0.5
ROUND_S = 0.1
CREDIT_S = 0.01
REOPEN_MOST = 0.8
BEND_S = 2.7
BENT = 1 + STEEP * BEND_S**3
BEND_SLOPE = 3 * STEEP * BEND_S**2 / BENT

DOUBLING, PACED, SLOTS = "doubling", "paced", "slots"


class _Call:
    __slots__ = ("at_s", "beside", "epoch", "probe")

    def __init__(self, at_s: float, beside: int, epoch: int, probe: bool) -> None:
        self.at_s = at_s
        self.beside = beside
        self.epoch = epoch
        self.probe = probe


class Adaptive:
    def __init__(self, *, start: int = 4, most: int = 1024) -> None:
        self.most = most
        self.mode = DOUBLING
        self.cuts = 0
        self.closed = False
        self.in_flight = 0
        self._room = float(min(start, most))  # calls at a time: what binds while doubling, and among slots
        self._cap = int(self._room)
        self._rate = inf  # calls a second: what binds when paced
        self._latency_s = 0.0
        self._refusal_s = 0.02
        # Goodput: starts that were not refused, as a decaying sum.
        self._starts: deque[float] = deque()
        self._wasted: deque[float] = deque()
        self._memory_s = 1.0
        self._last_s = 0.0
        # pacing
        self._next_s = -inf
        # growth
        self._base = 0.0
        self._hold_s = 0.0
        self._grown_s = 0.0
        self._floor_s = 0.0
        # episodes
        self._epoch = 0
        self._strikes = 0
        self._streak = 0
        self._ok = 0
        self._opened_s = 0.0
        self._gap_s = FIRST_GAP_S
        self._probe_s = -inf
        self._probing = False
        self._known = inf
        self._safe = self._safe_before = 0
        self._safe_at_s = 0.0
        self._votes = 0
        self._votes_needed = 1
        self._served = False
        self._failed = 0

    @property
    def level(self) -> float:
        if self.mode == PACED:
            return min(float(self.most), max(self._rate * self._latency_s, 1e-3))
        return self._room

    @property
    def rate(self) -> float:
        return self._rate

    def admit_at_s(self, now_s: float, in_flight: int) -> float:
        if in_flight >= self._cap:
            return inf
        if self._probing and in_flight:
            return max(self._next_s, self._probe_s + self._patience_s())
        return self._next_s

    def _patience_s(self) -> float:
        return 0.1 + 3 * self._refusal_s

    def started(self, now_s: float) -> object:
        self.in_flight += 1
        beside = self.in_flight
        since_s = now_s - self._last_s
        self._last_s = now_s
        starts = self._starts
        starts.append(now_s)
        before_s = now_s - self._memory_s - self._refusal_s
        while starts[0] <= before_s:
            starts.popleft()
        if self.closed:
            if not (self._probing and now_s >= self._probe_s + self._patience_s()):
                self._probing = True
                self._probe_s = now_s
                return _Call(now_s, beside, self._epoch, True)
            self._reopen(now_s)
        late_s = now_s - self._next_s
        if self.mode == PACED:
            spacing_s = 1 / self._rate
            if late_s <= max(spacing_s * 0.5, 0.02):
                self._grow(min(since_s, 2 * spacing_s + 0.02))
                spacing_s = 1 / self._rate
        else:
            spacing_s = self._latency_s / (2 * self._room)
            if self.mode == DOUBLING:
                spacing_s = min(spacing_s, CREDIT_S)
            elif beside >= self._cap:
                self._grow(min(since_s, 1.0))
        self._next_s = max(self._next_s, now_s - CREDIT_S) + spacing_s
        return _Call(now_s, beside, self._epoch, False)

    def _grow(self, used_s: float) -> None:
        self._grown_s += used_s
        over_s = self._grown_s - self._hold_s
        if over_s <= 0:
            if self._floor_s and self.mode == PACED:  # on the way back to the known rate after a closing
                self._rate = min(self._base, self._rate * 2 ** (used_s / self._floor_s))
            return
        if over_s <= BEND_S:
            much = 1 + STEEP * over_s**3
        else:
            much = BENT * exp(BEND_SLOPE * (over_s - BEND_S))
        if self.mode == PACED:
            self._rate = self._base * much
            self._fit()
        else:
            self._room = min(self._base * much, float(self.most))
            self._cap = int(self._room)

    def _fit(self) -> None:
        self._cap = min(self.most, 2 + int(2 * self._rate * self._latency_s))

    def ended(self, token: object, now_s: float, *, overloaded: bool, retry_after_s: float | None) -> None:
        assert isinstance(token, _Call)
        if self.in_flight:
            self.in_flight -= 1
        took_s = now_s - token.at_s
        if overloaded:
            self._refused(token, now_s, took_s, retry_after_s)
            return
        self._streak = 0
        self._latency_s += (took_s - self._latency_s) * (0.05 if self._latency_s else 1.0)
        if token.epoch != self._epoch:
            return
        self._ok += 1
        if self.closed:
            if token.probe:
                self._reopen(now_s)
            return
        self._served = True
        if token.beside > self._safe:
            self._safe_before = self._safe
            self._safe = token.beside
            self._safe_at_s = token.at_s
        if self.mode == DOUBLING:
            if token.beside * 2 > self._room:
                self._room = min(float(self.most), self._room + min(1.0, took_s / ROUND_S))
                self._cap = int(self._room)
        elif self.mode == PACED:
            self._fit()
        if self._strikes and (self._ok >= 8 or self._ok >= 2 and now_s - self._opened_s >= 1.0):
            self._strikes = 0
        if self._gap_s > FIRST_GAP_S and self._ok >= 8 and now_s - self._opened_s >= 1.0:
            self._gap_s = FIRST_GAP_S

    def _refused(self, token: _Call, now_s: float, took_s: float, retry_after_s: float | None) -> None:
        self._streak += 1
        self._wasted.append(token.at_s)
        self._refusal_s += (min(took_s, 5.0) - self._refusal_s) * 0.25
        if token.epoch != self._epoch:
            if self._streak >= 3 and not self.closed:
                self._close(now_s)
        elif self.closed:
            if token.probe:
                self._probing = False
                self._gap_s = min(self._gap_s * 2, GAP_MOST_S)
                self._failed += 1
                self._next_s = now_s + self._gap_s
        elif self._strikes:
            self._close(now_s)
        else:
            self._cut(token, now_s, retry_after_s)

    def _cut(self, token: _Call, now_s: float, retry_after_s: float | None) -> None:
        good = self._goodput(token.at_s)
        confirmed = self._grown_s > self._hold_s and now_s - self._opened_s >= 2.5 * self._memory_s
        safe = self._safe if self._safe_at_s < token.at_s else self._safe_before
        crowded = token.beside > safe and self._ok >= max(8, safe)
        self._votes = self._votes + 1 if crowded else 0
        if self.mode == SLOTS and not crowded:
            self._votes_needed = min(8, self._votes_needed * 2)
        self._memory_s = max(1.0, min(10.0, self._latency_s), min(30.0, 8 / self._rate))
        if not self._served:
            self._room = max(1.0, self._room / 2)
            self._cap = int(self._room)
        elif self.mode != DOUBLING and crowded and self._votes >= self._votes_needed:
            self.mode = SLOTS
            self._rate = inf
            self._room = self._base = float(max(1, min(token.beside, self.most) - 1))
            self._cap = int(self._room)
            self._known = good
        else:
            self.mode = PACED
            self._known = max(MIN_RATE, min(self._rate, good))
            self._base = max(MIN_RATE, KEEP * self._known)
            self._rate = max(MIN_RATE, self._base * (1.0 if self._rate == inf else self._known / self._rate))
            self._fit()
        self._hold_s = (HOLD_S + 3 * min(10.0, retry_after_s or 0.0)) if confirmed else SHORT_HOLD_S
        self._grown_s = 0.0
        self._floor_s = 1.0
        self._next_episode(now_s)

    def _goodput(self, until_s: float) -> float:
        from_s = until_s - self._memory_s
        while self._wasted and self._wasted[0] <= from_s:
            self._wasted.popleft()
        good = sum(from_s < at_s < until_s for at_s in self._starts) - sum(at_s < until_s for at_s in self._wasted)
        return max(0, good) / self._memory_s

    def _next_episode(self, now_s: float) -> None:
        self._epoch += 1
        self.cuts += 1
        self._strikes += 1
        self._safe = self._safe_before = 0
        self._safe_at_s = now_s
        self._ok = 0
        self._opened_s = now_s

    def _close(self, now_s: float) -> None:
        if self.mode == SLOTS:
            self._votes_needed = min(8, self._votes_needed * 2)
        self._votes = 0
        self._failed = 0
        self._next_episode(now_s)
        self.closed = True
        self._probing = False
        self._next_s = now_s + self._gap_s

    def _reopen(self, now_s: float) -> None:
        self.closed = self._probing = False
        self._starts.clear()
        self._wasted.clear()
        self._opened_s = now_s
        self._ok = 0
        self._next_s = now_s
        if self.mode == DOUBLING:
            return
        self.mode = PACED
        self._base = max(MIN_RATE, KEEP * self._known)
        self._rate = max(MIN_RATE, max(0.4, 0.8 ** (1 + self._failed)) * self._base)
        self._known = self._rate
        self._floor_s = 1.0
        self._hold_s = SHORT_HOLD_S + 1.0
        self._grown_s = 0.0
        self._fit()

"""``Adaptive``: the controller behind ``Limit(concurrency="auto")``, a pure class that is told of starts and ends.

A server may be limited by calls at a time (slots) or by calls in a time (a rate), and may refuse what is too much or
let it wait. The controller is told only how calls end, and must find out:

- **Doubling.** Until the first overload the level, calls at a time, doubles in a latency (and at most in 0.1 s) while
  it is in full use. Starts are spread a little, so that the first refusal comes before many more calls are under way.
- **Measure.** On an overload the level is not halved blindly: it becomes 97 % of the *goodput*, the starts of the
  last second that were not refused (95 % where the plateau itself was too high). With a server that admits N in any
  second this is N, whatever the latency. From then on starts are *paced* (RFC 9002, 7.7): with short latencies the
  right level is below one call at a time, which no count of permits can express.
- **One cut for an episode.** Refusals of calls that started before the last cut make no other (as in RFC 6582).
- **Hold, then probe.** The level is held for 6.5 s, then grows by 1 + 0.3 t³, and exponentially where that falls
  behind: the flat top and the acceleration of CUBIC (RFC 9438). Where the ceiling was not measured well (a second had
  not passed, or the level rose fast) the hold is 1 s. Growth counts only time in which the level was in full use (RFC
  7661).
- **Slots.** A refused call that had more beside it than any served one lately points to slots. Then calls at a time
  bind, and starts are spread at twice their pace. If that proves wrong, it takes 2, 4, 8 such signs in a row to come
  back.
- **Closed gate.** A refusal right after a cut, or eight in a row, closes the gate: one probe at a time, 0.1 s, 0.2 s,
  … 2 s apart, for ever. A probe that is served, or that is not refused within a few times what refusals take, opens
  it, at 80 % of the plateau or, by 0.8 for each probe, down to 40 %, doubling in a second. If that fails, the plateau
  falls.
- **Retry-After.** The caller closes its gate for everybody; a refusal then costs that pause, so a plateau is held for
  6.5 times the pause, and longer, up to 39 times, each time that a probe has found the same ceiling again.
- **Queues.** Servers that do not refuse but let calls wait: see ``_queueing``.

The rate that got through as the target is the idea of the AWS SDKs' adaptive retry mode; bounding the level by
latency that of Netflix's concurrency-limits, and of TCP Vegas and BBR before.

Measured by simulation with ``tests/kit/adaptive_servers``: latencies of 5, 50 and 500 ms ± 20 %, refusals in 5 ms,
five seeds, lowest to highest:

- 100/s for a minute: 97 % used of a sliding window, 99.7–100 % of a bucket of 10; 0.18–0.50 % refused. 16 slots:
  99–100 % used; 0.01, 0.06 and 0.59 % refused.
- 100/s → 30/s → 100/s: 92–104 % ten seconds after each change; 0.45–0.91 % refused. Slots 20 → 6 → 20 too, but at 500
  ms (12 calls a second) 67–100 % after the drop and 0.95–1.05 % refused.
- 5 s of refusals: 6–10 calls (30 at 3,200/s); 90 % again within 3.3–4.8 s, and 1.5–10 s if the run began with them.

Where it falls short: with ``Retry-After: 1`` at every refusal each probe of the ceiling costs a second: 78–91 % used in
the first minute, then 94–97 % (a bucket at 500 ms: 79–84 %); 90 % of a new capacity after 1–11 s. Of rates of a few
calls a second there is little to learn from: 2/s: 79–86 % used, 8–9 % refused; 1/s: 42–62 % and 15–26 %.
"""

from __future__ import annotations

from collections import deque
from math import exp, inf

from hush.core._admission._queueing import Queueing

ROUND_S = 0.1  # doubling takes a latency, and at least this long
CREDIT_S = 0.01  # what a late timer may make up for; and the widest spacing while doubling

KEEP = 0.97  # of what was served, after a probe upwards found the ceiling
KEEP_LESS = 0.95  # of what was served, where even the plateau was too high
HOLD_S = 6.5  # on a plateau below a ceiling that was measured
SAVED_S = 0.25
SHORT_HOLD_S = 1.0  # on one that was not
HOLD_STARTS = 16  # and at least so many starts, but for that no longer than
HOLD_STARTS_MOST_S = 20.0
FOUND_S = 10.0  # where refusals ask for a pause: a higher capacity is found in this time, or in
FOUND_PAUSES = 5.0  # so many pauses; of which
RAMP_S = 3.2  # go to growing five times as large, after the hold
STANDS_S = 60.0  # for so long; where a ceiling has stood for longer, so much later
LONGEST = 39.0  # pauses that a hold takes, at most
SAME = 0.08  # what two measures of one ceiling may differ by
HOLD_MOST_S = 120.0
# Growth after the plateau: 1 + STEEP t³ up to BEND_S, where that is steepest on a log scale; then exponential.
STEEP = 0.3
BEND_S = (2 / STEEP) ** (1 / 3)
BENT = 1 + STEEP * BEND_S**3
BEND_SLOPE = 3 * STEEP * BEND_S**2 / BENT
BY_A_START = 1.05  # growth of the rate with one start, at most: there are few to learn from where the rate is low
RATE_LEAST = 1 / 30  # starts a second

PROVEN = 8  # calls served since a cut, and
PROVEN_S = 0.1  # the time they took: the next refusal is a new episode and no sequel
LEAST_AT_ONCE = 0.5  # of the plateau, below which no cut goes whose measure is incomplete
OUTAGE = 8  # refusals in a row, whenever they started, that close the gate
FIRST_GAP_S = 0.1  # between two probes of a closed gate; doubles
GAP_MOST_S = 2.0
REOPEN_EACH = 0.8  # of the plateau's rate, for each probe that was made
REOPEN_LEAST = 0.4
REOPEN_AGAIN = 0.6  # of the plateau's rate, where the last reopening failed
SLOTS_PROVEN_S = 2.0  # in full use without a refusal: they are slots
VOTES_MOST = 8

DOUBLING, PACED, SLOTS = "doubling", "paced", "slots"


class _Call:
    """A call under way: its start, calls in flight then, the episode, and whether about as many as allowed were."""

    __slots__ = ("at_s", "beside", "episode", "full")

    def __init__(self, at_s: float, beside: int, episode: int, full: bool) -> None:
        self.at_s = at_s
        self.beside = beside
        self.episode = episode
        self.full = full


class Adaptive:
    """Decides when one more call may start, from how earlier ones ended.

    Not thread-safe and without a clock: its owner calls it under a lock and passes monotonic seconds that never go
    back. Every method takes constant time (amortized), about a microsecond.

    Args:
        start: Calls at a time before anything is known.
        most: Calls at a time that are never exceeded.

    Attributes:
        most: As given.
        mode: ``"doubling"`` (no overload seen yet: calls at a time, doubled each round), ``"paced"`` (starts a second)
            or ``"slots"`` (calls at a time).
        closed: Whether only single probes are let through, because nothing but refusals came back.
        in_flight: Calls that have started and not ended.
        episodes: Episodes of overload so far; each made one cut, or one closing.
    """

    __slots__ = (
        "_base",
        "_cap",
        "_ceiling",
        "_complete_s",
                "_failed_probes",
        "_gap_s",
        "_grown_s",
        "_hold_s",
        "_last_s",
        "_latency_s",
        "_memory_s",
        "_next_s",
        "_ok",
        "_opened_s",
        "_probe_s",
        "_probing",
        "_queueing",
        "_rate",
        "_refusal_s",
        "_reopened",
        "_room",
        "_safe",
        "_safe_at_s",
        "_safe_new",
        "_served",
        "_slots_proven",
        "_slots_rate",
        "_stands_since_s",
        "_starts",
        "_streak",
        "_suspect",
        "_too_much",
        "_votes",
        "_votes_needed",
        "_wasted",
        "closed",
        "episodes",
        "in_flight",
        "mode",
        "most",
    )

    def __init__(self, *, start: int = 4, most: int = 1024) -> None:
        if most < 1 or start < 1:
            raise ValueError(f"start and most are at least 1, not {start} and {most}")
        self.most = most
        self.mode = DOUBLING
        self.closed = False
        self.in_flight = 0
        self.episodes = 0

        self._room = float(min(start, most))  # calls at a time: what binds while doubling, and among slots
        self._rate = inf  # starts a second: what binds when paced
        self._cap = int(self._room)  # calls at a time, whatever binds
        self._next_s = -inf  # when the pace, or the closed gate, lets the next call start
        self._queueing = Queueing()

        # The curve: its plateau (a rate or a room), how long that is held, and for how long the level was in full use.
        self._base = 0.0
        self._hold_s = 0.0
        self._grown_s = 0.0
        # Where refusals ask for a pause: the plateau below the last ceiling, how often that was found again, and the
        # plateau that was refused without a probe.
        self._ceiling = 0.0
        self._stands_since_s = 0.0
        self._too_much = inf

        # What is measured: starts of the last `_memory_s`, complete since `_complete_s`, and those that were refused.
        self._starts: deque[float] = deque()
        self._wasted: deque[float] = deque()
        self._memory_s = 1.0
        self._complete_s = inf
        self._last_s = -inf
        self._latency_s = 0.0
        self._refusal_s = 0.02
        self._served = False

        # The episode: whether a refusal now would be its sequel, refusals in a row, calls served since it began, and
        # the most that were in flight at the start of one of these (since when, and before that one).
        self._suspect = False
        self._streak = 0
        self._ok = 0
        self._opened_s = 0.0
        self._safe = self._safe_new = 0
        self._safe_at_s = 0.0
        self._votes = 0
        self._votes_needed = 1
        self._slots_rate = 0.0
        self._slots_proven = False

        # The closed gate.
        self._gap_s = FIRST_GAP_S
        self._failed_probes = 0
        self._probing = False
        self._probe_s = -inf
        self._reopened = False

    @property
    def level(self) -> float:
        """Calls at a time that it aims at now; below 1 where a rate binds that keeps less than one call in flight."""
        return min(self._rate * self._latency_s, float(self._cap)) if self.mode == PACED else float(self._cap)

    @property
    def per_s(self) -> float:
        """Starts a second that it allows now; ``inf`` where calls at a time bind, 0 while the gate is closed."""
        return 0.0 if self.closed else self._rate

    def admit_at_s(self, now_s: float, in_flight: int) -> float:
        """The earliest time at which one more call may start.

        At or before ``now_s``: now. ``inf``: not before a call has ended; never if ``in_flight`` is 0.
        """
        if in_flight >= self._cap:
            return inf
        if self._probing and in_flight:
            return max(self._next_s, self._probe_s + self._patience_s())
        return self._next_s

    def started(self, now_s: float) -> object:
        """A call starts. What is returned goes to ``ended``, once."""
        beside = self.in_flight = self.in_flight + 1
        since_s, self._last_s = now_s - self._last_s, now_s
        self._remember(now_s)
        if self.closed:
            if not self._probing or now_s < self._probe_s + self._patience_s():
                self._probing = True
                self._probe_s = now_s
                return _Call(now_s, beside, self.episodes, False)
            self._reopen(now_s)  # refusals are quick, and none came: the probe was let in and takes its time
        if self.mode == PACED:
            spacing_s = 1 / self._rate
            if now_s - self._next_s <= max(spacing_s / 2, 2 * CREDIT_S):  # it waited for the pace
                self._grow(min(since_s, 2 * spacing_s + 2 * CREDIT_S))
                spacing_s = 1 / self._rate
        else:
            spacing_s = self._latency_s / (2 * self._room)
            if self.mode == DOUBLING:
                spacing_s = min(spacing_s, CREDIT_S)
            elif beside >= self._cap:
                self._grow(min(since_s, 1.0))
        self._next_s = max(self._next_s, now_s - CREDIT_S) + spacing_s
        return _Call(now_s, beside, self.episodes, beside * 4 >= self._cap * 3)

    def ended(self, token: object, now_s: float, *, overloaded: bool, retry_after_s: float | None) -> None:
        """A call has ended.

        Args:
            token: What ``started`` gave for it.
            now_s: The time.
            overloaded: Whether it was refused for load: 429, 503 and their like. Whatever else became of it, the
                server let it in.
            retry_after_s: The pause that the refusal asks for. Keeping it is the caller's part; here it says what a
                refusal costs, and so how often to risk one.
        """
        assert isinstance(token, _Call)
        self.in_flight = max(0, self.in_flight - 1)
        took_s = now_s - token.at_s
        if overloaded:
            self._refused(token, now_s, took_s, retry_after_s or 0.0)
            return
        self._streak = 0
        self._latency_s += (took_s - self._latency_s) * (0.05 if self._served else 1.0)
        self._served = True
        if token.episode != self.episodes:
            return
        self._ok += 1
        if self.closed:
            self._reopen(now_s)
            return
        if token.at_s - self._safe_at_s > 2 * self._refusal_s:
            self._safe, self._safe_new = max(self._safe, self._safe_new), 0
            self._safe_at_s = token.at_s
        if token.beside > self._safe_new:
            self._safe_new = token.beside
        self._queueing.served(token.beside, token.full, token.at_s, now_s, self._cap)
        if self.mode == DOUBLING and token.beside * 2 > self._room and self._queueing.may_grow:
            self._room += min(1.0, took_s / ROUND_S)
        self._fit()
        open_s = now_s - self._opened_s
        if (self._ok >= PROVEN and open_s >= PROVEN_S) or (self._ok > 1 and open_s >= 1.0):
            self._suspect = self._reopened = False
            if open_s >= 1.0 and (self._ok >= PROVEN or open_s >= self._gap_s):
                self._gap_s = FIRST_GAP_S

    # ── Growth ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _grow(self, used_s: float) -> None:
        """Go on along the curve, by a time in which the level was in full use."""
        self._grown_s += used_s
        over_s = self._grown_s - self._hold_s
        if over_s <= 0:
            if self.mode == PACED and self._rate < self._base:
                self._rate = min(self._base, self._rate * 2**used_s)
            return
        much = 1 + STEEP * over_s**3 if over_s <= BEND_S else BENT * exp(min(50.0, BEND_SLOPE * (over_s - BEND_S)))
        if self.mode == PACED:
            self._rate = min(self._base * much, self._rate * BY_A_START)
        else:
            self._room = min(self._base * much, float(self.most))
        self._fit()

    def _fit(self) -> None:
        room = 2 + 2 * self._rate * self._latency_s if self.mode == PACED else self._room
        self._room = min(self._room, float(self.most))
        self._cap = max(1, int(min(room, self._queueing.bound, self.most)))

    # ── Overload ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _refused(self, call: _Call, now_s: float, took_s: float, retry_after_s: float) -> None:
        self._streak += 1
        self._wasted.append(call.at_s)
        self._refusal_s += (min(took_s, 5.0) - self._refusal_s) / 4
        if call.episode != self.episodes:
            if self._streak >= OUTAGE and not self.closed:
                self._close(now_s, again=False)
        elif self.closed:
            self._probing = False
            self._failed_probes += 1
            self._gap_s = min(2 * self._gap_s, GAP_MOST_S)
            self._next_s = now_s + self._gap_s
        elif self._suspect:
            self._close(now_s, again=True)
        else:
            self._cut(call, now_s, retry_after_s)

    def _cut(self, call: _Call, now_s: float, retry_after_s: float) -> None:
        good = self._goodput(call.at_s)
        safe = self._safe
        ramp = self._rate > 1.25 * good and self.mode != SLOTS
        crowded = call.beside > safe > 0 and self._ok >= max(PROVEN, safe)
        if crowded:
            self._votes = min(VOTES_MOST, self._votes + 1)
        else:  # one that got through by chance, while slots were known well, is no proof of the contrary
            known = self.mode == SLOTS and retry_after_s > 0 and self._grown_s >= SLOTS_PROVEN_S
            self._votes = self._votes // 2 if known else 0
        if self.mode == SLOTS:
            self._judge_slots(refuted=not crowded)
        needed = self._votes_needed
        if retry_after_s:  # being wrong costs a pause; and on a steep way up, what was served is a latency behind
            needed = min(VOTES_MOST, needed + (2 if ramp and self._latency_s > ROUND_S else 1))
        probed = self._grown_s > self._hold_s
        open_s = now_s - self._opened_s
        long_open = open_s >= 1.5 * self._memory_s
        measured = probed and not ramp and long_open
        plateau = self._base if self.mode == PACED else inf
        if not self._served:
            self._room = max(1.0, self._room / 2)
        elif (crowded or self.mode == SLOTS) and self.mode != DOUBLING and self._votes >= needed:
            self.mode = SLOTS
            self._rate = inf
            self._slots_rate = KEEP * good
            self._room = self._base = float(max(1, min(call.beside, self.most) - 1))
        else:
            known = max(RATE_LEAST, min(self._rate, good))
            if self.mode != DOUBLING and call.at_s - self._complete_s < self._memory_s:
                known = max(known, LEAST_AT_ONCE * (self._base if self.mode == PACED else self._slots_rate))
            if self.mode == PACED and probed:  # the plateau was held without a refusal
                known = max(known, self._base)
            keep = KEEP if probed or self.mode == DOUBLING else KEEP_LESS
            if retry_after_s and not probed and open_s > 1.2 * self._memory_s:
                keep = min(keep, max(0.8, 1 - SAVED_S / open_s))
            self._base = max(RATE_LEAST, known * keep)
            if retry_after_s and long_open:
                if not probed and not crowded:
                    self._too_much = min(self._too_much, plateau)
                    measured = True
                elif probed and abs(self._base / self._too_much - 1) <= SAME:
                    self._base = KEEP_LESS * self._too_much  # what was saved up in the pause was measured too
                else:
                    self._too_much = inf
                measured = measured or (not crowded and abs(self._base / plateau - 1) <= SAME)
            self._rate = self._base if self._rate == inf else max(RATE_LEAST, self._base * max(0.5, known / self._rate))
            self.mode = PACED
            self._next_s = max(self._next_s, now_s + 1 / self._rate)
        if measured:
            self._hold_s = self._hold(now_s, retry_after_s)
        else:
            self._hold_s = SHORT_HOLD_S + min(HOLD_MOST_S, retry_after_s)
        if self.mode == PACED:
            self._hold_s = max(self._hold_s, min(HOLD_STARTS / self._base, HOLD_STARTS_MOST_S))
        self._grown_s = 0.0
        self._memory_s = max(1.0, min(10.0, self._latency_s), min(30.0, 4 / self._rate))
        self._begin_episode(now_s + retry_after_s)
        if retry_after_s:
            self._forget(now_s + retry_after_s)
        self._fit()

    def _hold(self, now_s: float, retry_after_s: float) -> float:
        """How long a measured plateau is held: longer where refusals cost a pause and the ceiling has stood for long."""
        if not (self._ceiling and abs(self._base / self._ceiling - 1) <= SAME):
            self._stands_since_s = now_s
        self._ceiling = self._base
        if not retry_after_s:
            return HOLD_S
        found_s = max(FOUND_S, FOUND_PAUSES * retry_after_s)
        hold_s = found_s - retry_after_s - RAMP_S + max(0.0, now_s - self._stands_since_s - STANDS_S)
        return min(hold_s, LONGEST * retry_after_s, HOLD_MOST_S)

    def _judge_slots(self, *, refuted: bool) -> None:
        """Whether slots were the right reading; each time they were not, it takes more to come back to them."""
        if self._grown_s >= SLOTS_PROVEN_S:
            self._slots_proven = True
            self._votes_needed = 1
        elif refuted:
            if not self._slots_proven:
                self._votes = 0
                self._votes_needed = min(VOTES_MOST, 2 * self._votes_needed)
            self._slots_proven = False

    def _begin_episode(self, now_s: float) -> None:
        self.episodes += 1
        self._suspect = True
        self._reopened = False
        self._safe = self._safe_new = 0
        self._safe_at_s = self._opened_s = now_s
        self._ok = 0

    # ── The closed gate ──────────────────────────────────────────────────────────────────────────────────────────────

    def _patience_s(self) -> float:
        """How long a probe's answer is waited for."""
        return max(FIRST_GAP_S + 3 * self._refusal_s, self._gap_s / 2)

    def _close(self, now_s: float, *, again: bool) -> None:
        if self.mode == SLOTS:
            self._judge_slots(refuted=again)
            if self._grown_s < SLOTS_PROVEN_S:
                self.mode = PACED
                self._rate = self._base = max(RATE_LEAST, self._slots_rate)
                self._hold_s = SHORT_HOLD_S
        elif self.mode == DOUBLING:
            if self._served:
                self.mode = PACED
                self._rate = self._base = max(RATE_LEAST, self._goodput(now_s))
                self._hold_s = SHORT_HOLD_S
        elif self._reopened:  # what it came back with was too much
            self._base *= REOPEN_AGAIN
            self._gap_s = min(2 * self._gap_s, GAP_MOST_S)
        self._begin_episode(now_s)
        self.closed = True
        self._probing = False
        self._failed_probes = 0
        self._next_s = now_s + self._gap_s

    def _reopen(self, now_s: float) -> None:
        self.closed = self._probing = False
        self._reopened = True
        self._forget(now_s)
        self._opened_s = self._next_s = now_s
        self._ok = 0
        if self.mode == SLOTS:
            self._grown_s = 0.0
        elif self.mode == PACED:
            # One call was served in about the last gap.
            self._base = max(RATE_LEAST, self._base, 0.5 / self._gap_s)
            self._rate = max(RATE_LEAST, self._base * max(REOPEN_LEAST, REOPEN_EACH ** (1 + self._failed_probes)))
            self._next_s = max(now_s, self._probe_s + 1 / self._rate)
            self._grown_s = 0.0
            self._hold_s = max(self._hold_s, 2 * SHORT_HOLD_S)
        self._fit()

    # ── Goodput ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _remember(self, now_s: float) -> None:
        before_s = now_s - self._memory_s - self._refusal_s
        starts = self._starts
        starts.append(now_s)
        while starts[0] <= before_s:
            starts.popleft()
        if before_s > self._complete_s:
            self._complete_s = before_s
        elif self._complete_s == inf:
            self._complete_s = now_s

    def _forget(self, now_s: float) -> None:
        self._starts.clear()
        self._wasted.clear()
        self._complete_s = now_s

    def _goodput(self, until_s: float) -> float:
        """Starts a second, before ``until_s``, that were not refused."""
        from_s = until_s - self._memory_s
        starts, wasted = self._starts, self._wasted
        while starts and starts[0] <= from_s:
            starts.popleft()
        while wasted and wasted[0] <= from_s:
            wasted.popleft()
        good = len(starts)
        for at_s in reversed(starts):
            if at_s < until_s:
                break
            good -= 1
        good -= sum(at_s < until_s for at_s in wasted)
        return max(0, good) / min(self._memory_s, max(1.0, until_s - self._complete_s))

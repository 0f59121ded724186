"""Graphs whose leaves have random policies, as data, with a reference that says what each of them must give.

What a leaf's function does is a script: for each ``x`` it is given, how often it fails and how before it succeeds. So
its outcome follows from its script and its retries alone, whatever limits, caches, delays and neighbours do.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

from hypothesis import strategies as st

Kind = Literal["good", "lost", "busy", "late", "wrong", "cancelled"]

TRIED_AGAIN = ("lost", "busy", "late")
ROUND = 100_000
"""A loop adds this to its ``x`` in each round."""


@dataclass(frozen=True)
class Script:
    """What a function does for one ``x``: fails ``failures`` times in this way, then gives something."""

    kind: Kind = "good"
    failures: int = 0


@dataclass(frozen=True)
class Leaf:
    """One node with a function.

    Attributes:
        scripts: One for each remainder of ``x``.
        attempts: ``None`` without a retry.
        limits: Which of the limits it names.
        coarse: It is given ``x // coarse``, so that several items ask for the same; more than 1 only with a cache.
        handled: ``"named"`` if its error is read, ``"collect"`` if it is collected, else it fails its item.
    """

    number: int
    scripts: tuple[Script, ...] = (Script(),)
    is_async: bool = True
    attempts: int | None = None
    jitter: bool = False
    cached: bool = False
    coarse: int = 1
    limits: tuple[int, ...] = ()
    priority: int = 0
    timed: bool = False
    handled: Literal["", "named", "collect"] = ""

    @property
    def name(self) -> str:
        return f"n{self.number}"

    def script(self, x: int) -> Script:
        """What its function does for ``x``."""
        return self.scripts[x % len(self.scripts)]


@dataclass(frozen=True)
class Fan:
    """Leaves beside one another, all handled."""

    leaves: tuple[Leaf, ...]


@dataclass(frozen=True)
class Fork:
    """A branch: one leaf for an even ``x``, another for an odd one."""

    number: int
    even: Leaf
    odd: Leaf


@dataclass(frozen=True)
class Rounds:
    """A loop around one leaf."""

    number: int
    leaf: Leaf
    rounds: int


@dataclass(frozen=True)
class Over:
    """A map; of a map at the top ``items`` are its source, of others it is how many are made of each ``x``."""

    number: int
    items: int
    body: tuple[Any, ...]
    width: int
    streams: bool = False  # from the map before it


@dataclass(frozen=True)
class Bound:
    """A limit."""

    concurrency: int | None
    per_second: int | None = None
    burst: int | None = None


@dataclass(frozen=True)
class Guarded:
    """A graph: maps beside one another, or each streaming from the one before."""

    maps: tuple[Over, ...]
    bounds: tuple[Bound, ...]


# ── What it must give ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Expected:
    """What the reference says of a run.

    Attributes:
        failures: The kind and attempt of each failure of a leaf, by path, item and round.
        calls: How often each leaf's function is called for each ``x``.
        each: Of calls that fail and are cached, how many are made each time: as they come together there are more.
    """

    outputs: dict[str, list[Any]] = field(default_factory=dict)
    failures: dict[tuple[str, tuple[int, ...], int | None], tuple[str, int]] = field(default_factory=dict)
    calls: Counter[tuple[int, int]] = field(default_factory=Counter)
    each: dict[tuple[int, int], int] = field(default_factory=dict)
    total: int = 0
    partial: bool = False


class Failed(Exception):
    """An item failed."""


def attempts_of(leaf: Leaf, x: int) -> tuple[str, int]:
    """How a call ends, ``"good"`` or the kind of its failure, and after how many attempts."""
    script, most = leaf.script(x), leaf.attempts or 1
    if script.kind == "good" or not script.failures:
        return "good", 1
    if script.kind not in TRIED_AGAIN:
        return script.kind, 1
    return ("good", script.failures + 1) if script.failures < most else (script.kind, most)


class Interpreter:
    """Goes through a graph, item by item."""

    def __init__(self, guarded: Guarded) -> None:
        self.expected = Expected()
        before: list[Any] = []
        for over in guarded.maps:
            source: list[Any] = before if over.streams else [100 * over.number + item for item in range(over.items)]
            before = self.over(over, f"g/m{over.number}", (), source, over.streams)
            self.expected.outputs[f"m{over.number}"] = before

    def over(self, over: Over, path: str, around: tuple[int, ...], source: list[Any], streamed: bool) -> list[Any]:
        column: list[Any] = []
        for index, one in enumerate(source):
            if streamed and one is None:  # it has failed before, and was counted there
                column.append(None)
                continue
            x = one["x"] if streamed else one
            try:
                column.append({"x": x, **self.body(over.body, path, (*around, index), x)})
            except Failed:
                column.append(None)
                self.expected.total += 1
                self.expected.partial = True
        return column

    def body(self, body: tuple[Any, ...], path: str, item: tuple[int, ...], x: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for step in body:
            match step:
                case Leaf():
                    found[step.name] = self.call(step, path, item, x)
                case Fan(leaves):
                    found |= {leaf.name: self.call(leaf, path, item, x) for leaf in leaves}
                case Fork(even=even, odd=odd):
                    chosen, other = (odd, even) if x % 2 else (even, odd)
                    found |= {chosen.name: self.call(chosen, path, item, x), other.name: None}
                case Rounds(number, leaf, rounds):
                    for number_of in range(rounds):
                        self.call(leaf, f"{path}/w{number}", item, x + ROUND * number_of, number_of)
                    found[f"w{number}"] = x + ROUND * rounds
                case Over(number=number, items=items):
                    found[f"m{number}"] = self.over(
                        step, f"{path}/m{number}", item, [10 * x + one for one in range(items)], streamed=False
                    )
        return found

    def call(self, leaf: Leaf, path: str, item: tuple[int, ...], x: int, of_round: int | None = None) -> Any:
        x //= leaf.coarse
        kind, attempts = attempts_of(leaf, x)
        expected = self.expected
        if leaf.cached:
            expected.calls[leaf.number, x] = attempts
            if kind != "good":
                expected.each[leaf.number, x] = expected.each.get((leaf.number, x), 0) + 1
        else:
            expected.calls[leaf.number, x] += attempts
        if kind == "good":
            return [leaf.number, x]
        expected.failures[f"{path}/{leaf.name}", item, of_round] = kind, attempts
        if not leaf.handled:
            raise Failed
        expected.total += 1
        if leaf.handled == "collect":
            expected.partial = True
        return None


def interpret(guarded: Guarded) -> Expected:
    """What a run of it gives."""
    return Interpreter(guarded).expected


# ── Drawing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

KINDS: tuple[Kind, ...] = (*["good"] * 6, "lost", "lost", "busy", "late", "late", "wrong", "cancelled")  # type: ignore[assignment]


@st.composite
def leaves(draw: st.DrawFn, numbers: Any, bounds: int, handled: bool = False, alone: bool = False) -> Leaf:
    """A leaf; ``alone`` if it is all that a loop has: what it fails with fails the item."""
    is_async = draw(st.booleans())
    attempts = draw(st.sampled_from([None, 1, 2, 3, 4]))
    cached = draw(st.booleans())
    coarse = draw(st.sampled_from([1, 2, 3, 3])) if cached and not alone else 1
    timed = is_async and draw(st.sampled_from([True, True, False]))
    scripts = []
    for _ in range(draw(st.integers(1, 3))):
        kind, failures = draw(st.sampled_from(KINDS)), draw(st.sampled_from([1, 2, 3, 99]))
        if kind == "late" and not timed:
            kind = "lost"
        if coarse > 1 and (kind not in TRIED_AGAIN or failures >= (attempts or 1)):
            failures = 99  # or who comes later would find it better
        scripts.append(Script(kind, failures))
    limits = draw(st.sets(st.integers(0, bounds - 1), max_size=2)) if bounds else ()
    ways = ["named", "collect"] if handled else [""] if alone else ["", "", "named", "collect"]
    return Leaf(
        next(numbers),
        tuple(scripts),
        is_async,
        attempts,
        draw(st.booleans()),
        cached,
        coarse,
        tuple(sorted(limits)),
        draw(st.sampled_from([0, 0, 1, -1])) if limits else 0,
        timed,
        draw(st.sampled_from(ways)),  # type: ignore[arg-type]
    )


@st.composite
def bodies(draw: st.DrawFn, numbers: Any, bounds: int, depth: int) -> tuple[Any, ...]:
    """One to three steps, one after the other."""
    made: list[Any] = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["leaf", "leaf", "fan", "fork", "rounds", *["map"] * (2 * depth)]))
        if kind == "leaf":
            made.append(draw(leaves(numbers, bounds)))
        elif kind == "fan":
            made.append(Fan(tuple(draw(leaves(numbers, bounds, handled=True)) for _ in range(2))))
        elif kind == "fork":
            pair = [draw(leaves(numbers, bounds)) for _ in range(2)]
            made.append(Fork(next(numbers), *pair))
        elif kind == "rounds":
            made.append(Rounds(next(numbers), draw(leaves(numbers, bounds, alone=True)), draw(st.integers(1, 3))))
        else:
            number = next(numbers)
            inner = draw(bodies(numbers, bounds, depth - 1))
            made.append(Over(number, draw(st.integers(0, 3)), inner, draw(st.integers(1, 4))))
    return tuple(made)


@st.composite
def guarded_graphs(draw: st.DrawFn) -> Guarded:
    """One to three maps, two deep at most."""
    numbers = count(1)
    bounds = []
    for _ in range(draw(st.integers(0, 2))):
        concurrency = draw(st.sampled_from([1, 2, 3, 4, None]))
        rate = draw(st.sampled_from([None, None, 1, 5, 20])) if concurrency else draw(st.sampled_from([2, 20]))
        burst = draw(st.sampled_from([None, 1, 3])) if rate else None
        bounds.append(Bound(concurrency, rate, burst))
    maps: list[Over] = []
    for place in range(draw(st.integers(1, 3))):
        body = draw(bodies(numbers, len(bounds), 1))
        width = draw(st.sampled_from([1, 2, 4, 16]))
        streams = place > 0 and draw(st.booleans())
        maps.append(Over(next(numbers), draw(st.integers(1, 8)), body, width, streams))
    return Guarded(tuple(maps), tuple(bounds))

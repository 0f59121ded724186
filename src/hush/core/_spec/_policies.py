"""What a leaf may be given besides its function: how often it is tried, within which limits, and what is remembered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from hush.core._expr._record import record
from hush.core.errors import UsageError

Kinds: TypeAlias = "type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool]"

LIMIT_PREFIX = "limit:"
"""What may stand before the name of a limit: ``limit:crm`` and ``crm`` mean the same."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Retry:
    """How often a node is tried again when it fails, and how long it waits before.

    The wait before attempt n + 1 is drawn evenly from 0 to ``backoff_s * factor ** (n - 1)``, but at most
    ``max_backoff_s`` (full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter). A failure
    that says when to come back (``Retry-After``, or an attribute ``retry_after_s``) is never retried before that.
    """

    max_attempts: int = 5
    on: Kinds | None = None
    backoff_s: float = 0.5
    factor: float = 2.0
    max_backoff_s: float = 30.0
    jitter: bool = True
    max_total_s: float | None = 600.0
    budget: float | None = 0.2


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True, repr=False)
class Limit:
    """How much may go on at once, and how often something may start: ``limit=Limit(concurrency=10, per_second=5)``.

    One object is one limit: everything that is given it, or its name, shares it, in all graphs, runs, event loops and
    threads of the process. Two objects are two limits, whatever they say. It may be made at import. Only leaves hold a
    limit, while their function is called: not while they wait to try again, and so that maps can nest as they like.
    Calls are admitted by priority, then in the order in which they came; one with several limits is admitted by all of
    them in the same instant, or waits. A call that is left behind in its thread keeps its place until it returns.

    A rate is exact: in no window of its length, wherever it begins, are there more starts, and without ``burst`` all of
    them may come at once. Since a server counts arrivals, and these are later than starts, a call leaves the window up
    to 3 % of its length later, if it took that long. A rate that is no whole number admits one start at a time: 0.5 a
    second is one in 2 s; above 20 it is rounded down.

    Tokens are counted at the start as ``tokens=`` of the node estimates them, and corrected when the reply is there: a
    function says what its call took by returning ``"usage"`` with ``total_tokens``, or ``input_tokens`` and
    ``output_tokens`` (``prompt_tokens`` and ``completion_tokens``), keys or attributes. Without an estimate, a call is
    taken to need what calls needed lately; the first one goes alone. A call that is estimated at more than a whole
    minute's tokens is admitted when the window is empty: the estimate may be wrong, and it could never be admitted
    otherwise.

    A failure that says when to come back (``Retry-After``, or an attribute ``retry_after_s``) closes the limit until
    then for everybody who shares it.

    Args:
        concurrency: How many calls may go on at once, 1 or more. ``"auto"`` finds out how many are good.
        per_second: How many calls may start in any second.
        per_minute: How many calls may start in any 60 seconds.
        tokens_per_minute: How many tokens calls may take in any 60 seconds.
        input_tokens_per_minute: The same of what calls send.
        output_tokens_per_minute: The same of what they are answered.
        burst: How many calls may start at one instant; further ones follow evenly, at the rate. Needs ``per_second`` or
            ``per_minute``; of two rates the slower one counts.
        name: What events and errors call it.
    """

    concurrency: int | Literal["auto"] | None = None
    per_second: float | None = None
    per_minute: float | None = None
    tokens_per_minute: float | None = None
    input_tokens_per_minute: float | None = None
    output_tokens_per_minute: float | None = None
    burst: int | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        given = self._given()
        for key, value in given.items():
            if key == "concurrency":
                good = _is_count(value) or value == "auto"
                right = 'a number of calls at once, 1 or more, or "auto"'
            elif key == "burst":
                good, right = _is_count(value), "the number of calls that may start at one instant, 1 or more"
            elif key == "name":
                good, right = isinstance(value, str) and bool(value), "a string"
            else:
                good, right = _is_rate(value), f"a number of {_UNITS[key]}, above 0"
            if not good:
                raise UsageError(f"Limit({key}={value!r}): it is {right}.")
        if not given.keys() - {"burst", "name"}:
            raise UsageError("Limit() names no bound: write Limit(concurrency=10) or Limit(per_second=5).")
        if self.burst is not None and self.per_second is None and self.per_minute is None:
            raise UsageError(
                f"Limit(burst={self.burst}) says how a rate begins, and there is none: add per_second= or per_minute=, "
                "or write concurrency= if it is how many calls may go on at once."
            )

    def _given(self) -> dict[str, Any]:
        return {key: value for key in _LIMIT_KEYS if (value := getattr(self, key)) is not None}

    def __repr__(self) -> str:
        return f"Limit({', '.join(f'{key}={value!r}' for key, value in self._given().items())})"


_LIMIT_KEYS = (
    "concurrency",
    "per_second",
    "per_minute",
    "tokens_per_minute",
    "input_tokens_per_minute",
    "output_tokens_per_minute",
    "burst",
    "name",
)
_UNITS = {
    "per_second": "starts in any second",
    "per_minute": "starts in any 60 seconds",
    "tokens_per_minute": "tokens in any 60 seconds",
    "input_tokens_per_minute": "tokens in any 60 seconds",
    "output_tokens_per_minute": "tokens in any 60 seconds",
}


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_rate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


@record
class Policies:
    """What is wrapped around the calls of one leaf, from outside in: cache, retry, admission.

    Attributes:
        cache: As ``cache=`` was given.
        version: What stands for the function in the keys of the cache, where its code cannot.
        retry: How often it is tried.
        limits: The limits that it is admitted by, all at once: objects, or names to be looked up.
        priority: Who waits with a higher one is admitted first.
        tokens: How many tokens one call is expected to take: a number, or a function of the node's inputs that gives
            one, or a mapping as ``usage`` is in a reply.
    """

    cache: Any = None
    version: str | None = None
    retry: Retry | None = None
    limits: tuple[Limit | str, ...] = ()
    priority: int = 0
    tokens: int | Callable[..., Any] | None = None


NO_POLICIES = Policies()

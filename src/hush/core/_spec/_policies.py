"""What a leaf may be given besides its function: how often it is tried, within which limits, and what is remembered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from hush.core._expr._arguments import checks_arguments
from hush.core._expr._record import record
from hush.core._spec._signature import name_of, signature_of
from hush.core.errors import UsageError

Kinds: TypeAlias = "type[Exception] | tuple[type[Exception], ...] | Callable[[Any], object]"

LIMIT_PREFIX = "limit:"
"""What may stand before the name of a limit: ``limit:crm`` and ``crm`` mean the same."""


@checks_arguments
@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Retry:
    """How often a node is tried again when it fails, and how long it waits before.

    The wait before attempt n + 1 is drawn evenly from 0 to ``backoff_s * factor ** (n - 1)``, but at most
    ``max_backoff_s`` (full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter). A failure
    that says when to come back (``Retry-After``, or an attribute ``retry_after_s``) is never retried before that, and a
    little later, so that not all come back at once: by up to ``backoff_s``.

    While it waits, a node holds no limit, though in a map its worker stays busy; cancelling ends the wait at once. A
    failure is retried only if trying again may help, and only until the first of three bounds: ``max_attempts``,
    ``max_total_s``, ``budget``. Then the node's own exception is its failure; a note says which bound it met, and
    ``exc.hush.attempt`` how many attempts were made. Never retried are a cancellation, mistakes of wiring (a missing
    key, wrong inputs), and calls that were left behind in their thread, which may still be at work.

    Where a limit has seen nothing but refusals (429, 503) for ten minutes, or for ``max_total_s`` if that is shorter,
    no call of those that share it is tried again until one is served: else each of many would wait for itself.

    One object may be given to any number of nodes, on any loop and in any thread; those that share it share its budget.

    Args:
        max_attempts: How often it is tried in all, the first time included; 1 never tries again.
        on: Which exceptions are retried, in place of the default: a class, a tuple of classes, or a function that is
            given the exception; it is called on the event loop. Of an ``ExceptionGroup`` all members must be of the
            classes. The default takes lost connections, timeouts, answers of HTTP with the status 408, 429 or 5xx,
            whatever carries ``retry_after_s``.
        backoff_s: Seconds that the first wait has at most.
        factor: By how much each wait may be longer than the one before; 1 for always the same.
        max_backoff_s: Seconds that no wait is longer than, unless the failure says to come back later.
        jitter: ``False`` waits the longest time each time, without drawing.
        max_total_s: A retry that could not start within so many seconds of the first attempt's beginning, time in
            queues included, is not made. ``None``: no bound. It ends no attempt under way; ``timeout_s`` bounds each.
        budget: How many retries there may be, as a fraction of the calls of the last ten seconds; 100 are always
            allowed in that time. Retries after which the call succeeds, and those for which the failure said when to
            come back, cost nothing. ``None``: no bound.

    Raises:
        UsageError: An argument is not of its type, or not in its range.
    """

    max_attempts: int = 5
    on: Kinds | None = None
    backoff_s: float = 0.5
    factor: float = 2.0
    max_backoff_s: float = 30.0
    jitter: bool = True
    max_total_s: float | None = 600.0
    budget: float | None = 0.2

    def __post_init__(self) -> None:
        attempts = self.max_attempts
        if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
            raise UsageError(
                f"Retry(max_attempts={attempts!r}): it is a whole number from 1 on, the first attempt included."
            )
        self._check_kinds()
        if not isinstance(self.jitter, bool):
            raise UsageError(f"Retry(jitter={self.jitter!r}): it is True or False.")
        _check(self.backoff_s, "backoff_s", "seconds from 0 on")
        _check(self.factor, "factor", "a number from 1 on", least=1)
        _check(self.max_backoff_s, "max_backoff_s", "seconds from 0 on")
        if self.max_total_s is not None:
            _check(self.max_total_s, "max_total_s", "seconds from 0 on, or None for no bound")
        if self.budget is not None:
            _check(self.budget, "budget", "a fraction of the calls, such as 0.2, or None for no bound")

    def _check_kinds(self) -> None:
        if self.on is None:
            return
        if callable(self.on) and not isinstance(self.on, type):
            signature = signature_of(self.on)
            if signature.awaited or signature.generates:
                kind = "an async" if signature.awaited else "a generator"
                raise UsageError(f"Retry(on={self.on!r}) is {kind} function, which is always true: make it a def.")
            return
        kinds = self.on if isinstance(self.on, tuple) else (self.on,)
        if not kinds or not all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds):
            raise UsageError(
                f"Retry(on={self.on!r}): it is a class of exceptions such as ConnectionError, a tuple of them, or a "
                "function that says of an exception whether to try again. Cancellations and the like never are: "
                "only what is below Exception."
            )

    def rule(self) -> Callable[[Exception], object] | None:
        """``on`` as a function, or ``None`` for the default."""
        on = self.on
        if on is None or not isinstance(on, type | tuple):
            return on
        kinds = on

        def is_one(error: BaseException) -> bool:
            if isinstance(error, kinds):
                return True
            return isinstance(error, ExceptionGroup) and all(is_one(member) for member in error.exceptions)

        return is_one

    def longest_s(self, attempt: int) -> float:
        """The longest wait after attempt ``attempt``, from 1, if the failure does not say when to come back."""
        try:
            return min(self.max_backoff_s, self.backoff_s * float(self.factor) ** (attempt - 1))
        except OverflowError:
            return self.max_backoff_s if self.backoff_s else 0.0


def _check(given: object, name: str, what: str, least: float = 0) -> None:
    if isinstance(given, bool) or not isinstance(given, int | float) or not least <= given < float("inf"):
        raise UsageError(f"Retry({name}={given!r}): it is {what}.")


@checks_arguments
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
    to 3 % of its length later, if it took that long; and later still, by half a second in all, while calls take longer
    than usual, as the first ones do that open connections. A rate that is no whole number admits one start at a time:
    0.5 a second is one in 2 s; above 20 it is rounded down.

    Tokens are counted at the start as ``tokens=`` of the node estimates them, and corrected when the reply is there: a
    function says what its call took by returning ``"usage"`` with ``total_tokens``, or ``input_tokens`` and
    ``output_tokens`` (``prompt_tokens`` and ``completion_tokens``), keys or attributes. Without an estimate, a call is
    taken to need what calls needed lately; the first one goes alone. A call that is estimated at more than a whole
    minute's tokens is admitted when the window is empty: the estimate may be wrong, and it could never be admitted
    otherwise.

    A failure that says when to come back (``Retry-After``, or an attribute ``retry_after_s``) closes the limit until
    then for everybody who shares it. Where calls are refused (429, 503) and none of four in a row was served, single
    calls try whether that is over, 0.1 to 2 s apart, before the others go on; after 10 s they go on in any case. Of
    a model, lost connections and other answers from 500 on count as refusals in that. What is tried again meanwhile
    costs no ``budget`` of its ``Retry``.

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
        for key in ("per_second", "per_minute"):
            rate = given.get(key)
            if self.burst is not None and self.burst > 1 and rate is not None and rate != int(rate):
                whole = f" Or say it by the minute: per_minute={rate * 60:g}." if key == "per_second" else ""
                raise UsageError(
                    f"Limit({key}={rate!r}, burst={self.burst}): with a fraction, calls start one at a time. Leave "
                    f"burst= out, or write a whole number.{whole}"
                )

    @staticmethod
    def _instead_of(name: str, value: object) -> str | None:
        """What to write in place of an argument that belongs to the node."""
        if name not in ("tokens", "priority"):
            return None
        meant = name_of(value) if callable(value) else repr(value)
        return f"It belongs to the node: CodeNode(..., limit=Limit(...), {name}={meant})."

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
class Uses:
    """The resources that serve a leaf: its function makes a request of the inputs, and one of them is asked.

    Attributes:
        category: What stands before the colon of their keys.
        names: As written; each call is served by one of them.
        ratios: How often each of ``names`` is asked, as shares; ``None`` for the first alone.
        fallback: Whom to turn to, in order, when those fail or are known to be down.
        serve: ``await serve(request, service, serving)`` gives the leaf's outputs, or ``Again`` (``_serving.py``).
        key: What of a request decides on its answer, as plain data, for the keys of caches.
        tokens: How many tokens a request is expected to take of a resource, as ``tokens=`` of a node gives it.
        finish: What becomes of a request and the outputs it was answered with, cached ones too, before they are the
            leaf's; ``None`` for nothing.
        outputs: The keys of the leaf's outputs; ``None`` if they are not known before.
        asked: ``asked(request, resource)`` gives what ``NodeCalled`` tells of a request; ``None`` for nothing. It is
            called if somebody listens.
        retry: How often each is tried where the leaf does not say it: all that ask one resource so share its budget,
            and one in place of which others can be asked is tried twice at most. ``None`` for once.
    """

    category: str
    names: tuple[str, ...]
    ratios: tuple[float, ...] | None
    fallback: tuple[str, ...]
    serve: Callable[[Any, Any, Any], Awaitable[Any]]
    key: Callable[[Any], Mapping[str, Any]]
    tokens: Callable[[Any, Any], Any]
    finish: Callable[[Any, Any], Mapping[str, Any]] | None = None
    outputs: frozenset[str] | None = None
    asked: Callable[[Any, Any], Mapping[str, Any]] | None = None
    retry: Retry | None = None

    def all_names(self) -> tuple[str, ...]:
        """All that may be asked, each once."""
        return tuple(dict.fromkeys((*self.names, *self.fallback)))


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
        uses: The resources that serve its calls.
    """

    cache: Any = None
    version: str | None = None
    retry: Retry | None = None
    limits: tuple[Limit | str, ...] = ()
    priority: int = 0
    tokens: int | Callable[..., Any] | None = None
    uses: Uses | None = None


NO_POLICIES = Policies()

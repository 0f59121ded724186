"""What a leaf may be given besides its function: how often it is tried, within which limits, and what is remembered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from hush.core._expr._record import record
from hush.core.errors import UsageError

Kinds: TypeAlias = "type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool]"


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


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Limit:
    """How much may go on at once, and how often something may start: one for all that share the object."""

    concurrency: int | Literal["auto"] | None = None
    per_second: float | None = None
    per_minute: float | None = None
    tokens_per_minute: float | None = None
    input_tokens_per_minute: float | None = None
    output_tokens_per_minute: float | None = None
    burst: int | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        if all(
            bound is None
            for bound in (
                self.concurrency,
                self.per_second,
                self.per_minute,
                self.tokens_per_minute,
                self.input_tokens_per_minute,
                self.output_tokens_per_minute,
            )
        ):
            raise UsageError("Limit() names no bound: write Limit(concurrency=10) or Limit(per_second=5).")


@record
class Policies:
    """What is wrapped around the calls of one leaf, from outside in: cache, retry, admission.

    Attributes:
        cache: As ``cache=`` was given.
        version: What stands for the function in the keys of the cache, where its code cannot.
        retry: How often it is tried.
        limits: The limits that it is admitted by, all at once: objects, or names to be looked up.
        priority: Who waits with a higher one is admitted first.
        tokens: How many tokens one call is expected to take: a number, or a function of the node's inputs.
    """

    cache: Any = None
    version: str | None = None
    retry: Retry | None = None
    limits: tuple[Limit | str, ...] = ()
    priority: int = 0
    tokens: int | Callable[..., int] | None = None


NO_POLICIES = Policies()

"""The policies of a leaf as they were written: checked at the line, and made into a record for its spec."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from hush.core._spec._policies import NO_POLICIES, Limit, Policies, Retry, Uses
from hush.core._spec._signature import name_of
from hush.core.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

Limits: TypeAlias = "Limit | str | list[Limit | str] | tuple[Limit | str, ...] | None"


LEAF_POLICIES = ("retry", "limit", "cache", "version", "priority", "tokens")


def on_a_leaf(name: str, value: object) -> str | None:
    """What to write in place of a policy on a node that makes no call; ``None`` if ``name`` is none."""
    if name not in LEAF_POLICIES:
        return None
    if name == "retry" and (value is True or _is_count(value)):
        meant = "Retry()" if value is True else f"Retry(max_attempts={value!r})"
    elif name == "limit" and _is_count(value):
        meant = f"Limit(concurrency={value!r})"
    else:
        meant = name_of(value) if callable(value) else repr(value)
    return f"Only a node that calls a function holds it: write it there, CodeNode(..., {name}={meant})."


def _is_count(value: object) -> bool:
    return type(value) is int and value > 0


def checked_policies(
    where: object,
    *,
    retry: Retry | None,
    limit: Limits,
    cache: str | Path | bool | None,
    version: str | None,
    priority: int,
    tokens: int | Callable[..., Any] | None,
    uses: Uses | None = None,
) -> Policies:
    """The record of these policies; ``UsageError`` at the line for what cannot be meant."""
    if retry is not None and not isinstance(retry, Retry):
        hint = "Retry()" if retry is True else f"Retry(max_attempts={retry!r})" if type(retry) is int else "Retry(...)"
        raise UsageError(f"retry={retry!r} at {where}: write retry={hint}.")
    limits = () if limit is None else tuple(limit) if isinstance(limit, list | tuple) else (limit,)
    for one in limits:
        if not isinstance(one, Limit | str) or not one:
            hint = f" Write limit=Limit(concurrency={one!r})." if _is_count(one) else _instead_of_semaphore(one)
            raise UsageError(
                f"limit={limit!r} at {where}: it is the name of a limit, a Limit(...), or a list of them.{hint}"
            )
    if isinstance(priority, bool) or not isinstance(priority, int):
        raise UsageError(f"priority={priority!r} at {where}: it is a whole number; higher ones are admitted first.")
    if tokens is not None and not callable(tokens) and (type(tokens) is not int or tokens < 0):
        raise UsageError(
            f"tokens={tokens!r} at {where}: it is a number, 0 or more, or a function of the node's inputs."
        )
    if not limits and uses is None and (priority or tokens is not None):
        given = "tokens=" if tokens is not None else "priority="
        raise UsageError(f"{given} at {where} speaks to a limit, and the node has none: add limit=.")
    cache = _checked_cache(where, cache, version)
    if retry is None and not limits and cache is None and uses is None:
        return NO_POLICIES
    return Policies(cache, version, retry, limits, priority, tokens, uses)


def _instead_of_semaphore(given: object) -> str:
    if not type(given).__name__.endswith("Semaphore"):
        return ""
    free = getattr(given, "_value", None)  # of asyncio's and of threading's
    return f" In place of a semaphore write limit=Limit(concurrency={free if _is_count(free) else 10})."


def _checked_cache(where: object, cache: str | Path | bool | None, version: str | None) -> str | None:
    """``"memory"``, or the path of a file."""
    if cache is None or cache is False:
        if version is not None:
            raise UsageError(f"version={version!r} at {where} is for the keys of a cache, and there is no cache=.")
        return None
    if version is not None and (not isinstance(version, str) or not version):
        raise UsageError(f'version={version!r} at {where}: it is a string, such as version="{version or 1}".')
    if cache is True:
        return "memory"
    path = cache if isinstance(cache, str) else cache.__fspath__() if hasattr(cache, "__fspath__") else None
    if not isinstance(path, str) or not path or path == ":memory:":
        raise UsageError(f'cache={cache!r} at {where}: it is "memory", or the path of a file: cache="answers.db".')
    if path.startswith("file:"):
        raise UsageError(f'cache={cache!r} at {where}: it is the path of a file, not a URI: cache="answers.db".')
    if isinstance(cache, str) and path != "memory" and not any(mark in path for mark in "./\\"):
        raise UsageError(
            f'cache={cache!r} at {where} is neither "memory" nor looks like a file. For a file of that name write '
            f'cache="{path}.db", or cache=Path({path!r}).'
        )
    return path

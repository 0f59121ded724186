"""What the nodes that ask a provider have in common: their keys, their patience, what they say of tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hush.core import Retry, UsageError
from hush.core.extend import nearest
from hush.providers._model import Usage

PATIENT = Retry(max_attempts=8, backoff_s=0.5, max_backoff_s=20.0, max_total_s=1800.0)
"""How often a model is asked that there is no other in place of.

Time in queues counts, which is minutes where tokens are scarce, and so does an answer that never comes: three times
the longest that one may take.
"""


def keys_of(kind: str, name: str, given: Any) -> tuple[str, ...]:
    """The keys of resources that a node was given; ``UsageError`` if they are none."""
    keys: tuple[Any, ...] = tuple(given) if isinstance(given, list | tuple) else (given,)
    if not all(isinstance(key, str) and key for key in keys):
        raise UsageError(f'{kind}({name}={given!r}): it is a key such as "gpt-4", or a list of them.')
    return keys


def refuse_unknown(kind: str, unknown: Mapping[str, Any], known: Sequence[str], inputs: Iterable[str]) -> None:
    """Raise for an argument that a node does not take; some belong into its inputs."""
    for name in unknown:
        if name in inputs:
            raise UsageError(f"{kind}({name}=...): it is an input: write inputs={{{name!r}: ...}}.")
        near = nearest(name, known)
        hint = f" Did you mean {near!r}?" if near else ""
        raise UsageError(f"{kind}(...) takes no argument {name!r}.{hint}")


def asked(resource: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What ``NodeCalled`` says of a request to a model."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return {**_who(resource), "parameters": given}


def _who(resource: Any) -> dict[str, Any]:
    names = (("requested", "model"), ("provider", "vendor"), ("server", "server"))
    return {said: getattr(resource, name, None) for said, name in names}


_OLDER_NAMES = ("prompt_tokens", "completion_tokens")


def about(resource: Any, usage: Usage, model: str | None, **more: str | None) -> dict[str, Any]:
    """What ``NodeAnswered`` says of a model's answer; ``more`` is what only some have, under its names there."""
    who = _who(resource)
    return {
        **who,
        "model": model or who["requested"],
        "usage": {name: count for name, count in usage_given([usage]).items() if name not in _OLDER_NAMES},
        "cost": resource.cost(usage, model or ""),
        **more,
    }


def usage_given(each: Sequence[Usage]) -> dict[str, int | None]:
    """What several answers took together, as a node gives it; ``None`` where no server says it."""

    def total(name: str) -> int | None:
        told = [value for one in each if (value := getattr(one, name)) is not None]
        return sum(told) if told else None

    given, answered = total("input_tokens"), total("output_tokens")
    both = None if given is None and answered is None else (given or 0) + (answered or 0)
    return {
        "input_tokens": given,
        "output_tokens": answered,
        "total_tokens": both,
        "cached_tokens": total("cached_tokens"),
        "cache_write_tokens": total("cache_write_tokens"),
        "reasoning_tokens": total("reasoning_tokens"),
        "prompt_tokens": given,
        "completion_tokens": answered,
    }

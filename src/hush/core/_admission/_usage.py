"""How many tokens a call takes: as a reply says under ``usage``, and as ``tokens=`` of a node expects."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hush.core._admission._limiter import NOT_KNOWN, Tokens

_NAMES = (("total_tokens",), ("input_tokens", "prompt_tokens"), ("output_tokens", "completion_tokens"))


def tokens_told(out: Any) -> Tokens:
    """What the outputs of a function say under ``usage``: a mapping or an object; nothing if they have none."""
    usage = out.get("usage") if isinstance(out, Mapping) else getattr(out, "usage", None)
    return NOT_KNOWN if usage is None else _tokens(usage)


def tokens_expected(value: Any) -> Tokens | None:
    """An estimate: a number, which counts for tokens of each kind, or what ``usage`` may be; ``None`` for neither."""
    if (number := _number(value)) is not None:
        return number, number, number
    found = _tokens(value)
    return None if found == NOT_KNOWN else found


def _tokens(usage: Any) -> Tokens:
    total, given, answered = [_number(_first(usage, names)) for names in _NAMES]
    if total is None and (given is not None or answered is not None):
        total = (given or 0) + (answered or 0)  # of one that tells only a part, at least that
    return total, given, answered


def _first(usage: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        found = usage.get(name) if isinstance(usage, Mapping) else getattr(usage, name, None)
        if found is not None:
            return found
    return None


def _number(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        return None
    return math.ceil(value)

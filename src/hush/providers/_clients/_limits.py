"""For how long nobody should ask again, by the headers of an answer that used the allowance up.

OpenAI tells durations (https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers), Anthropic times
(https://platform.claude.com/docs/en/api/rate-limits#response-headers).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

_OF_OPENAI = ("requests", "tokens")
_OF_ANTHROPIC = ("requests", "tokens", "input-tokens", "output-tokens")
_UNITS_S = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{0,12})?)(ms|us|µs|ns|d|h|m|s)")
_NUMBER = re.compile(r"[0-9]{1,6}(?:\.[0-9]{0,12})?")  # longer ones are no seconds to wait, but a time


def hold_s(headers: Mapping[str, str]) -> float | None:
    """Seconds until the last of the allowances that are used up starts anew; ``None`` if none is, or nobody says."""
    found = [
        duration_s(headers.get(f"x-ratelimit-reset-{kind}", ""))
        for kind in _OF_OPENAI
        if _is_zero(headers.get(f"x-ratelimit-remaining-{kind}"))
    ]
    found += [
        _until_s(headers.get(f"anthropic-ratelimit-{kind}-reset", ""), headers.get("date"))
        for kind in _OF_ANTHROPIC
        if _is_zero(headers.get(f"anthropic-ratelimit-{kind}-remaining"))
    ]
    return max((each for each in found if each > 0), default=None)


def duration_s(text: str) -> float:
    """Seconds of ``"6m0s"``, ``"12ms"``, ``"1.5s"`` or plain ``"3"``; 0 for what is none of them."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    parts = list(_PART.finditer(text))
    if not parts or "".join(part.group() for part in parts) != text:
        return 0.0
    seconds = sum(float(part[1]) * _UNITS_S[part[2]] for part in parts)
    return seconds if math.isfinite(seconds) else 0.0


def _is_zero(text: str | None) -> bool:
    return text is not None and re.fullmatch(r"\s*0+(?:\.0*)?\s*", text) is not None


def _until_s(reset: str, sent: str | None) -> float:
    """Seconds until ``reset`` (RFC 3339) by the clock of the server, or else our own."""
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    try:
        at = datetime.fromisoformat(reset.strip())
    except ValueError:
        return 0.0
    try:
        now = parsedate_to_datetime(sent) if sent else datetime.now(UTC)
    except ValueError:
        now = datetime.now(UTC)
    aware = [each if each.tzinfo is not None else each.replace(tzinfo=UTC) for each in (at, now)]
    return max(0.0, (aware[0] - aware[1]).total_seconds())

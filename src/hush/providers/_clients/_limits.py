"""For how long nobody should ask again, by the headers of an answer that used the allowance up.

OpenAI tells durations (https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers), others in its
form times since the epoch, Anthropic times (https://platform.claude.com/docs/en/api/rate-limits#response-headers).
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
_TIME = re.compile(r"([0-9]{10}|[0-9]{13})(?:\.[0-9]{0,9})?")


def hold_s(headers: Mapping[str, str], *, refused: bool = False) -> float | None:
    """Seconds until the last of the allowances that are used up starts anew; ``None`` if none is, or nobody says.

    With ``refused``, of a 429, an allowance of which nobody says how much is left counts as used up.
    """
    names = [
        *((f"x-ratelimit-remaining-{kind}", f"x-ratelimit-reset-{kind}") for kind in _OF_OPENAI),
        *((f"anthropic-ratelimit-{kind}-remaining", f"anthropic-ratelimit-{kind}-reset") for kind in _OF_ANTHROPIC),
    ]
    sent = headers.get("date")
    found = [
        duration_s(headers[reset]) or _until_s(headers[reset], sent)
        for left, reset in names
        if reset in headers and _is_zero(headers.get(left, "0" if refused else ""))
    ]
    if _is_zero(headers.get("x-ratelimit-remaining", "0" if refused else "")):
        # A plain number there is seconds with one vendor and something else with the next: only a time is plain.
        found.append(_until_s(headers.get("x-ratelimit-reset", ""), sent))
    return max((each for each in found if each > 0), default=None)


def asks_back(text: str | None) -> bool:
    """Whether a ``Retry-After`` can be read: seconds, or a date (RFC 9110, 10.2.3)."""
    from email.utils import parsedate_to_datetime

    if text is None:
        return False
    if re.fullmatch(r"\s*[0-9]{1,12}(?:\.[0-9]{0,12})?\s*", text):
        return True
    try:
        parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return False
    return True


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


def _is_zero(text: str) -> bool:
    return re.fullmatch(r"\s*0+(?:\.0*)?\s*", text) is not None


def _until_s(reset: str, sent: str | None) -> float:
    """Seconds until ``reset``, by the clock of the server, or else our own; 0 for what is no time.

    It is written as RFC 3339 has it, or in seconds or milliseconds since the epoch.
    """
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    reset = reset.strip()
    since_epoch = _TIME.fullmatch(reset)
    try:
        if since_epoch:
            at = datetime.fromtimestamp(float(reset) / (1000 if len(since_epoch[1]) > 10 else 1), UTC)
        else:
            at = datetime.fromisoformat(reset)
    except (ValueError, OverflowError, OSError):
        return 0.0
    try:
        now = parsedate_to_datetime(sent) if sent else datetime.now(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        now = datetime.now(UTC)
    aware = [each if each.tzinfo is not None else each.replace(tzinfo=UTC) for each in (at, now)]
    return max(0.0, (aware[0] - aware[1]).total_seconds())

"""Previews as they are written: what any file and any wire can hold."""

from __future__ import annotations

import json
from typing import Any


def dumped(values: Any) -> str:
    """The JSON of them, if that is plain."""
    text = json.dumps(values, allow_nan=False, ensure_ascii=False)
    text.encode()  # no lone surrogate
    assert "\0" not in text
    assert r"\u0000" not in text
    return text

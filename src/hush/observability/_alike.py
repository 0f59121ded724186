"""``pattern_of``: what two messages have in common that say the same of different values."""

from __future__ import annotations

import re

_LONGEST = 500  # characters of a message that tell causes apart

# Each is linear in the text: no part of a pattern can match what the next one may.
_QUOTED = re.compile(r"""(?<!\w)'[^'\n]*'(?!\w)|"[^"\n]*"|`[^`\n]*`|“[^”\n]*”|«[^»\n]*»""")
_WORDS = re.compile(r"[\w.+-]*\d[\w.+-]*", re.ASCII)
_REST = re.compile(r"\s+")


def pattern_of(message: str) -> str:
    """The first line of a message with ``…`` in place of quoted values and of words with digits in them."""
    line = message.strip().partition("\n")[0][:_LONGEST]
    line = _QUOTED.sub("…", line)
    line = _WORDS.sub("…", line)
    return _REST.sub(" ", line)

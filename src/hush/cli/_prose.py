"""``prose``: sentences of a report, over as many lines as they need, and how what they are about is named in them."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from rich.cells import cell_len
from rich.text import Text

from hush.cli._words import name
from hush.observability._report import Report

FEW = 5
"""Where not everything is asked for, so many are shown of what is alike; the rest is counted."""


def prose(text: str, width: int, style: str = "") -> Iterator[Text]:
    """A sentence, in as many lines as it takes, whose first is indented by as much as ``text`` is."""
    left = " " * (len(text) - len(text.lstrip()))
    if cell_len(text) <= width:
        yield Text(text, style=style)
        return
    room = max(20, (width if cell_len(text) <= len(text) else width // 2) - len(left))
    for line in wrap(text.strip(), room, subsequent_indent="  ", break_on_hyphens=False):
        yield Text(f"{left}{line}", style=style)


def below(report: Report, path: str) -> str:
    """A node's path without the graph's name, which stands at the top."""
    return name(path.removeprefix(f"{report.run.name}/"), 50)


def first_line(message: str) -> str:
    """Of a message of several."""
    return message.strip().partition("\n")[0]

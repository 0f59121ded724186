"""Which maps stream from which, as a drawing tells it."""

from __future__ import annotations

import re
from typing import Any

_FLOW = re.compile(r"(barrier: waits for all of|stream: starts with the first of) (.+?)(?: \(.*)?$")
_MAP = re.compile(r"([\w-]+) +(?:map|for) · ")
_ARROW = re.compile(r'n_(\w+) ==>\|"(stream|barrier)[^|]*\| n_(\w+)')


def flows_in_text(graph: Any) -> dict[tuple[str, str], str]:
    """(from, to) → "stream" or "barrier", for maps whose names are unique in the whole graph."""
    found, owner = {}, ""
    for line in graph.to_text(width=None).split("\n"):
        if named := _MAP.search(line):
            owner = named[1]
        elif flow := _FLOW.search(line):
            kind = flow[1].partition(":")[0]
            for before in re.split(r", | and ", flow[2].strip()):
                assert (before, owner) not in found, f"{before} to {owner} is drawn twice"
                found[before, owner] = kind
    return found


def flows_in_mermaid(graph: Any) -> dict[tuple[str, str], str]:
    """The same of the other drawing."""
    return {(before, after): kind for before, kind, after in _ARROW.findall(graph.to_mermaid())}


def flows(graph: Any) -> dict[tuple[str, str], str]:
    """What both say; they must say the same."""
    text = flows_in_text(graph)
    assert flows_in_mermaid(graph) == text
    return text

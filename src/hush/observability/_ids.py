"""Ids of traces and spans: made of what a run's events say, so the same events give the same ids."""

from __future__ import annotations

from hashlib import blake2b


def trace_id(run: str, path: str, wall_ns: int, at_ns: int) -> str:
    """The id of a run's trace: made of what no two runs have in common, however they are called."""
    return blake2b(f"{run}\0{path}\0{wall_ns}\0{at_ns}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class Ids:
    """Ids of the spans of one trace, by number: whoever knows the number of a node's start knows its span's id.

    Args:
        trace: The trace's id, kept as an attribute.
        nodes: Whether they are for nodes, by the numbers of their starts; all other spans are counted here.
        seen: The numbers of nodes whose ids somebody has been told of who hangs spans of his own under them.
    """

    __slots__ = ("_base", "_last", "seen", "trace")

    def __init__(self, trace: str, *, nodes: bool, seen: set[int] | None = None) -> None:
        self.trace = trace
        self.seen = set[int]() if seen is None else seen
        self._base = int(trace[:16] if nodes else trace[16:], 16)
        self._last = 0

    def of(self, number: int) -> str:
        """The id with this number, below 2**64: 16 hexadecimal digits, not all of them 0."""
        return (self._base ^ number or 1).to_bytes(8).hex()  # a third of what it costs to write it as a number

    def next(self) -> int:
        """The next number, from 1, for whoever is not told one."""
        self._last += 1
        return self._last


NO_IDS = Ids("0" * 32, nodes=True)

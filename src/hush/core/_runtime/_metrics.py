"""``iteration_metrics``: what a map or loop tells of its iterations, for those who read it."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

_PERCENTILES = (50, 95, 99)


class Latencies:
    """How long iterations took, in nanoseconds. Only where somebody reads the metrics: it costs a clock read each."""

    __slots__ = ("_all_ns",)

    def __init__(self) -> None:
        self._all_ns = array("q")

    def add(self, took_ns: int) -> None:
        """One iteration ended, well or not."""
        self._all_ns.append(took_ns)

    def metrics(self, succeeded: int, failed: int) -> dict[str, Any]:
        """The counts and the latencies; those are 0 where nothing was measured."""
        ordered = sorted(self._all_ns)
        found: dict[str, Any] = {
            "total_iterations": succeeded + failed,
            "success_count": succeeded,
            "error_count": failed,
            "latency_avg_ms": sum(ordered) / len(ordered) / 1e6 if ordered else 0.0,
        }
        for percent in _PERCENTILES:
            found[f"latency_p{percent}_ms"] = _percentile(ordered, percent) / 1e6 if ordered else 0.0
        return found


def _percentile(ordered: Sequence[int], percent: int) -> int:
    """The smallest value that at least ``percent`` of all do not exceed (nearest rank)."""
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]

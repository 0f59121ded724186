"""A span and a run as exporters are handed them; for processes that start fast, without hypothesis."""

from __future__ import annotations

from typing import Any

from hush.observability._span import RunRecord, Span


def span(number: int = 0, trace: str = "a" * 32, **changed: Any) -> Span:
    """One span among many: `number` makes its id and its times."""
    usual = Span(
        trace, f"{number:016x}", None, "code", "fetch", "etl/fetch", (), "ok", 10**18 + number, 10**18 + number + 5
    )
    return usual._replace(**changed)


def run(trace: str = "a" * 32, request_id: str = "request", status: str = "ok", **changed: Any) -> RunRecord:
    """One run, that has ended unless its status says otherwise."""
    ended = None if status == "running" else 10**18 + 10**9
    return RunRecord(trace, request_id, "etl", status, 10**18, ended)._replace(**changed)  # type: ignore[arg-type]

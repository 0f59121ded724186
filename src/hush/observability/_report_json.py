"""``report_json``: a report as plain JSON values, in a shape that programs may rely on.

Seconds are floats, instants are nanoseconds since the epoch, and what is not known is ``null``. ``version`` is 1; it
changes when a name goes or changes its meaning, not when one is added.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hush.observability._attempts import Rerouted, Retried
from hush.observability._causes import FailureGroup
from hush.observability._node_use import NodeUse
from hush.observability._report import Report
from hush.observability._source import SourceLines
from hush.observability._span import Failure, RunRecord, Span

VERSION = 1


def report_json(report: Report, *, spans: Iterable[Span] | None = None, lines: SourceLines | None = None) -> Any:
    """The report as dicts and lists, with ``spans``, and with the source of tracebacks, if they are given."""
    found: dict[str, Any] = {
        "version": VERSION,
        "run": run_json(report.run)
        | {
            "seconds": report.seconds,
            "until_ns": report.until_ns,
            "spans": {
                "produced": report.run.produced,
                "kept": report.kept,
                "left_out": report.run.left_out,
                "dropped": report.run.dropped,
            },
            "items": {"done": report.items[0], "failed": report.items[1]},
            "cached": report.cached,
            "failure": None if report.run.failure is None else failure_json(report.run.failure, lines),
        },
        "failures": [_group(group, lines) for group in report.failures],
        "unseen_failures": [{"path": one.path, "count": one.number} for one in report.unseen],
        "time": _plain(report.time),
        "nodes": [_node(node) for node in report.nodes],
        "slowest_calls": [_plain(call) for call in report.slowest],
        "under_way": [_plain(call) for call in report.under_way],
        "models": [_plain(model) for model in report.models],
        "generations": {"seen": report.generations[0], "calls": report.generations[1]},
        "rerouted": [{"path": one.path, "resource": one.resource} | _vain(one, lines) for one in report.rerouted],
        "retried": [{"path": one.path} | _vain(one, lines) for one in report.retried],
        "waited_for": [_plain(link) for link in report.waited_for],
    }
    if spans is not None:
        found["spans"] = [span_json(span) for span in spans]
    return found


def _vain(one: Retried | Rerouted, lines: SourceLines | None) -> dict[str, Any]:
    first = failure_json(one.first, lines)
    return {"count": one.times, "first": first, "others": one.others, "exact": one.exact}


def run_json(run: RunRecord) -> dict[str, Any]:
    """What identifies a run and how it ended."""
    return {
        "trace": run.trace,
        "request_id": run.request_id,
        "name": run.name,
        "status": run.status,
        "started_ns": run.started_ns,
        "ended_ns": run.ended_ns,
        "user_id": run.user_id,
        "session_id": run.session_id,
        "tags": list(run.tags),
    }


def failure_json(failure: Failure, lines: SourceLines | None = None) -> dict[str, Any]:
    """An error with its traceback and its causes."""
    return {
        "type": failure.type,
        "message": failure.message,
        "path": failure.path,
        "notes": list(failure.notes),
        "frames": [
            frame._asdict() | ({} if lines is None else {"source": lines.line(frame)}) for frame in failure.frames
        ],
        "causes": [failure_json(cause, lines) for cause in failure.causes],
    }


def span_json(span: Span) -> dict[str, Any]:
    """A span: its attributes by name, those left out that say nothing."""
    found: dict[str, Any] = {}
    for name, value in span._asdict().items():
        if value is None or value == ():
            continue
        if name == "failure":
            found[name] = failure_json(value)
        elif name == "rerouted":
            found[name] = [{"resource": resource, "failure": failure_json(failure)} for resource, failure in value]
        elif name == "waits":
            found[name] = [_plain(wait) for wait in value]
        else:
            found[name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    """A record and what is in it as JSON knows it."""
    if isinstance(value, tuple):
        names = getattr(value, "_fields", None)
        if names is None:
            return [_plain(one) for one in value]
        return {name: _plain(one) for name, one in zip(names, value, strict=True)}
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return value


def _group(group: FailureGroup, lines: SourceLines | None) -> dict[str, Any]:
    return {
        "path": group.path,
        "kind": group.kind,
        "type": group.type,
        "pattern": group.pattern,
        "place": None if group.place is None else group.place._asdict(),
        "outcome": group.outcome,
        "count": group.number,
        "seen": group.seen,
        "first": [_plain(call) for call in group.first],
        "failure": failure_json(group.failure, lines),
        "inputs": _plain(group.inputs),
        "attempts": {"fewest": group.attempts[0], "most": group.attempts[1]},
        "passed_on": [{"path": path, "count": count} for path, count in group.passed_on],
    }


def _node(node: NodeUse) -> dict[str, Any]:
    return {**_plain(node), "inside_s": node.inside_s}

"""Spans and runs as rows, and back: a few columns to search by, and one JSON object of whatever is not usual."""

from __future__ import annotations

import json
import json.encoder
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from hush.observability._local._problems import Damaged
from hush.observability._local._schema import FAILED
from hush.observability._span import (
    AskedInVain,
    FailedAttempts,
    Failure,
    Frame,
    Generation,
    ModelUse,
    RunRecord,
    Span,
    Totals,
    Wait,
)

Row: TypeAlias = tuple[Any, ...]

SPAN_COLUMNS = (
    *("id", "span", "parent", "kind", "name", "path", "items", "status"),
    *("started_ns", "ended_ns", "ready_ns", "called_ns", "error", "more"),
)
RUN_COLUMNS = (
    *("trace", "request_id", "name", "status", "started_ns", "ended_ns", "user_id", "session_id"),
    *("produced", "left_out", "dropped", "process", "error", "more"),
)
_ERROR = 500  # characters of it in its own column; all of it is in `more`

_SPAN_OWN = frozenset({"trace", "id", *SPAN_COLUMNS})
_RUN_OWN = frozenset(RUN_COLUMNS)


def _rest(kind: Any, own: frozenset[str]) -> tuple[tuple[int, str, Any], ...]:
    defaults = kind._field_defaults
    return tuple((at, name, defaults[name]) for at, name in enumerate(kind._fields) if name not in own)


_SPAN_REST = _rest(Span, _SPAN_OWN)
_RUN_REST = _rest(RunRecord, _RUN_OWN)

_FROM = len(SPAN_COLUMNS) - len(("error", "more"))  # before it the columns, but for the first, are a span's own fields
_ITEMS = SPAN_COLUMNS.index("items")


# ── To rows ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _unknown(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else f"<{type(value).__name__}>"


def _encoder() -> Callable[[Any], str]:
    """What ``json.dumps`` makes anew for each call, which costs more than the writing of a few values."""
    usual = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False, default=_unknown).encode
    make = getattr(json.encoder, "c_make_encoder", None)
    quote = getattr(json.encoder, "c_encode_basestring", None)
    if make is None or quote is None:
        return usual
    encode = make(None, _unknown, quote, None, ":", ",", False, False, True)
    join = "".join
    return lambda value: join(encode(value, 0))


written = _encoder()
UNWRITABLE = (TypeError, ValueError, AttributeError, RecursionError)


def span_row(number: int, span: Span) -> Row:
    """The row of ``span``, in the order of ``SPAN_COLUMNS``."""
    status, error = span.status, None
    more = {name: _plain(name, span[at]) for at, name, usual in _SPAN_REST if span[at] != usual}
    if span.failure is not None:
        error = _error(span.failure, status)
    return (
        number,
        *span[1:_ITEMS],
        indexes(span.items) if span.items else None,
        *span[_ITEMS + 1 : _FROM],
        status if error is None and status in FAILED else error,
        _json(more) if more else None,
    )


def indexes(items: tuple[int, ...]) -> str:
    """Those of maps, as a text."""
    return str(items[0]) if len(items) == 1 else ",".join(map(str, items))


def run_row(run: RunRecord, process: int) -> Row:
    """The row of ``run``, in the order of ``RUN_COLUMNS``."""
    more = {name: _plain(name, run[at]) for at, name, usual in _RUN_REST if run[at] != usual}
    error = None if run.failure is None else _error(run.failure, run.status)
    return (
        *(run.trace, run.request_id, run.name, run.status, run.started_ns, run.ended_ns, run.user_id, run.session_id),
        *(run.produced, run.left_out, run.dropped, process, error, _json(more) if more else None),
    )


def _error(failure: Failure, status: str) -> str | None:
    """In short. What was cancelled has not failed: its ``more`` alone says why."""
    return None if status == "cancelled" else f"{failure.type}: {failure.message}"[:_ERROR]


def more_of(inputs: Mapping[str, Any] | None, outputs: Mapping[str, Any] | None) -> str | None:
    """The JSON of what a span read and gave, if nothing else is known of it."""
    both = {"inputs": inputs, "outputs": outputs}
    known = {name: values for name, values in both.items() if values is not None}
    return _json(known) if known else None


def _json(more: dict[str, Any]) -> str:
    try:
        return written(more)
    except UNWRITABLE as exc:  # the span is worth more than what it gave
        lost = {"…": f"not written: {type(exc).__name__}"}
        for name in ("inputs", "outputs"):
            if name in more:
                more[name] = lost
        try:
            return written(more)
        except UNWRITABLE:
            return written({"inputs": lost})


def _plain(name: str, value: Any) -> Any:
    if name == "failure":
        return _failure(value)
    if name == "rerouted":
        return [(key, _failure(failure)) for key, failure in value]
    if name == "waits":
        return [_wait(one) for one in value]
    if name == "totals":
        return [_totals(one) for one in value]
    if name == "generation":
        return {key: part for key, part in value._asdict().items() if part is not None}
    return value


def _wait(wait: Wait) -> dict[str, Any]:
    found = wait._asdict()
    if wait.let_in_ns is None:  # most calls do not wait
        del found["let_in_ns"]
    return found


def _totals(totals: Totals) -> dict[str, Any]:
    usual = Totals._field_defaults
    found = {name: value for name, value in totals.as_data().items() if name not in usual or value != usual[name]}
    for name in ("failed_attempts", "in_vain"):
        sums = getattr(totals, name)
        if sums is not None:
            found[name] = [{**one._asdict(), "first": _failure(one.first)} for one in sums]
    return found


def _failure(failure: Failure) -> dict[str, Any]:
    found: dict[str, Any] = {"type": failure.type, "message": failure.message}
    if failure.path is not None:
        found["path"] = failure.path
    if failure.frames:
        found["frames"] = failure.frames
    if failure.notes:
        found["notes"] = failure.notes
    if failure.causes:
        found["causes"] = [_failure(cause) for cause in failure.causes]
    return found


def storable(value: Any) -> Any:
    """``value``, or its bytes if it is a text that SQLite cannot hold."""
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-8", "surrogatepass")
    return value


# ── And back ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _text(value: Any) -> Any:
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value


def _texts(row: Row) -> Row:
    return tuple(map(_text, row)) if bytes in map(type, row) else row


_NOBODYS = (ValueError, TypeError, AttributeError, LookupError, RecursionError)
"""What reading raises of JSON that is none, or that has something else in the place of something."""


def span_of(trace: str, row: Row, *, crashed: bool) -> Span:
    """The span of a row as ``span_row`` makes it; ``crashed``: the process that ran it is gone.

    Raises ``Damaged`` if nobody can have written it.
    """
    try:
        _, span, parent, kind, name, path, items, status, started, ended, ready, called, _, more = _texts(row)
        return Span(
            trace,
            span,
            parent,
            kind,
            name,
            path,
            tuple(map(int, items.split(","))) if items else (),
            "crashed" if crashed and status == "running" else status,
            started,
            ended,
            ready,
            called,
            **_read(more, _SPAN_NAMES),
        )
    except _NOBODYS as exc:
        raise Damaged(f"what is written of the span {row[1]!r}: {type(exc).__name__}: {exc}") from exc


def run_of(row: Row, *, crashed: bool) -> RunRecord:
    """The record of a row as ``run_row`` makes it, and after that the last beat of its process.

    ``crashed``: that process is gone. Raises ``Damaged`` if nobody can have written it.
    """
    try:
        values = _texts(row)
        own = dict(zip(RUN_COLUMNS[:11], values, strict=False))
        if crashed and own["status"] == "running":
            own["status"] = "crashed"
        more = _read(values[13], _RUN_NAMES)
        if own["status"] == "crashed":
            more["seen_ns"] = row[len(RUN_COLUMNS)]
        return RunRecord(**own, **more)
    except _NOBODYS as exc:
        raise Damaged(f"what is written of the run {row[0]!r}: {type(exc).__name__}: {exc}") from exc


_SPAN_NAMES = frozenset(name for _, name, _ in _SPAN_REST)
_RUN_NAMES = frozenset(name for _, name, _ in _RUN_REST)


def _read(more: str | None, known: frozenset[str]) -> dict[str, Any]:
    if more is None:
        return {}
    return {name: _value(name, value) for name, value in json.loads(more).items() if name in known}


def _value(name: str, value: Any) -> Any:
    if name == "failure":
        return _failure_of(value)
    if name == "rerouted":
        return tuple((key, _failure_of(failure)) for key, failure in value)
    if name == "waits":
        return tuple(Wait(**dict(_known(Wait, one), limits=tuple(one["limits"]))) for one in value)
    if name == "totals":
        return tuple(_totals_of(one) for one in value)
    if name == "generation":
        return Generation(**_known(Generation, value))
    return tuple(value) if name == "tags" else value


def _totals_of(value: Mapping[str, Any]) -> Totals:
    found = Totals(**_known(Totals, value))
    models = tuple(ModelUse(**_known(ModelUse, one)) for one in value.get("models", ()))
    return found._replace(
        models=models,
        failed_attempts=_sums_of(FailedAttempts, value.get("failed_attempts")),
        in_vain=_sums_of(AskedInVain, value.get("in_vain")),
    )


def _sums_of(kind: Any, values: Iterable[Mapping[str, Any]] | None) -> tuple[Any, ...] | None:
    if values is None:  # an earlier version did not count them
        return None
    return tuple(kind(**dict(_known(kind, one), first=_failure_of(one["first"]))) for one in values)


def _known(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what a later version may have added."""
    return {name: value for name, value in values.items() if name in kind._fields}


def _failure_of(value: Mapping[str, Any]) -> Failure:
    return Failure(
        value["type"],
        value["message"],
        tuple(Frame(*frame) for frame in value.get("frames", ())),
        tuple(value.get("notes", ())),
        tuple(_failure_of(cause) for cause in value.get("causes", ())),
        value.get("path"),
    )

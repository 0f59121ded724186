"""Hypothesis strategies for what exporters are handed: spans, runs and batches, with the texts that break files."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

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

STATUSES = ["ok", "ok", "ok", "failed", "handled", "partial", "skipped", "cancelled"]
KINDS = ["run", "item", "round", "attempt", "code", "graph", "map", "branch", "prompt", "llm", "embedding", "mine"]
# What is cut, quoted, encoded or ended early somewhere.
NASTY = [
    "",
    "a\0b",
    "\ud800",
    "'; DROP TABLE runs; --",
    '"',
    "\\",
    "../../etc/passwd",
    "\n\r\t",
    "đường 🙂",
    "%s%00",
    "null",
]


def built(kind: type[Any], /, *args: Any, **named: Any) -> st.SearchStrategy[Any]:
    """Records of ``kind`` of what is given; hypothesis would make up each field of a NamedTuple that is not."""
    return st.builds(lambda *values, **fields: kind(*values, **fields), *args, **named)


texts = st.one_of(st.sampled_from(NASTY), st.text(max_size=12), st.text(st.characters(codec=None), max_size=6))
names = st.sampled_from(["fetch", "etl/fetch", "etl/each/ask", "đọc/ghi"]) | texts
traces = st.integers(0, 2**128 - 1).map("{:032x}".format)
ids = st.integers(0, 2**64 - 1).map("{:016x}".format)
instants = st.integers(1_600_000_000_000_000_000, 1_900_000_000_000_000_000)
amounts = st.integers(0, 10**9)
seconds = st.floats(0, 1e6, allow_nan=False)

plain: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
"""Values as previews give them: what JSON can hold."""

values = st.dictionaries(texts, plain, max_size=3)
tags = st.lists(texts, max_size=3).map(tuple)


def _failure(causes: st.SearchStrategy[tuple[Failure, ...]]) -> st.SearchStrategy[Failure]:
    frames = st.lists(built(Frame, texts, st.integers(0, 9_999), texts), max_size=2).map(tuple)
    return built(Failure, texts, texts, frames, tags, causes)


failures = _failure(st.lists(_failure(st.just(())), max_size=2).map(tuple))
waits = built(
    Wait,
    st.lists(texts, max_size=2).map(tuple),
    instants,
    st.none() | instants,
    st.none() | instants,
    st.integers(1, 9),
    st.none() | instants,
)
generations = built(
    Generation,
    st.none() | texts,
    st.none() | texts,
    st.none() | st.dictionaries(st.sampled_from(["input_tokens", "cached_tokens"]) | texts, amounts, max_size=2),
    st.none() | seconds,
    st.none() | texts,
    st.none() | st.dictionaries(st.sampled_from(["seed", "stop", "top_p"]) | texts, plain, max_size=3),
)
totals = built(
    Totals,
    path=names,
    kind=st.sampled_from(KINDS),
    calls=amounts,
    failed=amounts,
    skipped=amounts,
    cached=amounts,
    attempts=amounts,
    ready_s=seconds,
    seconds=seconds,
    waited_s=st.dictionaries(texts, seconds, max_size=2),
    retry_s=seconds,
    called_s=seconds,
    slowest_s=seconds,
    models=st.lists(
        st.builds(ModelUse, texts, amounts, amounts, st.dictionaries(texts, amounts, max_size=2), st.none() | seconds),
        max_size=2,
    ).map(tuple),
    threaded=amounts,
    thread_s=seconds,
    thread_wait_s=seconds,
    joined_s=st.none() | seconds,
    failed_attempts=st.none()
    | st.lists(built(FailedAttempts, failures, amounts, amounts, seconds, st.booleans()), max_size=2).map(tuple),
    in_vain=st.none() | st.lists(built(AskedInVain, texts, failures, amounts, st.booleans()), max_size=2).map(tuple),
)


def spans(trace: st.SearchStrategy[str] = traces) -> st.SearchStrategy[Span]:
    """Spans that have ended; their ids may be the same only by chance."""
    usual = built(
        Span,
        trace,
        ids,
        st.none() | ids,
        st.sampled_from(KINDS),
        names,
        names,
        st.lists(st.integers(0, 10**7), max_size=2).map(tuple),
        st.sampled_from(STATUSES),
        instants,
        instants,
        inputs=st.none() | values,
        outputs=st.none() | values,
    )
    full = built(
        Span,
        trace,
        ids,
        st.none() | ids,
        st.sampled_from(KINDS),
        names,
        names,
        st.lists(st.integers(0, 10**7), max_size=3).map(tuple),
        st.sampled_from(STATUSES),
        instants,
        instants,
        ready_ns=st.none() | instants,
        called_ns=st.none() | instants,
        first_ns=st.none() | instants,
        key=st.none() | texts,
        round=st.none() | amounts,
        attempt=st.none() | st.integers(1, 9),
        attempts=st.integers(0, 9),
        waits=st.lists(waits, max_size=2).map(tuple),
        retry_s=seconds,
        cached=st.sampled_from([None, "hit", "joined"]),
        rerouted=st.lists(st.tuples(texts, failures), max_size=2).map(tuple),
        failure=st.none() | failures,
        tags=tags,
        inputs=st.none() | values,
        outputs=st.none() | values,
        generation=st.none() | generations,
        done=st.none() | amounts,
        failed=st.none() | amounts,
        left_out=st.none() | amounts,
        total=st.none() | amounts,
        thread_s=st.none() | seconds,
    )
    leaves = usual.map(lambda span: span._replace(status="ok", ready_ns=span.started_ns - 5, called_ns=span.started_ns))
    queued = leaves.map(lambda span: span._replace(called_ns=span.started_ns + 7))
    unready = leaves.map(lambda span: span._replace(ready_ns=None))
    keyed = leaves.map(lambda span: span._replace(key="k"))
    return usual | leaves | queued | unready | keyed | full


def runs(trace: st.SearchStrategy[str] = traces) -> st.SearchStrategy[RunRecord]:
    """Runs that have ended."""
    return built(
        RunRecord,
        trace,
        texts,
        names,
        st.sampled_from(["ok", "partial", "failed", "cancelled"]),
        instants,
        instants,
        user_id=st.none() | texts,
        session_id=st.none() | texts,
        tags=tags,
        failure=st.none() | failures,
        produced=amounts,
        left_out=amounts,
        dropped=amounts,
        items=amounts,
        items_failed=amounts,
        totals=st.lists(totals, max_size=2).map(tuple),
    )

"""Records of a run as exporters get them, made by hand: every kind of span once, with fixed ids and times."""

from __future__ import annotations

from typing import Any

from hush.observability._span import Batch, Failure, Frame, Generation, RunRecord, Span, Totals, Wait

TRACE = "0af7651916cd43dd8448eb211c80319c"
START = 1_700_000_000_000_000_000
MS = 1_000_000


def at(ms: float) -> int:
    """An instant, by milliseconds since the run began."""
    return START + round(ms * MS)


def span(number: int, parent: int | None = 1, **more: Any) -> Span:
    """The span with an id of that number; what is not said of it is plain."""
    given: dict[str, Any] = {
        "trace": TRACE,
        "id": f"{number:016x}",
        "parent": None if parent is None else f"{parent:016x}",
        "kind": "code",
        "name": f"n{number}",
        "path": f"n{number}",
        "items": (),
        "status": "ok",
        "started_ns": at(number),
        "ended_ns": at(number + 0.5),
    }
    return Span(**{**given, **more})


def run_record(**more: Any) -> RunRecord:
    """The run that all of them belong to."""
    given: dict[str, Any] = {
        "trace": TRACE,
        "request_id": "req-1",
        "name": "shop",
        "status": "partial",
        "started_ns": START,
        "ended_ns": at(100),
        "user_id": "ann",
        "session_id": "s-1",
        "tags": ("nightly", "eu"),
        "produced": 9,
        "left_out": 3,
        "totals": (Totals("ask", "llm", calls=4, seconds=1.5), Totals("load", "code", calls=1, seconds=0.25)),
    }
    return RunRecord(**{**given, **more})


CAUSE = Failure("OSError", "connection reset", (Frame("db.py", 9, "read"),))
FAILURE = Failure("shop.errors.Sold", "sold out", (Frame("shop.py", 3, "buy"),), ("try later",), (CAUSE,))

USAGE = {
    "input_tokens": 100,
    "output_tokens": 20,
    "total_tokens": 120,
    "cached_tokens": 30,
    "reasoning_tokens": 5,
    "prompt_tokens": 100,
    "completion_tokens": 20,
}
MESSAGES = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": [{"type": "text", "text": "What is it?"}]},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
]

LLM = span(
    4,
    2,
    kind="llm",
    name="ask",
    path="each/ask",
    items=(7,),
    ready_ns=at(3),
    called_ns=at(4.2),
    first_ns=at(4.3),
    attempts=2,
    retry_s=0.5,
    waits=(Wait(("llm:gpt-4",), at(4), at(4.1), at(4.4)),),
    tags=("hard",),
    inputs={"messages": MESSAGES, "temperature": 0.2},
    outputs={"content": "A cat.", "role": "assistant", "tool_calls": [], "finish_reason": "stop"},
    generation=Generation(
        "gpt-4o-mini",
        "llm:gpt-4",
        USAGE,
        0.0012,
        "stop",
        {"temperature": 0.2, "max_tokens": 50, "verbosity": "low"},
        server="api.example.com:443",
        response_id="chatcmpl-1",
    ),
)
EMBEDDING = span(
    5,
    kind="embedding",
    name="vectors",
    path="vectors",
    inputs={"texts": ["a", "b"]},
    generation=Generation("text-embedding-3-small", "embedding:small", {"input_tokens": 4}, 0.1),
)
ITEM = span(2, 3, kind="item", name="each[7]", path="each", items=(7,), key="sku-7")
MAP = span(3, 1, kind="map", name="each", path="each", status="partial", done=10, failed=1, left_out=3, total=10)
FAILED = span(6, name="buy", path="buy", status="failed", failure=FAILURE, inputs={"sku": 7})
HANDLED = span(7, name="pay", path="pay", status="handled", failure=FAILURE, rerouted=(("llm:a", CAUSE),))
SKIPPED = span(8, name="gift", path="gift", status="skipped")
RUN = span(
    1,
    None,
    kind="run",
    name="shop",
    path="shop",
    status="partial",
    started_ns=START,
    ended_ns=at(100),
    inputs={"skus": [7]},
    outputs={"bought": 1},
)
ALL = (LLM, ITEM, MAP, EMBEDDING, FAILED, HANDLED, SKIPPED, RUN)


def batch(*spans: Span, **more: Any) -> Batch:
    """These spans, with their run."""
    return Batch(ended=spans or ALL, runs=(run_record(**more),))

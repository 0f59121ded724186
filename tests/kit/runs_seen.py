"""Runs as traces tell of them, built span by span: what `report`, `hush show` and Chrome's format are tried with."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from hush.observability._attempts import AttemptSums
from hush.observability._model_use import ModelSums
from hush.observability._span import Failure, Frame, Generation, RunRecord, Span, Totals, Wait

START_NS = 1_790_000_000_000_000_000
TRACE = "3f2a9c1e5b7d4a6f8e0c1b2a3d4e5f60"
CONTAINERS = {"run", "item", "round", "graph", "map", "for", "while", "attempt"}


def ns(ms: float) -> int:
    """Milliseconds since the run began, as spans have them."""
    return START_NS + round(ms * 1e6)


def failure(kind: str, message: str, line: int = 31, file: str = "/home/me/shop/prices.py", **more: Any) -> Failure:
    frames = (
        Frame("/usr/lib/python3.11/site-packages/hush/core/_runtime/_calls.py", 80, "call"),
        Frame(file, line, "parse"),
        Frame("/usr/lib/python3.11/json/decoder.py", 355, "raw_decode"),
    )
    return Failure(kind, message, frames, **more)


@dataclass
class Seen:
    """A trace in the making: spans that are kept, and totals of all, those included that are left out."""

    name: str = "shop"
    spans: list[Span] = field(default_factory=list)
    produced: int = 0
    left_out: int = 0
    items: list[bool] = field(default_factory=list)
    _totals: dict[str, dict[str, Any]] = field(default_factory=dict)
    _attempts: dict[str, AttemptSums] = field(default_factory=lambda: defaultdict(AttemptSums))

    def run(self, end: float | None, status: str = "ok", **more: Any) -> Span:
        return self.add(None, "run", self.name, 0, end, status=status, path=self.name, **more)

    def add(
        self,
        parent: Span | None,
        kind: str,
        name: str,
        start: float,
        end: float | None,
        *,
        ready: float | None = None,
        called: float | None = None,
        waits: tuple[tuple[str, float, float | None], ...] = (),
        keep: bool = True,
        **more: Any,
    ) -> Span:
        """A span: instants in ms since the run began; ``waits`` are limits, asked and admitted."""
        items = parent.items if parent is not None else ()
        path = more.pop("path", None)
        if path is None and parent is not None:
            path = parent.path if kind in ("item", "round", "attempt") else f"{parent.path}/{name}"
        if kind == "item":
            items = (*items, more.pop("index"))
        status = more.pop("status", "ok")
        self.produced += 1
        span = Span(
            trace=TRACE,
            id=f"{self.produced:016x}",
            parent=None if parent is None else parent.id,
            kind=kind,
            name=name,
            path=path or name,
            items=items,
            status=status,
            started_ns=ns(start),
            ended_ns=None if end is None else ns(end),
            ready_ns=None if ready is None else ns(ready),
            called_ns=None if called is None else ns(called),
            waits=tuple(
                Wait(
                    (limit,),
                    ns(asked),
                    None if given is None else ns(given),
                    None if end is None else ns(end),
                    let_in_ns=None if given is None else ns(given),
                )
                for limit, asked, given in waits
            ),
            **more,
        )
        self._count(span)
        if keep:
            self.spans.append(span)
        else:
            self.left_out += 1
        return span

    def end(self, span: Span, **changes: Any) -> Span:
        """Replace a span that was added, such as a map whose items have been counted since."""
        new = span._replace(**changes)
        self.spans[self.spans.index(span)] = new
        return new

    def _count(self, span: Span) -> None:
        if span.kind == "item" and span.ended_ns is not None:
            self.items.append(span.status == "failed")
        if span.kind == "attempt" and span.failure is not None and span.ended_ns is not None:
            began_ns = span.started_ns if span.called_ns is None else span.called_ns
            self._attempts[span.path].failed(span.failure, began_ns, span.ended_ns, again=True)
        if span.kind in ("run", "item", "round", "attempt") or span.ended_ns is None:
            return
        for resource, why in span.rerouted:
            self._attempts[span.path].in_vain(resource, why, span.started_ns)
        one = self._totals.setdefault(span.path, {"path": span.path, "kind": span.kind, "waited_s": defaultdict(float)})

        def plus(what: str, much: float) -> None:
            one[what] = one.get(what, 0) + much

        if span.generation is not None and span.cached is None:
            failed = span.status in ("failed", "handled")
            one.setdefault("models", ModelSums()).add(span.generation, span.name, failed=failed)
        plus("calls", 1)
        plus("failed", int(span.status in ("failed", "handled")))
        plus("skipped", int(span.status == "skipped"))
        plus("cached", int(span.cached is not None))
        if span.status == "skipped":
            return
        took_s = (span.ended_ns - span.started_ns) / 1e9
        plus("attempts", span.attempts)
        plus("ready_s", 0.0 if span.ready_ns is None else (span.started_ns - span.ready_ns) / 1e9)
        plus("seconds", took_s)
        plus("retry_s", span.retry_s)
        for wait in span.waits:
            one["waited_s"][", ".join(wait.limits)] += ((wait.admitted_ns or span.ended_ns) - wait.queued_ns) / 1e9
        if span.called_ns is not None:
            called_s = (span.ended_ns - span.called_ns) / 1e9 - span.retry_s
            if span.thread_s is not None:
                plus("threaded", 1)
                plus("thread_s", span.thread_s)
                plus("thread_wait_s", called_s - span.thread_s)
                called_s = span.thread_s
            plus("called_s", called_s)
        one["slowest_s"] = max(one.get("slowest_s", 0.0), took_s)

    def record(self, **more: Any) -> RunRecord:
        root = self.spans[0]
        return RunRecord(
            **{
                "trace": TRACE,
                "request_id": "order-7",
                "name": self.name,
                "status": root.status,
                "started_ns": root.started_ns,
                "ended_ns": root.ended_ns,
                "failure": root.failure,
                "produced": self.produced,
                "left_out": self.left_out,
                "items": len(self.items),
                "items_failed": sum(self.items),
                # As a recorder gives them: of a node that was called once its span says it all.
                "totals": tuple(
                    Totals(
                        **{
                            **one,
                            "waited_s": dict(one["waited_s"]),
                            "models": one["models"].uses() if "models" in one else (),
                            "failed_attempts": self._attempts[one["path"]].attempts(),
                            "in_vain": self._attempts[one["path"]].resources(),
                        }
                    )
                    for one in self._totals.values()
                    if one["calls"] > 1 or more.get("dropped") or "models" in one
                ),
                **more,
            }
        )


def in_threads(*, items: int = 300, took: float = 6.0) -> Seen:
    """A map whose calls compute in worker threads, 16 at a time, of which one has the interpreter; from an iterator."""
    seen = Seen("sums")
    root = seen.run(20 + items * took)
    rows = seen.add(root, "map", "rows", 10, 15 + items * took, ready=5)
    for index in range(items):
        first = 10 + took * max(0, index - 15)
        end = 10 + took * (index + 1)
        one = seen.add(rows, "item", "rows", first, end, index=index)
        seen.add(one, "code", "add_up", first, end, ready=first, called=first + 0.01, thread_s=took / 1e3 - 1e-4)
    seen.end(rows, done=items, failed=0)
    return seen


def failed_thousand(*, collect: bool = True, items: int = 1000, keep_all: bool = True) -> Seen:
    """A map over a thousand orders, 16 at a time: 36 fail, of two causes; a limit holds them up; the load fails."""
    seen = Seen("shop")
    boom = failure("psycopg.errors.UniqueViolation", 'duplicate key value violates "orders_pkey"', 88)
    root = seen.run(9000, "failed", failure=boom)
    seen.add(root, "code", "extract", 10, 420, ready=0, called=12)
    orders = seen.add(root, "map", "orders", 430, 8400, ready=420, status="partial")
    free = [440.0] * 16
    failed = 0
    for index in range(items):
        slot = min(range(16), key=free.__getitem__)
        start = free[slot]
        wait = 20 + (index * 7919) % 60
        took = 25 + (index * 104729) % 40 + (800 if index == 871 else 0)
        called = start + 0.4 + wait
        end = called + took
        bad = index % 31 == 12
        late = index % 250 == 40
        fault = None
        if bad:
            fault = failure("ValueError", f"order {index} of 'SKU-{index * 7}' has no price")
        elif late:
            fault = failure("TimeoutError", f"no answer within 5.0 s (request {index:08x})", 47, "/home/me/shop/api.py")
        failed += fault is not None
        keep = keep_all or index < 100 or fault is not None
        item = seen.add(
            orders,
            "item",
            "orders",
            start,
            end + 2,
            index=index,
            key=f"SKU-{index * 7}",
            status="failed" if fault else "ok",
            failure=fault,
            keep=keep,
        )
        inputs = {"order": {"id": index, "sku": f"SKU-{index * 7}", "price": None if bad else 9.5}, "currency": "EUR"}
        seen.add(
            item,
            "code",
            "price",
            start + 0.2,
            end,
            ready=start,
            called=called,
            waits=(("api", start + 0.3, called - 0.1),),
            status="failed" if fault else "ok",
            failure=fault,
            inputs=inputs,
            attempts=3 if late else 1,
            keep=keep,
        )
        if fault is None:
            seen.add(item, "code", "tidy", end + 0.1, end + 1.5, ready=end, called=end + 0.2, keep=keep)
        free[slot] = end + 2
    seen.end(orders, ended_ns=ns(max(free)), done=items, failed=failed, total=items, left_out=seen.left_out)
    last = max(free)
    seen.add(root, "code", "load", last + 20, 8995, ready=last, called=last + 21, status="failed", failure=boom)
    return seen


def killed() -> Seen:
    """A run whose process was killed while eight calls of a model were under way, three of them still waiting."""
    seen = Seen("summaries")
    root = seen.run(None, "crashed")
    seen.add(root, "code", "read", 2, 100, ready=0, called=3)
    pages = seen.add(root, "map", "pages", 101, None, ready=100, status="crashed", done=40, failed=0, total=200)
    for index in range(48):
        start = 110 + index * 100
        late = index >= 40
        item = seen.add(
            pages,
            "item",
            "pages",
            start,
            None if late else start + 900,
            index=index,
            status="crashed" if late else "ok",
        )
        waits = index >= 45
        seen.add(
            item,
            "llm",
            "ask",
            start + 1,
            None if late else start + 899,
            ready=start,
            called=None if waits else start + 50,
            waits=(("llm:gpt-4o", start + 2, None if waits else start + 49),),
            status="crashed" if late else "ok",
        )
    return seen


def llm_batch(count: int = 60) -> Seen:
    """Questions to a model, four at a time: with waits for a limit, attempts that failed, a cache and another route."""
    seen = Seen("answers")
    root = seen.run(count * 300 + 100)
    many = seen.add(root, "map", "questions", 5, count * 300 + 50, done=count, failed=0, total=count, ready=1)
    refused = failure("hush.providers.errors.RateLimited", "429: too many requests, retry in 1.2 s", 12)
    for index in range(count):
        start = 10 + index * 290
        item = seen.add(many, "item", "questions", start, start + 1100, index=index)
        again = index % 5 == 0
        hit = index % 7 == 3
        ask = seen.add(
            item,
            "llm",
            "ask",
            start + 2,
            start + (6 if hit else 1000),
            ready=start + 1,
            called=None if hit else start + 120,
            waits=() if hit else (("llm:gpt-4o", start + 3, start + 119),),
            attempts=2 if again and not hit else 1,
            retry_s=0.4 if again and not hit else 0.0,
            cached="hit" if hit else None,
            rerouted=(("llm:gpt-4o", refused),) if index == 11 else (),
            generation=None
            if hit
            else Generation(
                "gpt-4o-mini" if index == 11 else "gpt-4o",
                "llm:gpt-4o",
                {"input_tokens": 1000 + index, "output_tokens": 50},
                0.0031 if index != 13 else None,
                "stop",
            ),
        )
        if ask.attempts == 2:
            seen.add(
                ask,
                "attempt",
                "ask",
                start + 3,
                start + 300,
                attempt=1,
                status="failed",
                failure=refused,
                called=start + 120,
            )
            seen.add(ask, "attempt", "ask", start + 700, start + 1000, attempt=2, called=start + 700)
        seen.add(item, "code", "keep", start + 1001, start + 1003, ready=start + 1000, called=start + 1001)
    return seen


def nested() -> Seen:
    """Graphs in graphs, a map in a map, a loop with rounds, a branch whose other arm is skipped."""
    seen = Seen("deep")
    root = seen.run(2000, "partial")
    outer = seen.add(root, "graph", "outer", 5, 800, ready=1)
    inner = seen.add(outer, "graph", "inner", 10, 700, ready=6)
    seen.add(inner, "code", "first", 12, 300, ready=11, called=13)
    seen.add(inner, "code", "second", 305, 690, ready=300, called=306)
    seen.add(outer, "branch", "router", 705, 706, ready=700, called=705)
    seen.add(outer, "code", "high", 710, 790, ready=706, called=711)
    seen.add(outer, "code", "low", 707, 707, status="skipped")
    loop = seen.add(root, "while", "improve", 810, 1200, ready=800)
    for number in range(6):
        turn = seen.add(loop, "round", "improve", 812 + number * 60, 868 + number * 60, round=number)
        seen.add(
            turn,
            "code",
            "step",
            813 + number * 60,
            867 + number * 60,
            ready=812 + number * 60,
            called=814 + number * 60,
        )
    shops = seen.add(root, "map", "shops", 1201, 1990, ready=1200, done=6, failed=0, total=6, status="partial")
    for shop in range(6):
        one = seen.add(shops, "item", "shops", 1205 + shop * 100, 1400 + shop * 100, index=shop, key=f"shop {shop}")
        rows = seen.add(
            one, "map", "rows", 1206 + shop * 100, 1395 + shop * 100, done=10, failed=1, total=10, status="partial"
        )
        for row in range(10):
            at = 1207 + shop * 100 + row * 15
            fault = failure("KeyError", f"'price {row}'") if row == 4 else None
            status = "failed" if fault else "ok"
            item = seen.add(rows, "item", "rows", at, at + 14, index=row, status=status, failure=fault)
            seen.add(item, "code", "read", at + 1, at + 13, called=at + 2, status=status, failure=fault)
    return seen


def one_node(message: str | None = None) -> Seen:
    seen = Seen("tiny")
    fault = None if message is None else failure("ValueError", message)
    status = "ok" if fault is None else "failed"
    root = seen.run(3, status, failure=fault)
    seen.add(root, "code", "only", 1, 2.5, ready=0.5, called=1.1, status=status, failure=fault, inputs={"x": 1})
    return seen


def empty() -> Seen:
    seen = Seen("nothing")
    seen.run(0.2)
    return seen

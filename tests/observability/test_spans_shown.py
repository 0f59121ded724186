"""One readable example of a run's spans, and of what they say while it goes on."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import PARENT, Branch, CodeNode, Each, GraphNode, Hush, Limit, MapNode, Retry, WhileLoopNode
from hush.core.events import (
    ItemFinished,
    MapStarted,
    NodeAnswered,
    NodeCalled,
    NodeCancelled,
    NodeChunk,
    NodeFailed,
    NodeFinished,
    NodeRan,
    NodeReady,
    NodeRerouted,
    NodeRetrying,
    NodeStarted,
    RunFinished,
    RunStarted,
)
from hush.observability._bounds import BRIEF, EVERYTHING, PREVIEW
from hush.observability._condense import MANY_ITEMS
from hush.observability._sampling import Sampling
from hush.observability._spans import spans_of
from hush.observability._tracer import SpanTracer
from hush.observability._tree import Tree
from kit.span_laws import Watch, complaints, watched
from observability.fakes import PATIENCE_S, Fake, Told


def shop() -> GraphNode:
    tries: list[int] = []

    async def fetch(x: int) -> dict[str, int]:
        await asyncio.sleep(1)
        if x == 1 and len(tries) < 2:
            tries.append(x)
            raise ConnectionError("gone")
        return {"row": x}

    def check(row: int) -> dict[str, bool]:
        if row == 2:
            raise ValueError("no such row")
        return {"fine": True}

    with GraphNode(name="shop") as graph:
        first = CodeNode(name="first", code_fn=lambda n: {"xs": [*range(n)]}, inputs={"n": PARENT["n"]})
        with MapNode(name="each", inputs={"x": Each(first["xs"])}, max_concurrency=1, key=lambda x: f"row {x}") as each:
            got = CodeNode(
                name="fetch",
                code_fn=fetch,
                inputs={"x": PARENT["x"]},
                limit=Limit(1, name="db"),
                retry=Retry(max_attempts=3, backoff_s=2, jitter=False),
            )
            CodeNode(name="check", code_fn=check, inputs={"row": got["row"]}, outputs={"fine": PARENT["fine"]})
        many = CodeNode(name="many", code_fn=lambda fine: {"n": len(fine)}, inputs={"fine": each["fine"]})
        yes = CodeNode(name="yes", code_fn=lambda: {"y": 1}, inputs={})
        no = CodeNode(name="no", code_fn=lambda: {"y": 2}, inputs={})
        Branch("route").if_(many["n"] > 2, yes).otherwise(no)
        with WhileLoopNode(name="again", inputs={"i": 0}, max_iterations=2, on_limit="stop") as again:
            CodeNode(name="step", code_fn=lambda i: {"i": i + 1}, inputs={"i": PARENT["i"]}, outputs={"i": PARENT["i"]})
        yes >> again
    return graph


def drawn(watch: Watch) -> str:
    """The tree as text, in order of starts; times stand for their order."""
    spans = watch.spans
    lines: list[str] = []

    def draw(parent: str | None, indent: str) -> None:
        inner = [span for span in spans if span.parent == parent]
        for span in sorted(inner, key=lambda span: (span.started_ns, spans.index(span))):
            words = [span.kind, span.name]
            words += [span.status] if span.status != "ok" else []
            words += [f"key={span.key!r}"] if span.key else []
            words += [f"attempts={span.attempts}"] if span.attempts > 1 else []
            words += [f"limits={[(wait.limits, wait.attempt) for wait in span.waits]}"] if span.waits else []
            words += [f"{span.done} done, {span.failed} failed of {span.total}"] if span.kind == "map" else []
            words += [f"{span.failure.type}: {span.failure.message}"] if span.failure else []
            words += [f"{span.inputs} -> {span.outputs}"] if span.kind == "code" and span.status == "ok" else []
            lines.append(indent + " ".join(words))
            draw(span.id, indent + "  ")

    draw(None, "")
    return "\n".join(lines)


SHOWN = """\
run shop partial
  code first {'n': 3} -> {'xs': [0, 1, 2]}
  map each partial 3 done, 1 failed of 3
    item each[0] key='row 0'
      code fetch limits=[(('db',), 1)] {'x': 0} -> {'row': 0}
      code check {'row': 0} -> {'fine': True}
    item each[1] key='row 1'
      code fetch attempts=3 limits=[(('db',), 1), (('db',), 2), (('db',), 3)] {'x': 1} -> {'row': 1}
        attempt fetch, attempt 1 failed ConnectionError: gone
        attempt fetch, attempt 2 failed ConnectionError: gone
        attempt fetch, attempt 3
      code check {'row': 1} -> {'fine': True}
    item each[2] failed key='row 2' ValueError: no such row
      code fetch limits=[(('db',), 1)] {'x': 2} -> {'row': 2}
      code check failed ValueError: no such row
  code many {'fine': [True, True, None]} -> {'n': 3}
  branch route
  code yes {} -> {'y': 1}
  code no skipped
  while again
    round again, round 0
      code step {'i': 0} -> {'i': 1}
    round again, round 1
      code step {'i': 1} -> {'i': 2}"""


def test_the_spans_of_an_example(silence):
    watch = watched(Hush(shop()), {"n": 3}, 0)
    assert sorted(drawn(watch).splitlines()) == sorted(SHOWN.splitlines())
    assert drawn(watch).splitlines()[:17] == SHOWN.splitlines()[:17]
    assert not list(complaints(watch))


def test_spans_of_gives_the_same_as_the_tree(silence):
    watch = watched(Hush(shop()), {"n": 3}, 0)
    # Errors have learnt more since, when the run ended: where they were raised.
    later, then = ([span._replace(failure=None) for span in spans] for spans in (spans_of(watch.events), watch.spans))
    assert later == then
    assert spans_of(watch.events) == spans_of(watch.events, bounds=PREVIEW)
    cut = spans_of(watch.events[:-8])
    assert {span.status for span in cut} >= {"running", "ok"}
    assert cut[-1].kind in ("run", "while", "round", "code")
    assert sum(span.kind == "run" and span.status == "running" for span in cut) == 1


# ── While it goes on ─────────────────────────────────────────────────────────────────────────────────────────────────
def tree_of(kinds: dict[str, str], *events: object) -> Tree:
    tree = Tree(Sampling())
    tree.feed(RunStarted("r", "g", None, 0, 10**18, inputs={}, kinds=kinds))
    for event in events:
        tree.feed(event)  # type: ignore[arg-type]
    return tree


def test_calls_under_way_are_told_of_once_with_the_ids_that_their_spans_will_have():
    tree = tree_of({"g/a": "code"}, NodeRan("r", "g/a", None, 5, (), 2, 3, {}, {}, 1))
    calls = [NodeStarted("r", "g/a", None, at_ns, (), number) for at_ns, number in ((10, 2), (11, 3), (12, 4))]
    running = tree.called(calls[:2])
    assert [(one.status, one.kind, one.ended_ns) for one in running] == 2 * [("running", "code", None)]
    (third,) = tree.called(calls)
    for started_ns, number in ((11, 3), (10, 2), (12, 4)):  # not in the order in which they began
        tree.feed(NodeRan("r", "g/a", None, 20, (), 9, started_ns, {}, {}, number))
    ended = {span.id: span.started_ns for span in tree.ended[1:]}
    assert ended == {span.id: span.started_ns for span in (*running, third)}
    assert len(ended) == 3
    assert tree.ended[0].id not in ended


def test_so_it_is_when_the_call_was_not_quick_and_in_an_item_that_nobody_heard_of():
    kinds = {"g/m": "map", "g/m/n": "code"}
    tree = tree_of(kinds, NodeStarted("r", "g/m", None, 1, (), 1), MapStarted("r", "g/m", None, 2, 1))
    (running,) = tree.called([NodeStarted("r", "g/m/n", 0, 10, (), 2)])
    tree.feed(NodeReady("r", "g/m/n", 0, 9))
    tree.feed(NodeStarted("r", "g/m/n", 0, 10, (), 2))
    tree.feed(NodeFinished("r", "g/m/n", 0, 20))
    tree.feed(ItemFinished("r", "g/m", 0, 21))
    node, item = tree.ended
    assert (node.id, node.parent, item.kind, item.started_ns) == (running.id, running.parent, "item", 10**18 + 9)


def test_a_call_is_not_told_of_before_what_it_lies_in():
    """The start of that may still wait to be heard, however long the call takes already."""
    tree = tree_of({"g/m": "map", "g/m/n": "code"})
    call = NodeStarted("r", "g/m/n", 0, 10, (), 2)
    assert tree.called([call]) == []
    tree.feed(NodeStarted("r", "g/m", None, 1, (), 1))
    tree.feed(MapStarted("r", "g/m", None, 2, 1))
    (running,) = tree.called([call])
    assert running.parent is not None
    assert tree.run is not None
    assert running.parent != tree.run.id


def test_an_item_of_quick_calls_in_which_one_is_under_way():
    """Its quick calls become spans in the item that is told of, and all of it is one item in the end."""
    kinds = {"g/m": "map", "g/m/a": "code", "g/m/b": "code"}
    tree = tree_of(kinds, NodeStarted("r", "g/m", None, 1, (), 1), MapStarted("r", "g/m", None, 2, 1))
    tree.feed(NodeRan("r", "g/m/a", 0, 6, (), 4, 5, {"x": 1}, {"y": 2}, 2))
    (running,) = tree.called([NodeStarted("r", "g/m/b", 0, 10, (), 3)])
    tree.feed(NodeRan("r", "g/m/b", 0, 20, (), 9, 10, {}, {}, 3))
    tree.feed(ItemFinished("r", "g/m", 0, 21))
    a, b, item = tree.ended
    assert (a.parent, b.parent, b.id) == (item.id, item.id, running.id)
    assert (item.started_ns, item.ended_ns, a.outputs) == (10**18 + 4, 10**18 + 21, {"y": 2})
    assert tree.produced == 3


def test_what_blocks_the_loop_is_told_of_as_running():
    """Until it returns no event can tell."""
    fake = Fake()
    tracer = SpanTracer(fake)
    told = Told(tracer)
    told.recorder.attach(lambda before_ns, most: [NodeStarted("r", "g/a", None, 1, (), 1)])  # it began long ago
    assert tracer.flush(PATIENCE_S)
    running = {span.id: span for batch in fake.batches for span in batch.running}
    told.recorder.attach(lambda before_ns, most: ())
    told.quick().end()
    assert tracer.flush(PATIENCE_S)
    (ended,) = [span for span in fake.spans if span.path == "g/a"]
    assert running[ended.id].status == "running"


async def test_of_what_is_in_further_items_less_is_kept():
    """Nearly all of it would be thrown away, and cutting it takes longer than the item."""
    long = [{"name": f"name {number}", "words": ["word"] * 30, "number": number} for number in range(30)]
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(range(MANY_ITEMS + 50))}) as each:
            CodeNode(name="n", code_fn=lambda x: {"y": x, "rows": long}, inputs={"x": PARENT["x"]}, outputs=PARENT)
        CodeNode(name="after", code_fn=lambda ys: {"rows": long}, inputs={"ys": each["y"]})
    watch = Watch()
    await Hush(graph).run({}, tracer=watch)
    rows = {span.items: span.outputs["rows"] for span in watch.spans if span.path == "g/m/n"}
    (after,) = [span.outputs["rows"] for span in watch.spans if span.path == "g/after"]
    assert len(rows) == MANY_ITEMS + 50
    assert rows[0,] == rows[MANY_ITEMS - 100,] == after
    brief = rows[MANY_ITEMS + 40,]
    assert len(str(brief)) <= 2 * BRIEF.total < len(str(after)) / 4
    assert len(brief) == BRIEF.items + 1
    kept = spans_of(watch.events, bounds=EVERYTHING)
    assert {str(span.outputs["rows"]) for span in kept if span.path == "g/m/n"} == {str(long)}


# ── Details of events that need a server ─────────────────────────────────────────────────────────────────────────────
def test_resources_that_are_asked_in_turn_are_attempts_and_what_is_streamed_has_a_first_part():
    error = ConnectionError("down")
    events = [
        RunStarted("r", "g", None, 0, 10**18, inputs={}, kinds={"g/a": "llm"}),
        NodeReady("r", "g/a", None, 1),
        NodeStarted("r", "g/a", None, 2),
        NodeCalled("r", "g/a", None, 3, {"messages": "hello", "temperature": 0.5}),
        NodeCalled("r", "g/a", None, 4, None, 1, "llm:one", about={"requested": "one", "parameters": {"seed": 1}}),
        NodeRetrying("r", "g/a", None, 5, 1, error, 0.5),
        NodeCalled("r", "g/a", None, 6, None, 2, "llm:one"),
        NodeRerouted("r", "g/a", None, 7, 2, error, "llm:one", "llm:two"),
        NodeCalled("r", "g/a", None, 8, None, 3, "llm:two", about={"parameters": {"temperature": 0.5, "stop": ["a"]}}),
        NodeChunk("r", "g/a", None, 9, "he", attempt=3),
        NodeChunk("r", "g/a", None, 10, "llo", attempt=3),
        NodeAnswered("r", "g/a", None, 10, "llm:two", {"model": "m", "usage": {"input_tokens": 2}, "cost": 0.1}, 3),
        NodeAnswered("r", "g/a", None, 10, "llm:two", {"model": "m", "usage": {"input_tokens": 1}, "cost": 0.2}, 3),
        NodeFinished("r", "g/a", None, 11, (), {"content": "hello", "usage": {"input_tokens": 3}, "cost": 9.0}),
        RunFinished("r", "g", None, 12, "ok", 1.0),
    ]
    *tries, node, _ = spans_of(events)
    assert [(one.attempt, one.status, one.generation and one.generation.resource) for one in tries] == [
        (1, "failed", "llm:one"),
        (2, "failed", "llm:one"),
        (3, "ok", "llm:two"),
    ]
    assert (node.attempts, node.retry_s, node.rerouted[0][0]) == (3, 0.5, "llm:one")
    assert node.first_ns == 10**18 + 9
    assert node.generation is not None
    assert node.generation.resource == "llm:two"
    assert node.generation.model == "m"
    assert node.generation.usage == {"input_tokens": 3}
    assert node.generation.cost == pytest.approx(0.3)
    assert node.generation.parameters == {"temperature": 0.5, "stop": ["a"]}


def test_what_is_odd_in_an_answer_costs_no_event():
    for about, outputs in (
        ({"usage": {1: 2, "a": 10**400, "b": True}, "cost": 10**400, "model": 3, "finish_reason": object()}, {}),
        ({"usage": "many", "cost": float("nan")}, {"$tags": iter(["a"])}),
        ({"usage": None, "cost": True}, {"$tags": {"a"}}),
    ):
        (node, _) = spans_of(
            [
                RunStarted("r", "g", None, 0, 10**18, inputs={}, kinds={"g/a": "llm"}),
                NodeStarted("r", "g/a", None, 2),
                NodeAnswered("r", "g/a", None, 10, "llm:one", about),
                NodeFinished("r", "g/a", None, 11, (), outputs),
                RunFinished("r", "g", None, 12, "ok", 1.0),
            ]
        )
        assert node.generation is not None
        assert (node.generation.resource, node.generation.cost, node.generation.model) == ("llm:one", None, None)


@pytest.mark.parametrize("ends", [True, False])
def test_the_first_part_of_an_answer_is_told_of_in_each_round(ends):
    """Also where the first round's call was cancelled in the middle of it."""
    kinds = {"g/w": "while", "g/w/a": "code"}
    events: list[object] = [RunStarted("r", "g", None, 0, 10**18, inputs={}, kinds=kinds)]
    events.append(NodeStarted("r", "g/w", None, 1))
    for at_ns in (10, 20):
        events += [
            NodeStarted("r", "g/w/a", None, at_ns),
            NodeCalled("r", "g/w/a", None, at_ns + 1, {}),
            NodeChunk("r", "g/w/a", None, at_ns + 2, "x"),
        ]
        if ends or at_ns == 20:
            events.append(NodeFinished("r", "g/w/a", None, at_ns + 3, (), {}))
        else:
            events.append(NodeCancelled("r", "g/w/a", None, at_ns + 3))
    spans = spans_of(events)  # type: ignore[arg-type]
    assert [span.first_ns for span in spans if span.path == "g/w/a"] == [10**18 + 12, 10**18 + 22]


def test_an_attempt_that_was_never_made_is_not_counted():
    error = ConnectionError("x")
    events: list[object] = [
        RunStarted("r", "g", None, 0, 10**18, inputs={}, kinds={"g/a": "code"}),
        NodeStarted("r", "g/a", None, 1),
        NodeCalled("r", "g/a", None, 2, {}),
        NodeRetrying("r", "g/a", None, 3, 1, error, 9.0),
    ]
    end = RunFinished("r", "g", None, 12, "cancelled", 1.0)
    (why, node, _) = spans_of([*events, end])  # type: ignore[list-item]
    assert (node.status, node.attempts) == ("cancelled", 1)
    assert (why.kind, why.status, why.failure.message) == ("attempt", "failed", "x")  # why it waited
    called = [NodeCalled("r", "g/a", None, 5, {}, 2), NodeFinished("r", "g/a", None, 6, (), {})]
    *tries, node, _ = spans_of([*events, *called, end])  # type: ignore[list-item]
    assert (node.status, node.attempts, len(tries)) == ("ok", 2, 2)


def test_where_nobody_is_told_of_calls_attempts_are_counted_too():
    error = ConnectionError("x")
    *_, node, _ = spans_of(
        [
            RunStarted("r", "g", None, 0, 10**18),
            NodeStarted("r", "g/a", None, 1),
            NodeRetrying("r", "g/a", None, 3, 1, error, 9.0),
            NodeRetrying("r", "g/a", None, 4, 2, error, 9.0),
            NodeFailed("r", "g/a", None, 5, error),
            RunFinished("r", "g", None, 12, "failed", 1.0, error),
        ]
    )
    assert (node.status, node.attempts) == ("failed", 3)

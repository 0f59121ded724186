"""What a terse tracer is told of quick calls must fit what else it is told."""

from __future__ import annotations

from hush.core import PARENT, CodeNode, GraphNode, Hush
from hush.core.events import NodeRan, NodeStarted
from kit.span_laws import watched


def test_the_first_quick_call_in_a_graph_starts_after_the_graph():
    with GraphNode(name="g") as graph:
        first = CodeNode(name="first", code_fn=lambda: {"x": 1}, inputs={})
        with GraphNode(name="inner", inputs={"x": first["x"]}) as inner:
            CodeNode(name="n", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        inner["y"] >> PARENT["y"]
    for seed in range(20):
        watch = watched(Hush(graph), {}, seed, terse=True)
        (started,) = [event for event in watch.events if type(event) is NodeStarted and event.path == "g/inner"]
        (ran,) = [event for event in watch.events if type(event) is NodeRan and event.path == "g/inner/n"]
        assert ran.ready_ns is not None
        assert started.at_ns <= ran.ready_ns <= ran.started_ns

"""The frame alone: no event loop, no tasks, no clock; the test decides in which order steps end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hush.core import END, PARENT, START, CodeNode, GraphNode
from hush.core._plan._root import compile_root
from hush.core._runtime._frame import Frame
from hush.core._runtime._policies import policies


def frame_of(graph, **inputs):
    root = compile_root(graph._describe(), policies)
    return Frame(root.plan, root.bind(inputs))


def play(frame, choose):
    """Run every step to its end, the next one always as `choose` says among those that are ready."""
    ready, order = [], []
    frame.start(ready)
    while ready:
        _, step = ready.pop(choose(len(ready)))
        order.append(step.name)
        if frame.runs(step):
            frame.settle(step, step.call(frame.slots), ready)
        else:
            frame.skip(step, ready)
    return order


def layers(width, depth):
    with GraphNode(name="g") as graph:
        before = [
            CodeNode(name=f"n0_{i}", code_fn=lambda x: {"v": x + 1}, inputs={"x": PARENT["x"]}) for i in range(width)
        ]
        START >> before
        for level in range(1, depth):
            inputs = {f"a{i}": node["v"] for i, node in enumerate(before)}
            layer = [
                CodeNode(name=f"n{level}_{i}", code_fn=lambda **a: {"v": sum(a.values())}, inputs=inputs)
                for i in range(width)
            ]
            for node in before:
                node >> layer
            before = layer
        for i, node in enumerate(before):
            node["v"] >> PARENT[f"out{i}"]
        before >> END
    return graph


@given(st.integers(1, 4), st.integers(1, 4), st.data())
def test_any_order_of_completion_gives_the_same(width, depth, data):
    frame = frame_of(layers(width, depth), x=1)
    order = play(frame, lambda count: data.draw(st.integers(0, count - 1)))
    assert len(order) == len(set(order)) == width * depth, "each step settles exactly once"
    assert frame.left == 0
    assert frame.outputs() == {f"out{i}": 2 * width ** (depth - 1) for i in range(width)}


@given(st.data())
def test_no_step_is_ready_before_all_that_it_waits_for_has_settled(data):
    with GraphNode(name="g") as graph:
        nodes = [CodeNode(name=f"n{i}", code_fn=dict) for i in range(6)]
        edges = [(i, j) for j in range(6) for i in range(j) if data.draw(st.booleans())]
        for i, j in edges:
            nodes[i] >> nodes[j]
    order = play(frame_of(graph), lambda count: data.draw(st.integers(0, count - 1)))
    place = {name: at for at, name in enumerate(order)}
    assert all(place[f"n{i}"] < place[f"n{j}"] for i, j in edges)


@given(st.data())
def test_a_slot_is_empty_after_its_last_reader_and_not_before(data):
    with GraphNode(name="g") as graph:
        make = CodeNode(name="make", code_fn=lambda: {"v": 7})
        for i in range(3):
            CodeNode(
                name=f"read{i}", code_fn=lambda v: {"v": v}, inputs={"v": make["v"]}, outputs={"v": PARENT[f"o{i}"]}
            )
    frame = frame_of(graph)
    ready = []
    frame.start(ready)
    frame.settle(ready[0][1], {"v": 7}, ready := [])
    while ready:
        assert 7 in frame.slots
        _, step = ready.pop(data.draw(st.integers(0, len(ready) - 1)))
        frame.settle(step, step.call(frame.slots), ready)
    assert 7 not in frame.slots
    assert frame.outputs() == {"o0": 7, "o1": 7, "o2": 7}


def test_what_a_handled_failure_leaves_behind():
    """Readers of `error` run, readers of other keys alone are skipped, and so is what hangs on them."""
    with GraphNode(name="g") as graph:
        bad = CodeNode(name="bad", code_fn=lambda: {"v": 1}, on_error="collect")
        CodeNode(
            name="names",
            code_fn=lambda e, v: {"e": e, "v": v},
            inputs={"e": bad["error"], "v": bad["v"]},
            outputs=PARENT,
        )
        blocked = CodeNode(name="blocked", code_fn=lambda v: {"w": v}, inputs={"v": bad["v"]}, outputs=PARENT)
        behind = CodeNode(name="behind", code_fn=lambda: {"z": 1}, outputs=PARENT)
        blocked >> behind
    frame = frame_of(graph)
    ready = []
    frame.start(ready)
    error = ValueError("no")
    assert [step.name for _, step in ready] == ["bad"]
    frame.fail(ready.pop()[1], error, ready)
    ran = []
    while ready:
        _, step = ready.pop()
        if frame.runs(step):
            ran.append(step.name)
            frame.settle(step, step.call(frame.slots), ready)
        else:
            frame.skip(step, ready)
    assert ran == ["names"]
    assert frame.outputs() == {"e": error, "v": None, "w": None, "z": None}

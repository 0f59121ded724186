"""What the tests of drawings share: graphs to look at, and anything with a spec as something that is drawn."""

from __future__ import annotations

from typing import Any

from hush.core import (
    END,
    PARENT,
    START,
    BranchNode,
    CodeNode,
    Each,
    GraphNode,
    MapNode,
    Tolerate,
    WhileLoopNode,
)
from hush.core._spec._render import Item, draw
from hush.core.nodes._drawn import Drawn


class Shown(Drawn):
    """A node, or a spec, that is drawn."""

    def __init__(self, node: Any) -> None:
        self.node = node

    def _describe(self) -> Any:
        return self.node._describe() if hasattr(self.node, "_describe") else self.node


def drawing(node: Any) -> Item:
    return draw(node._describe())


def step(name: str, **inputs: Any) -> CodeNode:
    return CodeNode(name=name, code_fn=lambda **given: {"x": 1, "rows": [1]}, inputs=inputs)


def chain() -> GraphNode:
    with GraphNode(name="chain") as graph:
        START >> step("a") >> step("b") >> step("c") >> END
    return graph


def diamond() -> GraphNode:
    with GraphNode(name="diamond") as graph:
        a, b, c, d = map(step, "abcd")
        START >> a >> [b, c] >> d >> END
    return graph


def fan(count: int) -> GraphNode:
    with GraphNode(name="fan") as graph:
        split, join = step("split"), step("join")
        split >> [step(f"work_{number}") for number in range(count)] >> join
    return graph


def two_chains() -> GraphNode:
    with GraphNode(name="two_chains") as graph:
        split, join = step("split"), step("join")
        left, right = [step(f"left_{n}") for n in range(3)], [step(f"right_{n}") for n in range(2)]
        split >> left[0] >> left[1] >> left[2] >> join
        split >> right[0] >> right[1] >> join
    return graph


def woven() -> GraphNode:
    with GraphNode(name="woven") as graph:
        a, b, c, d, e, f = map(step, "abcdef")
        [a, b] >> d
        [b, c] >> e
        [d, e] >> f
        a >> f
    return graph


def nested() -> GraphNode:
    with GraphNode(name="nested") as graph:
        prepare = step("prepare", text=PARENT["text"])
        with GraphNode(name="inner", inputs={"v": prepare["x"]}) as inner:
            one, two = step("one", v=PARENT["v"]), step("two", v=PARENT["v"])
            with GraphNode(name="deep", inputs={"v": PARENT["v"]}) as deep:
                step("leaf", v=PARENT["v"])["x"] >> PARENT["x"]
            [one, two] >> deep
            deep["x"] >> PARENT["y"]
        finish = step("finish", y=inner["y"])
        START >> prepare >> inner >> finish >> END
        finish["x"] >> PARENT["answer"]
    return graph


def crawl(*, waits: bool = False) -> GraphNode:
    with GraphNode(name="crawl") as graph:
        urls = step("list_urls")
        with MapNode(name="fetch", inputs={"url": Each(urls["rows"])}, max_concurrency=20, item_timeout_s=5) as fetch:
            get = step("get", url=PARENT["url"])
            with MapNode(
                name="parts", inputs={"part": Each(get["rows"])}, max_concurrency=4, on_error="raise"
            ) as parts:
                step("parse", part=PARENT["part"])["x"] >> PARENT["x"]
            parts["x"] >> PARENT["rows"]
        with MapNode(
            name="clean",
            inputs={"row": Each(fetch["rows"]), "all": urls["rows"]},
            on_error=Tolerate(fraction=0.1),
            batch=50,
        ) as clean:
            step("tidy", row=PARENT["row"], all=PARENT["all"])["x"] >> PARENT["x"]
        if waits:
            fetch >> clean
        step("store", rows=clean["x"], failed=fetch["error"])["x"] >> PARENT["stored"]
    return graph


def triage() -> GraphNode:
    with GraphNode(name="triage") as graph:
        score = step("score", text=PARENT["text"])
        route = BranchNode(
            name="route",
            cases={"score >= 90": "high", "score >= 50 and 'x' in text": "middle", "score < 0": END},
            default="low",
            inputs={"score": score["x"], "text": PARENT["text"]},
        )
        high, more, middle, low = step("high"), step("high_more"), step("middle"), step("low")
        watch, join = step("watch"), step("join")
        START >> score >> [route, watch]
        high >> more
        [more, middle, low] >> join
        watch >> ~join
        join["x"] >> PARENT["result"]
    return graph


def refine() -> GraphNode:
    with GraphNode(name="refine") as graph:
        draft = step("draft", topic=PARENT["topic"])
        with WhileLoopNode(
            name="improve",
            inputs={"text": draft["x"], "quality": 0},
            stop_condition="quality >= 0.9",
            max_iterations=5,
            on_limit="stop",
        ) as improve:
            edit = step("edit", text=PARENT["text"])
            rate = step("rate", text=edit["x"])
            edit >> rate
            edit["x"] >> PARENT["text"]
            rate["x"] >> PARENT["quality"]
        publish = step("publish", text=improve["text"])
        draft >> improve >> publish
        publish["x"] >> PARENT["url"]
    return graph


ALL = {make.__name__: make for make in (chain, diamond, two_chains, woven, nested, crawl, triage, refine)} | {
    "fan": lambda: fan(30)
}

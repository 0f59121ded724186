"""What tests of limits share: functions that see who is inside them, and a map that calls them."""

from __future__ import annotations

import asyncio

from hush.core import PARENT, CodeNode, Each, GraphNode, MapNode


class Inside:
    """Counts who is inside a function, and notes when each call started."""

    def __init__(self):
        self.now, self.most, self.starts, self.calls = 0, 0, [], []

    def work(self, seconds=1.0):
        async def code(x=0):
            self.now += 1
            self.most = max(self.most, self.now)
            self.starts.append(asyncio.get_running_loop().time())
            self.calls.append(x)
            try:
                await asyncio.sleep(seconds)
                return {"y": x}
            finally:
                self.now -= 1

        return code


def mapped(fn, items, **policies):
    """A graph that calls ``fn`` with each item, as many at once as its limits allow."""
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(items)}, max_concurrency=1000) as each:
            CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, outputs=PARENT, **policies)
        each["y"] >> PARENT["ys"]
        each["error"] >> PARENT["errors"]
    return graph

"""As many branches as there are items: a map, its limit, and its items as they finish.

python examples/dynamic_fan_out.py
"""

from __future__ import annotations

import asyncio

from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, Hush, MapNode

at_work: list[int] = [0, 0]  # now, and at most


async def measure(word: str) -> dict[str, int]:
    """Stands for a request; counts how many of its kind are under way."""
    at_work[0] += 1
    at_work[1] = max(at_work)
    await asyncio.sleep(0.01 * len(word))
    at_work[0] -= 1
    return {"length": len(word)}


with GraphNode(name="dynamic-fan-out") as graph:
    with MapNode(name="words", inputs={"word": Each(PARENT["text"].split())}, max_concurrency=3) as words:
        node = CodeNode(name="measure", code_fn=measure, inputs={"word": PARENT["word"]}, outputs=PARENT)
        START >> node >> END
    words["length"] >> PARENT["lengths"]
    words["iteration_metrics"]["total_iterations"] >> PARENT["count"]
    START >> words >> END


async def main() -> None:
    engine = Hush(graph)
    text = "every item finds its place in the list"
    result = await engine.run(inputs={"text": text})
    print(f"{result['count']} items, in input order: {result['lengths']}")
    print(f"at most {at_work[1]} at a time")
    finished = [event async for event in engine.stream(inputs={"text": text}, items="words")]
    print(f"as they came: {len(finished)} items, in the order {[event.item for event in finished]}")


if __name__ == "__main__":
    asyncio.run(main())

"""Three maps that stream: the first result is there long before the source has been read, and a slow end is waited for.

python examples/streaming_maps.py
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, Hush, MapNode

ORDERS, WINDOW = 500, 8
counted = {"pulled": 0, "stored": 0, "most ahead": 0}


def orders() -> Iterator[str]:
    """Stands for a large file; counts how much of it has been read."""
    for number in range(ORDERS):
        counted["pulled"] += 1
        counted["most ahead"] = max(counted["most ahead"], counted["pulled"] - counted["stored"])
        yield f"{number}:{number * 5}"


async def parse(line: str) -> dict[str, int]:
    return {"cents": int(line.split(":")[1])}


async def convert(cents: int) -> dict[str, float]:
    return {"euros": cents / 100}


async def store(euros: float) -> dict[str, float]:
    """Stands for a slow database: it takes turns of the loop, not time, so that all machines count nearly the same."""
    for _ in range(40):
        await asyncio.sleep(0)
    counted["stored"] += 1
    return {"stored": euros}


with GraphNode(name="streaming-maps") as graph:
    with MapNode(name="parse", inputs={"line": Each(PARENT["orders"], pull="inline")}, window=WINDOW) as parsed:
        CodeNode(name="one", code_fn=parse, inputs={"line": PARENT["line"]}, outputs=PARENT)
    with MapNode(name="convert", inputs={"cents": Each(parsed["cents"])}, window=WINDOW) as converted:
        CodeNode(name="one", code_fn=convert, inputs={"cents": PARENT["cents"]}, outputs=PARENT)
    with MapNode(name="store", inputs={"euros": Each(converted["euros"])}, max_concurrency=1) as stored:
        CodeNode(name="one", code_fn=store, inputs={"euros": PARENT["euros"]}, outputs=PARENT)
    CodeNode(
        name="add",
        code_fn=lambda values: {"total": sum(values)},
        inputs={"values": stored["stored"]},
        outputs=PARENT,
    )
    START >> parsed  # an edge from map to map would make the second wait for the end of the first
    stored >> END


async def main() -> None:
    engine = Hush(graph)
    engine.show()
    async for event in engine.stream({"orders": orders()}, items="store"):
        if counted["stored"] == 1:
            print(f"the first result came when {counted['pulled']} of {ORDERS:,} were pulled: item {event.item}")
    print(f"{counted['stored']:,} stored, and never more than {counted['most ahead']} under way")


if __name__ == "__main__":
    asyncio.run(main())

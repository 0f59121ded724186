"""Bars for a run: maps within maps, items that fail, and a source whose length nobody knows.

python examples/progress.py          on a terminal: bars, which stay as a summary
python examples/progress.py | cat    on a pipe: what the program itself prints, and nothing else

It needs rich: pip install "hushflow[progress]"
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from hush.observability import ConsoleProgress


async def send(line: int) -> dict[str, int]:
    await asyncio.sleep(0.01 + line % 5 / 100)
    if line % 37 == 0:
        raise ConnectionError(f"line {line} was not taken")
    return {"sent": line}


async def read(page: int) -> dict[str, int]:
    await asyncio.sleep(0.03)
    return {"words": 100 + page % 7}


async def report(words: list[int], sent: list[list[int | None]]) -> dict[str, str]:
    await asyncio.sleep(1.5)  # after a second it is named beside the run
    lines = [line for order in sent for line in order]
    failed = sum(line is None for line in lines)
    return {"report": f"{sum(words):,} words; {len(lines) - failed} lines sent, {failed} failed"}


def pages() -> Iterator[int]:
    """As from a server that gives one after the other: how many there will be shows only at the end."""
    yield from range(120)


with GraphNode(name="shop") as graph:
    with MapNode(name="orders", inputs={"order": Each(PARENT["orders"])}, max_concurrency=2) as orders:
        with MapNode(name="lines", inputs={"line": Each(PARENT["order"])}, max_concurrency=3) as lines:
            CodeNode(name="send", code_fn=send, inputs={"line": PARENT["line"]}, outputs=PARENT)
        lines["sent"] >> PARENT["sent"]
    with MapNode(name="pages", inputs={"page": Each(PARENT["pages"])}, max_concurrency=2) as read_pages:
        CodeNode(name="read", code_fn=read, inputs={"page": PARENT["page"]}, outputs=PARENT)
    CodeNode(
        name="report",
        code_fn=report,
        inputs={"words": read_pages["words"], "sent": orders["sent"]},
        outputs=PARENT,
    )


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # a run that goes on after failures logs one warning; here the bars tell

    todo = [list(range(first, first + 4 + first % 7)) for first in range(1, 600, 15)]
    result = Hush(graph).run_sync({"orders": todo, "pages": pages()}, tracer=ConsoleProgress())
    print(result["report"])

"""Fan-out and fan-in: three requests at the same time, and one node that waits for all of them.

python examples/fan_out.py
"""

from __future__ import annotations

import asyncio

from hush.core import END, PARENT, START, CodeNode, GraphNode, Hush


async def ask(source: str, question: str) -> dict[str, str]:
    """Stands for a request that takes 0.2 s."""
    await asyncio.sleep(0.2)
    return {"answer": f"{source} on {question}"}


def combine(news: str, wiki: str, forum: str) -> dict[str, list[str]]:
    return {"answers": [news, wiki, forum]}


with GraphNode(name="fan-out") as graph:
    asked = {
        source: CodeNode(name=source, code_fn=ask, inputs={"source": source, "question": PARENT["question"]})
        for source in ("news", "wiki", "forum")
    }
    merge = CodeNode(
        name="merge",
        code_fn=combine,
        inputs={source: node["answer"] for source, node in asked.items()},
        outputs=PARENT,
    )
    START >> list(asked.values()) >> merge >> END

if __name__ == "__main__":
    engine = Hush(graph)
    engine.show()
    result = engine.run_sync(inputs={"question": "graphs"})
    for answer in result["answers"]:
        print(answer)
    print(f"three requests of 0.2 s each took {'less' if result.seconds < 0.4 else 'more'} than 0.4 s")

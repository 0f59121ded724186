"""Some items fail: the others are kept, every failure is told, and a map can say how many are too many.

python examples/partial_failure.py
"""

from __future__ import annotations

import logging

from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, Hush, MapNode, Tolerate, TooManyFailures


def parse(row: dict[str, str]) -> dict[str, int]:
    return {"amount": int(row["amount"])}


def build(on_error: str | Tolerate) -> Hush:
    with GraphNode(name="orders") as graph:
        with MapNode(name="rows", inputs={"row": Each(PARENT["rows"])}, key="id", on_error=on_error) as rows:
            node = CodeNode(name="parse", code_fn=parse, inputs={"row": PARENT["row"]}, outputs=PARENT)
            START >> node >> END
        rows["amount"] >> PARENT["amounts"]
        START >> rows >> END
    return Hush(graph)


ROWS = [
    {"id": "A1", "amount": "3"},
    {"id": "A2", "amount": "many"},
    {"id": "A3", "amount": "5"},
    {"id": "A4", "amount": ""},
]

if __name__ == "__main__":
    logging.disable(logging.WARNING)  # a run that goes on after failures logs one warning; here they are printed

    result = build("collect").run_sync(inputs={"rows": ROWS})
    print(f"{result.status}: {result['amounts']}")
    for error in result.errors:
        print(f"  {error.hush.path}, item {error.hush.item} ({error.hush.key}): {error}")

    try:
        build(Tolerate(count=1)).run_sync(inputs={"rows": ROWS})
    except TooManyFailures as error:
        print(f"one tolerated, {error.failed} of {error.total} failed; so far: {error.hush.columns['amount']}")

    try:
        build("raise").run_sync(inputs={"rows": ROWS})
    except ValueError as error:
        print(f"failed fast at item {error.hush.item} ({error.hush.key})")

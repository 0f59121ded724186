"""A first look at Hush: three blocking functions at the same time, a join, and a map in which one item fails.

python examples/parallel_demo.py
"""

import logging
import time
from typing import Any

from hush.core import END, PARENT, START, CodeNode, Each, Event, GraphNode, Hush, MapNode, NodeFinished, NodeStarted


def fetch_prices() -> dict[str, dict[str, float]]:
    time.sleep(0.3)  # a database, say: an ordinary blocking call
    return {"prices": {"tea": 4.5, "coffee": 7.0, "cocoa": 6.0}}


def fetch_stock() -> dict[str, dict[str, int]]:
    time.sleep(0.3)
    return {"stock": {"tea": 120, "coffee": 30, "cocoa": 0, "mate": 8}}


def fetch_rate() -> dict[str, float]:
    time.sleep(0.3)
    return {"rate": 1.1}


def join(prices: dict[str, float], stock: dict[str, int]) -> dict[str, list[Any]]:
    return {"articles": [{"name": name, "count": count, "prices": prices} for name, count in stock.items()]}


def value(article: dict[str, Any], rate: float) -> dict[str, str]:
    price = article["prices"][article["name"]]  # nobody knows the price of mate: this item fails, the others do not
    return {"line": f"{article['name']:8}{article['count'] * price * rate:10.2f} $"}


with GraphNode(name="demo") as graph:
    prices = CodeNode(name="prices", code_fn=fetch_prices)
    stock = CodeNode(name="stock", code_fn=fetch_stock)
    rate = CodeNode(name="rate", code_fn=fetch_rate)
    articles = CodeNode(name="join", code_fn=join, inputs={"prices": prices["prices"], "stock": stock["stock"]})

    with MapNode(name="values", inputs={"article": Each(articles["articles"]), "rate": rate["rate"]}) as values:
        CodeNode(name="value", code_fn=value, inputs={"*": PARENT}, outputs=PARENT)

    values["line"] >> PARENT["lines"]
    START >> [prices, stock, rate] >> articles >> values >> END


class Timeline:
    """A tracer is any object with ``emit``: it is handed every event of the run."""

    def __init__(self) -> None:
        self.started: dict[str, int] = {}
        self.rows: list[tuple[int, int, str]] = []

    def emit(self, event: Event) -> None:
        if event.item is None and isinstance(event, NodeStarted):
            self.started[event.path] = event.at_ns
        elif event.item is None and isinstance(event, NodeFinished):
            self.rows.append((self.started[event.path], event.at_ns, event.path))


if __name__ == "__main__":
    logging.getLogger("hush").setLevel(logging.ERROR)  # the engine warns of the failed item; it is printed below
    timeline = Timeline()
    result = Hush(graph).run_sync(tracer=timeline)

    print(*[line or "(failed)" for line in result["lines"]], sep="\n")
    for error in result.errors:
        print(f"\n{error.hush.path}, item {error.hush.item}: {error!r}")
    print(f"\nStatus {result.status} after {result.seconds:.2f} s; three waits of 0.3 s at the same time:")
    first = min(begin for begin, _, _ in timeline.rows)
    for begin, end, path in sorted(timeline.rows):
        at, length = (begin - first) // 10_000_000, max((end - begin) // 10_000_000, 1)
        print(f"  {path:14}{' ' * at}{'#' * length} {(end - begin) / 1e6:.1f} ms")

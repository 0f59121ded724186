"""An API that serves 40 requests a second: called without a limit, with the limit it has, and without being told it.

python examples/rate_limited_api.py          seven seconds
python examples/rate_limited_api.py --quick  fewer requests, four seconds

The API is a real server on this machine. Of the requests in any second it answers the first 40 and refuses the others
(429), and it counts them. How much of the limit was used is what was answered, as a share of what could have been.
With "auto" the limit is found by being refused a few times: the more there is to do, the less that matters.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, Limit, MapNode, Retry

PER_SECOND = 40
LATENCY_S = 0.02


# --- the API ----------------------------------------------------------------------------------------------------------
class Api(ThreadingHTTPServer):
    """Keeps the limit, and counts."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.lock = threading.Lock()
        self.answered_s: list[float] = []
        self.refused = 0
        self._last_second: deque[float] = deque()

    def admits(self) -> bool:
        """Whether one more request is within the limit."""
        with self.lock:
            now_s = time.monotonic()
            while self._last_second and self._last_second[0] <= now_s - 1:
                self._last_second.popleft()
            if len(self._last_second) >= PER_SECOND:
                self.refused += 1
                return False
            self._last_second.append(now_s)
            self.answered_s.append(now_s)
            return True

    @property
    def used(self) -> float:
        """Which share of the limit was used, from the first answer until a second after the last."""
        return len(self.answered_s) / PER_SECOND / (self.answered_s[-1] - self.answered_s[0] + 1)


class Answering(BaseHTTPRequestHandler):
    """Answers one request; the server gives each connection a thread."""

    server: Api

    def do_GET(self) -> None:
        if self.server.admits():
            time.sleep(LATENCY_S)
            status, body = 200, json.dumps({"price": len(self.path)}).encode()
        else:
            status, body = 429, b"{}"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[Api]:
    """The API, for as long as the block runs."""
    with Api() as api:
        thread = threading.Thread(target=api.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield api
        finally:
            api.shutdown()
            thread.join()


# --- the workflow -----------------------------------------------------------------------------------------------------
def price(address: str, product: int) -> dict[str, int]:
    try:
        with urllib.request.urlopen(f"{address}/price/{product}", timeout=10) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as refusal:
        refusal.close()  # it holds the connection
        raise


def build(limit: Limit | None, retry: Retry | None) -> Hush:
    with GraphNode(name="prices") as graph:
        with MapNode(
            name="products",
            inputs={"product": Each(PARENT["products"]), "address": PARENT["address"]},
            max_concurrency=40,
        ) as products:
            CodeNode(
                name="price",
                code_fn=price,
                inputs={"*": PARENT},
                outputs=PARENT,
                executor="thread",
                limit=limit,
                retry=retry,
            )
        products["price"] >> PARENT["prices"]
        products["error"] >> PARENT["errors"]
    return Hush(graph)


WAYS = {
    "no limit": (None, None),
    f"Limit(per_second={PER_SECOND})": (Limit(per_second=PER_SECOND), Retry()),
    'Limit(concurrency="auto")': (Limit(concurrency="auto"), Retry(backoff_s=0.2)),
}


def main() -> None:
    products = 80 if "--quick" in sys.argv[1:] else 120
    logging.disable(logging.WARNING)  # of the failed items, which are counted here
    print(f"{products} products from an API that serves {PER_SECOND} requests in any second\n")
    print(f"{'':26}{'prices':>7}{'failed':>8}{'refused':>9}{'seconds':>9}{'used':>7}")
    for name, (limit, retry) in WAYS.items():
        with serving() as api:
            address = f"http://127.0.0.1:{api.server_port}"
            result = build(limit, retry).run_sync(inputs={"address": address, "products": list(range(products))})
        failed = sum(error is not None for error in result["errors"])
        print(
            f"{name:26}{products - failed:>7}{failed:>8}{api.refused:>9}{result.seconds:>9.1f}"
            f"{f'{100 * api.used:.0f} %' if retry else '':>7}"
        )


if __name__ == "__main__":
    main()

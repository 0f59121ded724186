"""A small HTTP server in a thread of its own that lists models and refuses keys, for ``hub.check()``, which waits."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Asked(NamedTuple):
    """A request."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class ModelServer:
    """Answers ``answer(asked)``: a status and what is sent as JSON, or bytes as they are.

    Attributes:
        asked: The requests, in order.
        url: Its address.
    """

    def __init__(self, url: str, answer: Callable[[Asked], tuple[int, Any]]) -> None:
        self.url = url
        self.answer = answer
        self.asked: list[Asked] = []


@contextmanager
def serving_models(answer: Callable[[Asked], tuple[int, Any]] | None = None) -> Iterator[ModelServer]:
    """A server that lists ``m`` where the key is ``good``, or answers as it is told."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, json.loads(body) if body else None)
            server.asked.append(asked)
            status, found = server.answer(asked)
            sent = found if isinstance(found, bytes) else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = _answer  # noqa: N815  # the names are http.server's

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = ModelServer(f"http://127.0.0.1:{http.server_port}/v1", answer or listing)
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def listing(asked: Asked) -> tuple[int, Any]:
    """One model, for whoever has the key."""
    if asked.headers.get("authorization") != "Bearer good":
        said = {"message": f"wrong: {asked.headers.get('authorization')}", "code": "invalid_api_key"}
        return 401, {"error": said}
    if asked.method == "POST":
        return 404, {"error": {"message": "no such model", "code": "model_not_found"}}
    return 200, {"object": "list", "data": [{"id": "m", "object": "model"}]}

"""The HTTP API of the example: a small server on loopback that tells the status of Python's modules.

Run as a program it serves until its standard input ends, which it does when the program that started it closes it or
dies. ``running()`` starts it so, in a process of its own, and ends it.

    GET /v1/factors          {"supported": 1.0, ...}: how much of a review each status calls for
    GET /v1/modules?page=1   {"pages": 6, "modules": {"abc": "supported", ...}}
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

PAGE_SIZE = 60
LATENCY_S = 0.15
END_S = 5.0

FACTORS = {"supported": 1.0, "internal": 1.5, "leaving": 0.2, "testing": 0.5}
# PEP 594 and PEP 632: gone from Python 3.12 and 3.13.
LEAVING = """
    aifc asynchat asyncore audioop cgi cgitb chunk crypt distutils imghdr imp lib2to3 mailcap msilib nis nntplib
    ossaudiodev pipes smtpd sndhdr spwd sunau telnetlib uu xdrlib"""


def status_of(module: str) -> str:
    """A module's status: one of the keys of ``FACTORS``."""
    if module == "test":
        return "testing"
    if module in LEAVING.split():
        return "leaving"
    return "internal" if module.startswith("_") else "supported"


MODULES = sorted({*sys.stdlib_module_names, "test"})
PAGES = -(-len(MODULES) // PAGE_SIZE)


class Handler(BaseHTTPRequestHandler):
    """Answers one request; ``ThreadingHTTPServer`` gives each a thread."""

    broken: ClassVar[bool] = False

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        time.sleep(LATENCY_S)  # an API is never at once
        if url.path == "/v1/factors":
            self.answer(200, FACTORS)
        elif url.path == "/v1/modules":
            self.answer_page(parse_qs(url.query).get("page", ["1"])[0])
        else:
            self.answer(404, {"error": "there is nothing here"})

    def answer_page(self, page: str) -> None:
        if not page.isdecimal() or not 1 <= int(page) <= PAGES:
            self.answer(404, {"error": f"there are pages 1 to {PAGES}"})
        elif self.broken and int(page) > 2:
            self.answer(503, {"error": "out of order"})
        else:
            names = MODULES[(int(page) - 1) * PAGE_SIZE : int(page) * PAGE_SIZE]
            self.answer(200, {"pages": PAGES, "modules": {name: status_of(name) for name in names}})

    def answer(self, code: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing: the terminal belongs to the program that started the server."""


class Server(ThreadingHTTPServer):
    """The server; a client that goes away before its answer is nothing to report."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class ServerDidNotStart(OSError):
    """The API's process ended before it said where it listens."""


@contextmanager
def running(*, broken: bool = False) -> Iterator[str]:
    """The server in a process of its own, for as long as the block runs; gives its address."""
    command = [sys.executable, os.path.abspath(__file__), *(["--broken"] if broken else [])]
    # In a session of its own Ctrl-C does not reach it: it ends when this program has ended its work.
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        if not port.isdecimal():
            raise ServerDidNotStart(f"the API's process did not start: {' '.join(command)}")
        yield f"http://127.0.0.1:{port}"
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        process.stdout.close()


def main() -> None:
    """Serve until the standard input ends."""
    parser = argparse.ArgumentParser(description="The example's HTTP API, on loopback.")
    parser.add_argument("--broken", action="store_true", help="answer 503 from the third page on")
    Handler.broken = parser.parse_args().broken
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    while sys.stdin.buffer.read(1):
        pass


if __name__ == "__main__":
    main()

"""A real Arize Phoenix on loopback, from an environment of its own: the variable HUSH_PHOENIX_PYTHON is its Python."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

VARIABLE = "HUSH_PHOENIX_PYTHON"
_STARTS_S = 300.0
_ARRIVES_S = 60.0


class Phoenix:
    """One that is running.

    Attributes:
        endpoint: Where spans are sent.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.endpoint = f"{url}/v1/traces"

    def spans(self, number: int) -> list[dict[str, Any]]:
        """All spans of the project ``default``, as soon as there are so many.

        They are written in the background, which it tells nobody of: it is asked again as soon as it has answered.
        """
        until = time.monotonic() + _ARRIVES_S
        found: list[dict[str, Any]] = []
        while len(found) < number and time.monotonic() < until:
            try:
                found = self._asked("/v1/projects/default/spans?limit=1000")["data"]
            except urllib.error.HTTPError as error:
                if error.code != 404:  # the project begins with its first span
                    raise
        return found

    def graphql(self, query: str) -> dict[str, Any]:
        """What a query gives."""
        found = self._asked("/graphql", json.dumps({"query": query}).encode())
        assert "errors" not in found, found
        return dict(found["data"])

    def _asked(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        request = urllib.request.Request(self.url + path, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30.0) as answer:
            return dict(json.load(answer))


@contextmanager
def phoenix(folder: Path) -> Iterator[Phoenix]:
    """One that keeps its data in ``folder``, until the block ends."""
    python = os.environ.get(VARIABLE)
    if not python:
        raise RuntimeError(
            f"{VARIABLE} is not set: it is a Python that has arize-phoenix; `bash scripts/nightly` makes one"
        )
    port, grpc = _free_ports(2)
    mine = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(grpc),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    command = [python, "-m", "phoenix.server.main", "serve"]
    server = subprocess.Popen(command, cwd=folder, env=mine, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = _Said(server)
    try:
        if not said.enough.wait(_STARTS_S) or not said.listens:
            raise RuntimeError("Phoenix did not start:\n" + "".join(said.last))
        yield Phoenix(f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
        try:
            server.wait(30.0)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        said.thread.join()


class _Said:
    """What a server prints, which has to be read lest it wait for that.

    Attributes:
        last: The last lines.
        listens: Whether it has said that it does.
        enough: Set when it has, or will say nothing more.
    """

    def __init__(self, server: subprocess.Popen[bytes]) -> None:
        self.last: deque[str] = deque(maxlen=60)
        self.listens = False
        self.enough = threading.Event()
        self._server = server
        self.thread = threading.Thread(target=self._read, name="phoenix-said")
        self.thread.start()

    def _read(self) -> None:
        assert self._server.stdout is not None
        with self._server.stdout as lines:
            for line in lines:
                self.last.append(line.decode("utf-8", "replace"))
                if b"Uvicorn running on" in line:
                    self.listens = True
                    self.enough.set()
        self.enough.set()


def _free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()

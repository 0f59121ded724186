"""A real Arize Phoenix on loopback, from an environment of its own: the variable HUSH_PHOENIX_PYTHON is its Python."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
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
        """All spans of the project ``default``, as soon as there are so many: they are written in the background."""
        until = time.monotonic() + _ARRIVES_S
        found: list[dict[str, Any]] = []
        while len(found) < number and time.monotonic() < until:
            time.sleep(0.2)
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
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, env=mine, stdout=log, stderr=subprocess.STDOUT)
    try:
        found = Phoenix(f"http://127.0.0.1:{port}")
        _wait(found, server, folder / "log")
        yield found
    finally:
        server.terminate()
        try:
            server.wait(30.0)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait(found: Phoenix, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _STARTS_S
    while True:
        try:
            with urllib.request.urlopen(f"{found.url}/healthz", timeout=5.0):
                return
        except OSError:
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"Phoenix did not start:\n{log.read_text()[-2_000:]}") from None
            time.sleep(0.2)


def _free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()

"""The command ``hush`` in this process: what it exits with, and what it wrote where."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from hush.cli import main

SRC = Path(__file__).parents[2] / "src"
ENV = {**os.environ, "PYTHONPATH": str(SRC), "HUSH_CONFIG": "", "PYTHONUNBUFFERED": "1"}


class Ran(NamedTuple):
    """What became of a command."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Standard output as one document of JSON."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Standard output as lines of JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


def hush(*arguments: str, stdin: str | bytes = "") -> Ran:
    """Run ``hush`` with these arguments."""
    out, err = io.StringIO(), io.StringIO()
    before, sys.stdin = sys.stdin, _stream(stdin)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = main(arguments)
    finally:
        sys.stdin = before
    return Ran(int(code), out.getvalue(), err.getvalue())


def _stream(given: str | bytes) -> io.StringIO | io.TextIOWrapper:
    """Standard input: of bytes, as a pipe gives them to a process whose locale says nothing of them."""
    if isinstance(given, str):
        return io.StringIO(given)
    return io.TextIOWrapper(io.BytesIO(given), encoding="utf-8", errors="surrogateescape")


@contextmanager
def modules_kept() -> Iterator[None]:
    """What the block loads of users' files is forgotten at its end, as at the end of a process."""
    path, known = sys.path[:], set(sys.modules)
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - known:
            file = getattr(sys.modules[name], "__file__", None) or ""
            if not file.startswith((str(SRC), sys.prefix, sys.base_prefix)):
                del sys.modules[name]

"""This side of a contestant's process: questions with a time limit, and a new process after one that died."""

from __future__ import annotations

import json
import select
import subprocess
import tempfile
from time import monotonic
from typing import Any

from benchmarks._processes import ROOT
from benchmarks.peers._contestants import Contestant
from benchmarks.peers._environments import python_of, surroundings

START_S = 60.0  # for the process and its imports


class TookTooLongError(Exception):
    """There was no answer in time; the process has been ended."""


class DiedError(Exception):
    """The process ended by itself."""


class Session:
    """A process that is started when it is first asked, and again when it is asked after its end."""

    def __init__(self, contestant: Contestant) -> None:
        self.contestant = contestant
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it goes with the process

    def ask(self, limit_s: float, **request: Any) -> dict[str, Any]:
        """The answer, at most ``limit_s`` after the process stands."""
        if self._process is None:
            self._process = self._started()
            self._answer(self._process, START_S, do="hello", distribution=self.contestant.distribution)
        return self._answer(self._process, limit_s, **request)

    def stop(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def complaints(self) -> str:
        """The end of what its processes wrote to stderr."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")[-2000:]

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [python_of(self.contestant), "-m", "benchmarks.peers._worker", self.contestant.module],
            cwd=ROOT,
            env=surroundings(self.contestant),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
        )

    def _answer(self, process: subprocess.Popen[bytes], limit_s: float, **request: Any) -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        until = monotonic() + limit_s
        line = b""
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            while not line.endswith(b"\n"):
                ready, _, _ = select.select([process.stdout], [], [], max(0.0, until - monotonic()))
                if not ready:
                    self.stop()
                    raise TookTooLongError(f"{self.contestant.name}: {request}")
                part = process.stdout.read(65_536)
                if not part:
                    self.stop()
                    raise DiedError(f"{self.contestant.name}: {request}\n{self.complaints()}")
                line += part
        except BrokenPipeError:
            self.stop()
            raise DiedError(f"{self.contestant.name}: {request}\n{self.complaints()}") from None
        return json.loads(line)

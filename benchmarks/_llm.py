"""What is asked of a language model, and the scripted server that answers with an echo, in a process of its own.

Nothing here imports Hush: the peers ask the same in environments that do not have it.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

QUESTIONS, ASKED_AT_ONCE, LATENCY_S = 2_000, 200, 0.05
IDEAL_LLM_S = QUESTIONS / ASKED_AT_ONCE * LATENCY_S
MODEL = "scripted"
ASKED = [f"What is {number} plus one?" for number in range(QUESTIONS)]
WHERE = "HUSH_BENCHMARKS_LLM"  # the variable that has the address, where it is another process that asks

_SCRIPT = f"latency_s: {LATENCY_S}\n"


@contextmanager
def llm_server(script: str = _SCRIPT) -> Iterator[str]:
    """The address of a server, as ``base_url`` takes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "script.yaml")
        path.write_text(script, encoding="utf-8")
        command = [sys.executable, "-m", "hush.testing.llm_server", str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            try:
                url = server.stdout.readline().strip()
                if not url:
                    raise RuntimeError("the scripted server did not start")
                yield f"{url}/v1"
            finally:
                server.terminate()


def where() -> str:
    """The address of the server, for a process that was started beside it."""
    return os.environ[WHERE]


def calls_seen(base_url: str) -> int:
    """How many calls the server has counted."""
    with urlopen(f"{base_url.removesuffix('/v1')}/stats") as answer:
        return int(json.load(answer)["calls"])


def echoed(question: str) -> str:
    """What the server answers."""
    return f"echo: {question}"


def message(question: str) -> list[Any]:
    """The messages of one question."""
    return [{"role": "user", "content": question}]


async def at_once(ask: Callable[[str], Awaitable[Any]], questions: Sequence[str]) -> list[Any]:
    """What one writes: a task for each question, behind a semaphore."""
    gate = asyncio.Semaphore(ASKED_AT_ONCE)

    async def one(question: str) -> Any:
        async with gate:
            return await ask(question)

    return await asyncio.gather(*[one(question) for question in questions])

"""The scripted model of ``examples/batch_llm.py``, behind a server of its own process, which ends with its parent."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from hush.testing import Fault, Rule, ScriptedLLM, llm_server


def product(request: Any) -> str:
    """What a model that can multiply answers."""
    words = request.text.replace("?", "").split()
    return str(int(words[2]) * int(words[4]))


def scripted(per_second: int, at_once: int) -> ScriptedLLM:
    """A model that keeps a limit, and goes wrong as providers do."""
    return ScriptedLLM(
        [Rule(matches=r"^What is \d+ times", answer=product)],
        limits={"rps": per_second, "concurrency": at_once},
        latency_s=(0.1, 0.3),
        faults=[
            Fault("rate_limited", numbers=[40], retry_after_s=1),
            Fault("context_length_exceeded", contains="And why? And why?"),
            Fault(503, every=97),
            Fault("bad_json", every=151),
            Fault("close", every=211),
        ],
    )


async def serve(port: int, per_second: int, at_once: int) -> None:
    """Print the address, and serve until nobody holds the other end of the standard input."""
    async with llm_server(scripted(per_second, at_once), port=port) as url:
        print(url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(*map(int, sys.argv[1:4])))

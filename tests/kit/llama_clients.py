"""The vendors' own SDKs, pointed at a llama.cpp server of the kit, and what many requests have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anthropic
import openai

from kit.llama_server import KEY, LlamaServer

HI: list[Any] = [{"role": "user", "content": "hi"}]
TOO_LONG: list[Any] = [{"role": "user", "content": "z" * 9000}]
LONG = {"ignore_eos": True}  # for `extra_body`, llama.cpp's own: the answer goes on until `max_tokens`

WEATHER: dict[str, Any] = {
    "name": "weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"enum": ["Hà Nội", "北京"]}}, "required": ["city"]},
}


def openai_client(server: LlamaServer, key: str = KEY) -> openai.AsyncOpenAI:
    """A client of OpenAI's that tries once."""
    return openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0)


def anthropic_client(server: LlamaServer, key: str = KEY) -> anthropic.AsyncAnthropic:
    """A client of Anthropic's that tries once."""
    return anthropic.AsyncAnthropic(base_url=server.url, api_key=key, max_retries=0)


async def until(so: Callable[[], bool]) -> None:
    """Ask until it is so. The server is another process, and has nothing to wait for."""
    while not so():  # noqa: ASYNC110
        await asyncio.sleep(0)


async def until_idle(server: LlamaServer) -> None:
    """Wait until the server works at nothing, and nothing waits in it."""
    await until(lambda: not server.busy() and not server.metric("requests_deferred"))

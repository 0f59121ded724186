"""The clients keep the contract, against a server that says what it is told to."""

from __future__ import annotations

import asyncio

import pytest

from hush.providers._model import ChatRequest
from hush.testing import leak_check
from kit.llm_forms import FORMS, Said
from kit.llm_wire import answer, serving, stream
from providers import contract

SAID = Said(
    thinking=("Let me ", "see: 考え"),
    content=("Xin ", "chào", " 你好 \u2028", "👩‍👩‍👧", ' "quoted" \\ </s>\n', "\x00?"),
)
CALLED = Said(
    content=("I ask.",),
    calls=(("t-1", "weather", ('{"city": ', '"Hà Nội"}')), ("t-2", "now", ("{}",))),
    finish="tool_calls",
)
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
USER = {"role": "user", "content": "?"}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize("check", contract.CHECKS, ids=contract.name_of)
async def test_contract(check, form):
    def script(seen):
        if "refuse" in seen.body.decode():
            return answer(form.error("some_code", "No."), 400)
        said = CALLED if seen.json.get("tools") else SAID
        if seen.json.get("stream"):
            return stream(form.events(said))
        return answer(form.whole(said))

    async with leak_check(), serving(script) as server:

        async def settled():
            await asyncio.wait_for(server.until(lambda: not server.open), 10)

        subject = contract.Subject(
            connect=lambda: form.client(server.url),
            tools=ChatRequest(messages=[USER], tools=[TOOL]),
            refused=ChatRequest(messages=[{"role": "user", "content": "refuse"}]),
            sockets=lambda: len(server.open),
            settled=settled,
        )
        await check(subject)

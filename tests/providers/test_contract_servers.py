"""The clients keep the contract against the scripted model, in process and over HTTP, and a real llama.cpp server."""

from __future__ import annotations

import pytest

from hush.core import ResourceHub
from hush.core.extend import resource_in
from hush.providers._model import ChatRequest
from hush.testing import Fault, Reply, Rule, ScriptedLLM, ToolCall, llm_server
from hush.testing._scripted._client import ScriptedClient
from kit.llama_clients import HI
from kit.llama_server import LlamaServer
from providers import contract

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
CALLED = ChatRequest(messages=[{"role": "user", "content": "call it"}], tools=[TOOL])
REFUSED = ChatRequest(messages=[{"role": "user", "content": "refuse it"}])


def scripted() -> ScriptedLLM:
    call = Reply("I ask.", tool_calls=[ToolCall("weather", {"city": "Hà Nội"}, id="call-1")])
    return ScriptedLLM([Rule("call it", call)], faults=[Fault("bad_request", contains="refuse it")], latency_s=0.01)


def opened(settings: dict) -> object:
    resource = resource_in(ResourceHub({"llm:m": settings}), "llm", "m")
    return resource.open()


@pytest.mark.parametrize("check", contract.CHECKS, ids=contract.name_of)
async def test_in_process(check):
    llm = scripted()
    await check(
        contract.Subject(connect=lambda: opened({"type": "scripted", "llm": llm}), tools=CALLED, refused=REFUSED)
    )
    assert isinstance(opened({"type": "scripted", "llm": llm}), ScriptedClient)
    assert llm.stats.at_once == 0  # whoever was cancelled has left


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
@pytest.mark.parametrize("check", contract.CHECKS, ids=contract.name_of)
async def test_over_http(check, kind):
    async with llm_server(scripted()) as url:
        settings = {"type": kind, "base_url": f"{url}/v1" if kind == "openai" else url, "api_key": "k", "model": "m"}
        await check(contract.Subject(connect=lambda: opened(settings), tools=CALLED, refused=REFUSED))


@pytest.mark.parametrize("check", contract.CHECKS, ids=contract.name_of)
async def test_llama_cpp(check, llama: LlamaServer):
    settings = {"type": "openai", "base_url": f"{llama.url}/v1", "model": "m"}
    request = ChatRequest(messages=HI, parameters={"temperature": 0, "seed": 1, "max_tokens": 24})
    await check(contract.Subject(connect=lambda: opened(settings), request=request, repeats=False))

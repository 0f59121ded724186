"""The clients keep the contract against the scripted model, in process and over HTTP, and a real llama.cpp server."""

from __future__ import annotations

from typing import Any

import pytest

from hush.core import ResourceHub, Retry
from hush.core.extend import resource_in
from hush.providers._model import ChatRequest
from hush.testing import Fault, Reply, Rule, ScriptedLLM, ToolCall, llm_server
from hush.testing._scripted._client import ScriptedClient
from kit.llama_clients import HI
from kit.llama_server import LlamaServer
from kit.model_places import asked
from providers import contract

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
CALLED = ChatRequest(messages=[{"role": "user", "content": "call it"}], tools=[TOOL])
SEEN = ChatRequest(messages=[{"role": "user", "content": "draw it and say it"}])
DRAWN = ["data:image/png;base64,AAAA", {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}}]
SPOKEN = {
    "id": "a-1",
    "data": "AAECAwQF" * 9,
    "transcript": "Xin chào 👩‍👩‍👧, bạn khỏe không?",
    "expires_at": 1700000000,
}
REFUSED = ChatRequest(messages=[{"role": "user", "content": "refuse it"}])


def scripted() -> ScriptedLLM:
    call = Reply("I ask.", tool_calls=[ToolCall("weather", {"city": "Hà Nội"}, id="call-1")])
    both = Reply(images=DRAWN, audio=SPOKEN)
    return ScriptedLLM(
        [Rule("call it", call), Rule("draw it", both)],
        faults=[Fault("bad_request", contains="refuse it")],
        latency_s=0.01,
    )


def opened(settings: dict) -> object:
    resource = resource_in(ResourceHub({"llm:m": settings}), "llm", "m")
    return resource.open()


@pytest.mark.parametrize("check", contract.CHECKS, ids=contract.name_of)
async def test_in_process(check):
    llm = scripted()
    await check(
        contract.Subject(
            connect=lambda: opened({"type": "scripted", "llm": llm}), tools=CALLED, media=SEEN, refused=REFUSED
        )
    )
    assert isinstance(opened({"type": "scripted", "llm": llm}), ScriptedClient)
    assert llm.stats.at_once == 0  # whoever was cancelled has left


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
@pytest.mark.parametrize("check", contract.CHECKS, ids=contract.name_of)
async def test_over_http(check, kind):
    async with llm_server(scripted()) as url:
        settings = {"type": kind, "base_url": f"{url}/v1" if kind == "openai" else url, "api_key": "k", "model": "m"}
        media = SEEN if kind == "openai" else None  # Anthropic's form has neither
        await check(contract.Subject(connect=lambda: opened(settings), tools=CALLED, media=media, refused=REFUSED))


@pytest.mark.parametrize("check", contract.CHECKS, ids=contract.name_of)
async def test_llama_cpp(check, llama: LlamaServer):
    settings = {"type": "openai", "base_url": f"{llama.url}/v1", "model": "m"}
    request = ChatRequest(messages=HI, parameters={"temperature": 0, "seed": 1, "max_tokens": 24})
    await check(contract.Subject(connect=lambda: opened(settings), request=request, repeats=False))


async def everything(settings: dict, streams: bool) -> Any:
    return await asked({"llm:m": settings}, messages="draw it and say it", streams=streams, retry=Retry(max_attempts=1))


@pytest.mark.parametrize("streams", [False, True])
async def test_a_node_gives_the_pictures_and_the_speech_of_a_script(streams):
    async with llm_server(scripted()) as url:
        http = {"type": "openai", "base_url": f"{url}/v1", "api_key": "k", "model": "m"}
        found = [await everything(each, streams) for each in (http, {"type": "scripted", "llm": scripted()})]
    wanted = [{"type": "image_url", "image_url": {"url": DRAWN[0]}}, DRAWN[1]]
    for one in found:
        assert (one["images"], one["audio"], one["content"]) == (wanted, SPOKEN, "")
        assert one["message"]["audio"] == {"id": "a-1"}
        assert one["usage"]["output_tokens"] > 0  # of what is said


@pytest.mark.parametrize("streams", [False, True])
async def test_anthropics_form_has_neither(streams):
    async with llm_server(ScriptedLLM(Reply("Here.", images=DRAWN, audio=SPOKEN))) as url:
        found = await everything({"type": "anthropic", "base_url": url, "api_key": "k", "model": "m"}, streams)
    assert (found["content"], found["images"], found["audio"]) == ("Here.", [], None)

"""The real llama.cpp server of the kit: how it refuses, how it dies, and what the vendors' SDKs make of it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from kit.llama_clients import HI, LONG, TOO_LONG, anthropic_client, openai_client
from kit.llama_model import write_model
from kit.llama_server import TESTS, LlamaServer, llama_server


@pytest.fixture
async def client(llama: LlamaServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai_client(llama) as client:
        yield client


@pytest.fixture
async def claude(llama: LlamaServer) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic_client(llama) as client:
        yield client


# --- how it says no ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        ("/v1/chat/completions", b'{"messages": [', 400, "invalid_request_error"),
        ("/v1/chat/completions", b'{"messages": [{"role": "user", "content": "\xff"}]}', 400, "invalid_request_error"),
        ("/v1/chat/completions", {}, 400, "invalid_request_error"),
        ("/v1/chat/completions", {"messages": HI, "max_tokens": "many"}, 400, "invalid_request_error"),
        ("/v1/chat/completions", {"messages": HI, "n": 9}, 400, "invalid_request_error"),
        ("/v1/chat/completions", {"messages": HI, "tools": [{"type": "function"}]}, 500, "server_error"),
        ("/v1/chat/completions", {"messages": TOO_LONG}, 400, "exceed_context_size_error"),
        ("/v1/chat/completions", {"messages": TOO_LONG, "stream": True}, 400, "exceed_context_size_error"),
        ("/v1/messages", b'{"messages": [', 400, "invalid_request_error"),
        ("/v1/messages", {}, 500, "server_error"),
        ("/v1/messages", {"messages": TOO_LONG, "max_tokens": 9}, 400, "exceed_context_size_error"),
        ("/v1/embeddings", {"input": "hi"}, 501, "not_supported_error"),
        ("/v1/nowhere", {}, 404, "not_found_error"),
    ],
)
def test_every_refusal_has_one_shape(llama: LlamaServer, path: str, body: Any, status: int, kind: str) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{llama.url}{path}", data, timeout=20)
    with refused.value as answer:
        error = json.load(answer)["error"]
    assert (answer.code, error["code"], error["type"]) == (status, status, kind)
    assert error["message"]


async def test_the_sdks_say_what_the_server_says(client: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic) -> None:
    with pytest.raises(openai.BadRequestError, match="exceeds the available context size") as refused:
        await client.chat.completions.create(model="any", messages=TOO_LONG)
    assert refused.value.body == {
        "code": 400,
        "message": "request (9018 tokens) exceeds the available context size (8192 tokens), try increasing it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 9018,
        "n_ctx": 8192,
    }
    with pytest.raises(anthropic.BadRequestError, match="exceeds the available context size"):
        await claude.messages.create(model="any", messages=TOO_LONG, max_tokens=9)


async def test_a_wrong_key_is_refused(llama_started: Callable[..., Any]) -> None:
    with llama_started(api_key="sk-right") as server:
        async with openai_client(server, "sk-wrong") as client, anthropic_client(server, "sk-wrong") as claude:
            with pytest.raises(openai.AuthenticationError, match="Invalid API Key"):
                await client.chat.completions.create(model="any", messages=HI)
            with pytest.raises(anthropic.AuthenticationError, match="Invalid API Key"):
                await claude.messages.create(model="any", messages=HI, max_tokens=9)
        async with openai_client(server, "sk-right") as client:
            assert (await client.chat.completions.create(model="any", messages=HI, max_tokens=1)).choices


async def test_what_the_sdks_raise_when_a_server_dies_in_the_middle(llama_started: Callable[..., Any]) -> None:
    asked: Any = {"model": "any", "messages": HI, "max_tokens": 8000, "stream": True}
    with llama_started() as server:
        async with openai_client(server) as client:
            async with await client.chat.completions.create(**asked, extra_body=LONG) as stream:
                with pytest.raises(openai.APIConnectionError) as broken:
                    async for _ in stream:
                        server.kill()
            assert isinstance(broken.value.__cause__, httpx2.RemoteProtocolError)
            with pytest.raises(openai.APIConnectionError):
                await client.chat.completions.create(**asked)

    text = {"type": "object", "properties": {"text": {"const": "x" * 900}}, "required": ["text"]}
    tools: Any = [{"name": "write", "input_schema": text}]  # nothing else makes Anthropic's route say much
    with llama_started() as server:
        async with anthropic_client(server) as claude:
            async with await claude.messages.create(**asked, tools=tools) as stream:
                with pytest.raises(httpx2.RemoteProtocolError):  # not one of its own
                    async for _ in stream:
                        server.kill()
            with pytest.raises(anthropic.APIConnectionError):
                await claude.messages.create(**asked)


# --- the kit itself ---------------------------------------------------------------------------------------------------
def test_the_model_is_the_same_each_time(tmp_path: Path) -> None:
    write_model(tmp_path / "a.gguf")
    write_model(tmp_path / "b.gguf")
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["a.gguf", "b.gguf"]


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "random.gguf").write_bytes(b"no model")
    with (
        pytest.raises(RuntimeError, match=r"(?s)did not start.*failed to load model") as refused,
        llama_server(tmp_path),
    ):
        pass
    assert "exit code 1" in str(refused.value)


def test_a_server_ends_when_who_started_it_dies(llama_folder: Path) -> None:
    dies = f"""
import os, pathlib
from kit.llama_server import llama_server
with llama_server(pathlib.Path({str(llama_folder)!r})) as server:
    print(server.url, flush=True)
    os._exit(1)
"""
    done = subprocess.run(
        [sys.executable, "-c", dies], env={"PYTHONPATH": str(TESTS)}, capture_output=True, text=True, check=False
    )
    url = done.stdout.strip()
    assert url, done.stderr
    while True:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=10).close()
        except OSError:  # nobody listens any more
            break

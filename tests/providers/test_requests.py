"""What is sent in OpenAI's form, to whom and with whose key, and what is not sent again once it was refused."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hush.providers._model import ChatRequest
from hush.providers.errors import ProviderError, RefusedByProvider
from kit.llm_forms import ANTHROPIC, KEY, OPENAI
from kit.llm_wire import answer, serving
from providers.contract import Heard
from providers.sending import SAID, TOOL, USER, body, both, sent


# --- who asks ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def ambient(monkeypatch):
    """What the vendors' clients would take from the environment, meant for somebody else."""
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "AZURE_OPENAI_API_KEY"):
        monkeypatch.setenv(name, "ambient")
    for name in ("AZURE_OPENAI_AD_TOKEN", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.setenv(name, "ambient")
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.setenv(name, "http://ambient.invalid")
    for name in ("OPENAI_CUSTOM_HEADERS", "ANTHROPIC_CUSTOM_HEADERS"):
        monkeypatch.setenv(name, "X-One: ambient\nAuthorization: Bearer ambient")


@both
@pytest.mark.parametrize("key", [KEY, None])
async def test_nothing_of_the_environment_is_sent(form, key, ambient):
    headers = (await sent(form, api_key=key, headers={"X-Corp": "c"})).headers
    assert "ambient" not in str(headers)
    assert headers.get("authorization") == (f"Bearer {key}" if key else None)
    assert headers["x-corp"] == "c"


async def test_azure_is_asked_as_it_wants(ambient):
    more = {"vendor": "azure", "url": "http://corp.openai.azure.com", "deployment": "dep", "api_version": "2030-01-01"}
    seen = await sent(OPENAI, ChatRequest(messages=[USER], parameters={"max_tokens": 3}), **more)
    path = "/openai/deployments/dep/chat/completions?api-version=2030-01-01"
    assert seen.path == f"http://corp.openai.azure.com{path}"
    assert seen.headers["api-key"] == KEY
    assert "authorization" not in seen.headers
    assert seen.json["max_completion_tokens"] == 3
    assert "ambient" not in str(seen.headers)
    seen = await sent(OPENAI, vendor="azure", url="http://corp.openai.azure.com/openai/v1/")
    assert seen.path == "http://corp.openai.azure.com/openai/v1/chat/completions"
    assert seen.headers["api-key"] == KEY


async def test_organization_and_project_are_sent():
    headers = (await sent(OPENAI, organization="o", project="p")).headers
    assert (headers["openai-organization"], headers["openai-project"]) == ("o", "p")


@both
async def test_a_base_url_may_end_in_a_slash(form):
    async with serving(form.says(SAID)) as server:
        client = form.client(server.url, base_url=f"{server.url}/v1/")
        await client.chat(ChatRequest(messages=[USER]))
        await client.aclose()
    assert server.seen[0].path == ("/v1/messages" if form is ANTHROPIC else "/v1/chat/completions")


@both
def test_without_its_package_it_says_what_to_install(form, monkeypatch):
    monkeypatch.setitem(sys.modules, form.name, None)  # as if it were not there
    with pytest.raises(ImportError, match=rf"llm:{form.name} needs .* 'hushflow\[{form.name}\]'"):
        form.client("http://127.0.0.1:9")


def test_loading_the_clients_loads_no_vendors():
    """It takes a second or two, and waits for the first request."""
    code = (
        "import sys, hush.providers._clients._openai, hush.providers._clients._anthropic\n"
        "import hush.providers._clients._embedding, hush.providers._clients._rerank\n"
        "print({'openai', 'anthropic', 'httpx2', 'anyio', 'pydantic'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@both
async def test_a_closed_client_says_so(form):
    client = form.client("http://127.0.0.1:9")
    await client.aclose()
    with pytest.raises(ProviderError, match="closed"):
        await client.chat(ChatRequest(messages=[USER]))


# --- OpenAI's form ----------------------------------------------------------------------------------------------------
async def test_what_was_given_is_sent():
    request = ChatRequest(
        messages=[{"role": "system", "content": "s"}, USER],
        tools=[TOOL],
        tool_choice="required",
        parameters={"temperature": 0, "max_tokens": 9, "stop": ["x"], "seed": 7},
        extra={"top_k": 3, "temperature": 1},
    )
    assert await body(OPENAI, request) == {
        "model": "m-1",
        "messages": [{"role": "system", "content": "s"}, USER],
        "tools": [TOOL],
        "tool_choice": "required",
        "max_tokens": 9,
        "stop": ["x"],
        "seed": 7,
        "top_k": 3,
        "temperature": 1,
    }
    assert (await body(OPENAI, request, streamed=True))["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("url", "settings", "name"),
    [
        (None, {}, "max_tokens"),
        ("http://api.openai.com/v1", {}, "max_completion_tokens"),
        ("http://eu.api.openai.com/v1", {}, "max_completion_tokens"),
        ("http://openai.com.evil.invalid/v1", {}, "max_tokens"),
        ("http://api.openai.com/v1", {"token_parameter": "max_tokens"}, "max_tokens"),
        (None, {"token_parameter": "max_completion_tokens"}, "max_completion_tokens"),
    ],
)
async def test_the_bound_is_spelt_as_the_server_knows_it(url, settings, name):
    found = await body(OPENAI, ChatRequest(messages=[USER], parameters={"max_tokens": 3}), url=url, **settings)
    assert {key: found[key] for key in found if "tokens" in key} == {name: 3}


async def test_a_message_made_of_a_nodes_outputs_is_openais():
    outputs = [
        {
            "id": "a",
            "type": "function",
            "function": {"name": "f", "arguments": '{"x": 1}'},
            "name": "f",
            "arguments": {"x": 1},
            "extra_content": {"google": 1},
        },
        {"id": "b", "name": "g", "arguments": {"é": 1}},
    ]
    messages = [
        USER,
        {"role": "assistant", "content": None, "tool_calls": outputs},
        {"role": "assistant", "tool_calls": []},
    ]
    found = (await body(OPENAI, ChatRequest(messages=messages)))["messages"]
    assert found[1]["tool_calls"] == [
        {
            "id": "a",
            "type": "function",
            "function": {"name": "f", "arguments": '{"x": 1}'},
            "extra_content": {"google": 1},
        },
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": '{"é":1}'}},
    ]
    assert found[2] == {"role": "assistant"}
    assert "name" in outputs[0]  # what was given is not touched


async def test_more_than_one_answer_is_refused():
    client = OPENAI.client("http://127.0.0.1:9")
    with pytest.raises(RefusedByProvider, match=r"llm:openai.* n:"):
        await client.chat(ChatRequest(messages=[USER], parameters={"n": 2}))
    await client.aclose()


# --- what it learns ---------------------------------------------------------------------------------------------------
def says_unless(name, message):
    """A server that refuses a parameter."""

    def script(seen):
        return answer(OPENAI.error("invalid", message), 400) if name in seen.json else OPENAI.says(SAID)(seen)

    return script


@pytest.mark.parametrize(
    ("name", "message", "parameters"),
    [
        ("stream_options", "Unknown parameter: stream_options", {}),
        ("max_tokens", "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", {"max_tokens": 3}),
        ("max_tokens", "max_tokens: Extra inputs are not permitted", {"max_tokens": 3}),
    ],
)
async def test_a_parameter_that_was_refused_is_not_sent_again(name, message, parameters):
    async with serving(says_unless(name, message)) as server:
        client = OPENAI.client(server.url)
        request = ChatRequest(messages=[USER], parameters=parameters)
        for _ in range(3):
            assert (await client.chat(request, Heard())).content == "yes"
        await client.aclose()
    assert len(server.seen) == 4
    assert name not in server.seen[-1].json
    if parameters:
        assert server.seen[-1].json["max_completion_tokens"] == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"token_parameter": "max_tokens"},
            "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
        ),
        ({}, "max_tokens is too large: 3. This model supports at most 2."),
        ({}, "stream_options is fine, messages are not"),
    ],
)
async def test_other_refusals_teach_nothing(settings, message):
    async with serving(lambda _: answer(OPENAI.error("invalid", message), 400)) as server:
        client = OPENAI.client(server.url, **settings)
        with pytest.raises(RefusedByProvider):
            await client.chat(ChatRequest(messages=[USER], parameters={"max_tokens": 3}))
        await client.aclose()
    assert len(server.seen) == 1


async def test_what_it_learns_ends():
    async with serving(
        lambda _: answer(OPENAI.error("x", "unknown max_tokens max_completion_tokens stream_options"), 400)
    ) as server:
        client = OPENAI.client(server.url)
        with pytest.raises(RefusedByProvider):
            await client.chat(ChatRequest(messages=[USER], parameters={"max_tokens": 3}), Heard())
        await client.aclose()
    assert len(server.seen) <= 5

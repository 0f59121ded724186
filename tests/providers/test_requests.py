"""What is sent: OpenAI's form as servers take it, and the same in Anthropic's."""

from __future__ import annotations

import base64
import subprocess
import sys

import pytest

from hush.providers._clients._schema import narrowed
from hush.providers._model import ChatRequest
from hush.providers.errors import ProviderError, RefusedByProvider
from kit.llm_forms import ANTHROPIC, FORMS, KEY, OPENAI, Said
from kit.llm_wire import answer, serving, stream
from providers.contract import Heard

USER = {"role": "user", "content": "?"}
SAID = Said(content=("yes",))
both = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
POINT = {
    "type": "object",
    "properties": {"x": {"type": "integer", "default": 1}, "y": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
    "required": ["x"],
    "title": "Point",
}
TOOL = {"type": "function", "function": {"name": "f", "description": "does", "parameters": POINT}}


async def sent(form, request=None, *, streamed=False, url=None, **settings):
    """What the server sees of a request."""
    async with serving(form.says(SAID)) as server:
        if url is not None:
            settings = {"proxy": server.url, "base_url": url, **settings}
        client = form.client(server.url, **settings)
        try:
            reply = await client.chat(request or ChatRequest(messages=[USER]), Heard() if streamed else None)
        finally:
            await client.aclose()
        assert reply.content == "yes"
        (seen,) = server.seen
        return seen


async def body(form, request, **more):
    return (await sent(form, request, **more)).json


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


# --- schemas ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["json_schema", "json_object", "none"])
async def test_a_schema_is_enforced_as_far_as_the_server_can(mode):
    request = ChatRequest(messages=[USER, {"role": "assistant", "content": "{"}], schema=POINT, schema_name="point")
    found = await body(OPENAI, request, schema_mode=mode)
    if mode == "json_schema":
        assert found["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "point", "strict": True, "schema": narrowed(POINT)},
        }
        assert found["messages"] == list(request.messages)
    else:
        assert found.get("response_format") == ({"type": "json_object"} if mode == "json_object" else None)
        assert '"integer"' in found["messages"][0]["content"]
        assert found["messages"][0]["content"].startswith("?")
    assert USER == {"role": "user", "content": "?"}


async def test_any_object_is_asked_for_in_words_too():
    found = await body(OPENAI, ChatRequest(messages=[USER], schema={}))
    assert found["response_format"] == {"type": "json_object"}
    assert "JSON" in found["messages"][0]["content"]
    asked = {"role": "user", "content": [{"type": "text", "text": "Give me json."}]}
    assert (await body(OPENAI, ChatRequest(messages=[asked], schema={})))["messages"] == [asked]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": {"type": "object"}}},
        {"type": "object", "properties": {"a": {"oneOf": [{"type": "string"}]}}},
        {"type": "array", "items": {"type": "string"}},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": {"type": "string", "format": "uri"}}},
        {"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}},
    ],
)
async def test_a_schema_that_is_too_wide_for_strict_mode_is_sent_as_it_is(schema):
    assert narrowed(schema) is None
    found = await body(OPENAI, ChatRequest(messages=[USER], schema=schema))
    assert found["response_format"]["json_schema"] == {"name": "answer", "schema": schema}


def test_strict_schemas_name_all_their_keys():
    nested = {
        "$defs": {"P": {**POINT}},
        "type": "object",
        "properties": {"ps": {"type": "array", "items": {"$ref": "#/$defs/P", "description": "d"}}},
    }
    point = {
        "type": "object",
        "properties": {"x": {"type": "integer"}, "y": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
        "required": ["x", "y"],
        "title": "Point",
        "additionalProperties": False,
    }
    assert narrowed(nested) == {
        "$defs": {"P": point},
        "type": "object",
        "properties": {"ps": {"type": "array", "items": {"$ref": "#/$defs/P"}}},
        "required": ["ps"],
        "additionalProperties": False,
    }


# --- Anthropic's form -------------------------------------------------------------------------------------------------
async def test_what_anthropic_knows_is_translated():
    request = ChatRequest(
        messages=[{"role": "system", "content": "s"}, USER, {"role": "developer", "content": "d"}],
        tools=[TOOL, {"type": "web_search_20250305", "name": "web_search"}],
        tool_choice={"type": "function", "function": {"name": "f"}},
        parameters={
            "temperature": 0,
            "max_tokens": 9,
            "stop": "x",
            "user": "u",
            "parallel_tool_calls": False,
            "reasoning_effort": "low",
        },
        extra={"inference_geo": "eu"},
    )
    assert await body(ANTHROPIC, request) == {
        "model": "m-1",
        "max_tokens": 9,
        "system": "s\n\nd",
        "messages": [USER],
        "tools": [
            {"name": "f", "description": "does", "input_schema": POINT},
            {"type": "web_search_20250305", "name": "web_search"},
        ],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        "temperature": 0,
        "stop_sequences": ["x"],
        "metadata": {"user_id": "u"},
        "output_config": {"effort": "low"},
        "inference_geo": "eu",
    }


@pytest.mark.parametrize(
    ("choice", "found"),
    [("auto", {"type": "auto"}), ("none", {"type": "none"}), ("required", {"type": "any"}), (None, None)],
)
async def test_choices_of_tools(choice, found):
    request = ChatRequest(messages=[USER], tools=[TOOL], tool_choice=choice)
    assert (await body(ANTHROPIC, request)).get("tool_choice") == found
    assert "tool_choice" not in await body(ANTHROPIC, ChatRequest(messages=[USER], tool_choice=choice))


async def test_a_bound_is_sent_where_none_is_given():
    assert (await body(ANTHROPIC, ChatRequest(messages=[USER])))["max_tokens"] == 4096
    assert (await body(ANTHROPIC, ChatRequest(messages=[USER]), max_tokens=7))["max_tokens"] == 7


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"parameters": {"seed": 1, "logprobs": True}}, "logprobs, seed"),
        ({"parameters": {"presence_penalty": 0.0}}, "presence_penalty"),
        ({"parameters": {"n": 2}}, "n"),
        ({"tools": [TOOL], "tool_choice": "sometimes"}, "sometimes"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}, "input_audio"),
        ({"messages": [{"role": "critic", "content": "x"}]}, "critic"),
        ({"messages": [{"role": "user", "content": 7}]}, "7"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "url"),
    ],
)
async def test_what_anthropic_does_not_know_is_an_error(given, named):
    client = ANTHROPIC.client("http://127.0.0.1:9")
    with pytest.raises(RefusedByProvider) as caught:
        await client.chat(ChatRequest(**{"messages": [USER], **given}))
    await client.aclose()
    assert named in str(caught.value)
    assert "llm:anthropic" in str(caught.value)
    assert caught.value.status_code == 400
    assert caught.value.__context__ is None


async def test_turns_alternate_and_results_of_tools_are_the_users():
    calls = [
        {"id": "a", "function": {"name": "f", "arguments": '{"x": 1}'}},
        {"id": "b", "name": "g", "arguments": {"y": 2}, "function": {"name": "g", "arguments": ""}},
        {"id": "c", "function": {"name": "h", "arguments": "{broken"}},
    ]
    messages = [
        USER,
        {"role": "user", "content": ""},
        {"role": "assistant", "content": "I ask.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "2"}]},
        {"role": "tool", "tool_call_id": "c", "content": ""},
        {"role": "user", "content": "go on"},
        {"role": "assistant", "content": None, "tool_calls": None},
        {"role": "assistant", "content": "Then"},
    ]
    assert (await body(ANTHROPIC, ChatRequest(messages=messages)))["messages"] == [
        USER,
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I ask."},
                {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
                {"type": "tool_use", "id": "b", "name": "g", "input": {}},
                {"type": "tool_use", "id": "c", "name": "h", "input": {"arguments": "{broken"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "1"},
                {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "2"}]},
                {"type": "tool_result", "tool_use_id": "c"},
                {"type": "text", "text": "go on"},
            ],
        },
        {"role": "assistant", "content": "Then"},
    ]


async def test_images_and_files_are_translated():
    data = base64.b64encode("é".encode()).decode()
    parts = [
        {"type": "text", "text": "look", "cache_control": {"type": "ephemeral"}},
        {"type": "image_url", "image_url": {"url": f"data:image/PNG;base64,{data}", "detail": "low"}},
        {"type": "image_url", "image_url": "https://x/y.png"},
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{data}", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": f"data:text/plain;charset=utf-8;base64,{data}"}},
        {"type": "file", "file": {"file_id": "f-1"}},
        {"type": "thinking", "thinking": "t", "signature": "s"},
    ]
    (turn,) = (await body(ANTHROPIC, ChatRequest(messages=[{"role": "user", "content": parts}])))["messages"]
    assert turn["content"] == [
        {"type": "text", "text": "look", "cache_control": {"type": "ephemeral"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": data},
            "title": "a.pdf",
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "é"}},
        {"type": "document", "source": {"type": "file", "file_id": "f-1"}},
        {"type": "thinking", "thinking": "t", "signature": "s"},
    ]


async def test_a_schema_is_enforced_by_anthropic_or_stands_in_the_messages():
    request = ChatRequest(messages=[USER], schema=POINT)
    found = (await body(ANTHROPIC, request))["output_config"]["format"]
    assert found["type"] == "json_schema"
    assert found["schema"]["additionalProperties"] is False
    plain = await body(ANTHROPIC, request, schema_mode="none")
    assert "output_config" not in plain
    assert '"integer"' in plain["messages"][0]["content"]
    assert "JSON object" in (await body(ANTHROPIC, ChatRequest(messages=[USER], schema={})))["messages"][0]["content"]


@pytest.mark.parametrize(
    ("stopped", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
    ],
)
async def test_reasons_to_stop_are_openais(stopped, reason):
    whole = {**ANTHROPIC.whole(SAID), "stop_reason": stopped, "stop_details": {"type": "refusal", "explanation": "no"}}
    async with serving(lambda _: answer(whole)) as server:
        client = ANTHROPIC.client(server.url)
        reply = await client.chat(ChatRequest(messages=[USER]))
        await client.aclose()
    assert (reply.finish_reason, reply.refusal) == (reason, "no")


@both
async def test_usage_counts_what_a_cache_has_served(form):
    async with serving(form.says(SAID)) as server:
        client = form.client(server.url)
        for heard in (None, Heard()):
            usage = (await client.chat(ChatRequest(messages=[USER]), heard)).usage
            assert (usage.input_tokens, usage.output_tokens, usage.cached_tokens) == (7, 5, 2)
        await client.aclose()


async def test_a_tool_without_arguments_is_called_with_none():
    said = Said(calls=(("t", "now", ()),), finish="tool_calls")
    async with serving(ANTHROPIC.says(said)) as server:
        client = ANTHROPIC.client(server.url)
        for heard in (None, Heard()):
            (call,) = (await client.chat(ChatRequest(messages=[USER]), heard)).tool_calls
            assert call.arguments == "{}"
        await client.aclose()


@both
async def test_a_closed_client_says_so(form):
    client = form.client("http://127.0.0.1:9")
    await client.aclose()
    with pytest.raises(ProviderError, match="closed"):
        await client.chat(ChatRequest(messages=[USER]))


async def test_events_that_are_streamed_keep_their_order():
    said = Said(thinking=("t",), content=("a", "b"))
    async with serving(lambda _: stream(ANTHROPIC.events(said))) as server:
        client, heard = ANTHROPIC.client(server.url), Heard()
        await client.chat(ChatRequest(messages=[USER]), heard)
        await client.aclose()
    assert heard.parts == [("t", "thinking"), ("a", "content"), ("b", "content")]

"""Twelve secrets planted in settings of models are found nowhere: no error, problem, log, ``repr`` or copy."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import json
import logging
import traceback
from base64 import b64encode

import pytest
from pydantic import SecretStr

from hush.core import PARENT, GraphNode, Hush, HushError, ResourceHub
from hush.providers import EmbeddingNode, LLMNode, RerankNode
from kit.model_server import serving_models

WORD = "hunter2"
(KEY, HEADER, PROXY, USER, QUERY, AZURE, VARIABLE, DEFAULT, CODE, NESTED, MISPLACED, TWICE) = SECRETS = [
    f"{WORD}-{name}"
    for name in ("key", "head", "proxy", "user", "query", "azure", "var", "dflt", "code", "nest", "place", "twice")
]
FORMS = [*SECRETS, WORD, b64encode(f"me:{USER}".encode()).decode()]


def seen(texts):
    return sorted({form for form in FORMS for text in texts if form in text})


def told_of(error):
    """Everything that an error and those behind it say."""
    found = []
    while error is not None:
        found += [str(error), repr(error), repr(error.args), repr(vars(error))]
        found += traceback.format_exception(error)
        error = error.__cause__ or error.__context__
    return found


@pytest.fixture
def planted(monkeypatch):
    monkeypatch.setenv("PLANTED", VARIABLE)


WRONG = f"""
llm:a: {{type: openai, api_key: "{KEY}\\n{KEY}", model: m}}
llm:b: {{type: openai, api_key: k, model: m, headers: {{X-Team: ["{HEADER}"]}}}}
llm:c: {{type: openai, api_key: k, model: m, headers: {{X-Team: "{HEADER}\\n"}}, proxy: [{PROXY}]}}
llm:d: {{type: openai, api_key: k, model: m, base_url: "ftp://me:{USER}@host"}}
llm:e: {{type: openai, api_key: k, model: m, base_url: "me:{USER}@host/v1"}}
llm:f: {{type: openai, api_key: k, model: m, base_url: "{USER}@host/v1"}}
llm:g: {{type: openai, api_key: k, model: m, base_url: "https://host/v1?key={QUERY}"}}
llm:h: {{type: azure, api_key: {{a: {AZURE}}}, base_url: no, deployment: d}}
llm:i: {{type: openai, api_key: '${{PLANTED}}', model: m, timeout_s: '${{PLANTED}}'}}
llm:j: {{type: '${{PLANTED}}', api_key: k, model: m}}
llm:k: {{type: openai, api_key: '${{GONE:{DEFAULT}}}', model: '${{GONE:sk-{DEFAULT}}}', limits: '${{GONE:{DEFAULT}}}'}}
llm:l: {{type: openai, api_key: k, model: m, limits: {{token: {NESTED}}}, pool: {{api_key: {NESTED}}}}}
llm:m: {{type: openai, api_key: k, model: sk-{MISPLACED}}}
llm:n: {{type: openai, api_key: k, model: m, organization: Bearer {MISPLACED}, sk-{MISPLACED}: 5}}
llm:o: {{type: sk-{MISPLACED}, model: m}}
llm:p: {{_class: sk-{MISPLACED}, model: m}}
llm:q: {{type: openai, api_kye: {KEY}, model: m, password: {KEY}}}
llm:r: sk-{KEY}
embedding:a: {{type: openai, api_key: [{KEY}], dimensions: sk-{MISPLACED}, model: m}}
rerank:a: {{type: vllm, api_key: {KEY}, model: m, base_url: "//me:{USER}@host"}}
"""


def test_in_settings_that_are_wrong(planted, tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text(WRONG, encoding="utf-8")
    hub = ResourceHub(path=file)
    found = hub.check(open=False)
    assert {one.path for one in found} == set(hub.keys())
    told = [str(found), repr(found), repr(hub), str(hub), f"{hub}", repr(list(found)), repr(vars(hub))]
    told += [str(dataclasses.asdict(one)) for one in found]
    for key in hub._entries:
        with GraphNode(name="g") as g:
            node = {"llm": LLMNode, "embedding": EmbeddingNode, "rerank": RerankNode}[key.partition(":")[0]]
            node(resource_key=key, inputs={"messages": "x"} if node is LLMNode else {}, outputs=PARENT)
        with pytest.raises(HushError) as raised:
            Hush(g, resources=hub)
        told += told_of(raised.value)
    assert seen(told) == []


@pytest.mark.parametrize(
    "text",
    [
        f"llm:a: {{api_key: {TWICE}, api_key: {TWICE}}}",
        f"llm:a:\n  api_key: {TWICE}: {TWICE}",
        f"llm:a:\n  api_key: '{TWICE}",
        f"llm:a:\n  api_key: !{TWICE} x",
        f"llm:a:\n\tapi_key: {TWICE}",
        f"llm:a: [{TWICE}",
    ],
)
def test_in_text_that_is_no_yaml(tmp_path, text):
    file = tmp_path / "r.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(HushError) as raised:
        ResourceHub(path=file)
    assert seen(told_of(raised.value)) == []


def settings(url):
    return {
        "llm:a": {"type": "openai", "api_key": KEY, "base_url": url, "model": "m", "headers": {"X-Team": HEADER}},
        "llm:b": {"type": "openai", "base_url": url.replace("://", f"://me:{USER}@"), "model": "m"},
        "llm:c": {"type": "azure", "api_key": AZURE, "base_url": url, "deployment": "m"},
        "llm:d": {"type": "anthropic", "api_key": SecretStr(CODE), "base_url": url, "model": "m"},
        "llm:e": {"type": "openai", "api_key": "${PLANTED}", "base_url": url, "model": "m"},
        "llm:f": {"type": "openai", "api_key": f"${{GONE:{DEFAULT}}}", "base_url": url, "model": "m"},
        "llm:g": {"type": "gemini", "headers": {"Authorization": f"Token {NESTED}"}, "base_url": url, "model": "m"},
        "embedding:a": {"type": "openai", "api_key": KEY, "base_url": url, "model": "m"},
        "rerank:a": {"type": "vllm", "api_key": KEY, "base_url": url, "model": "m"},
        "llm:h": {
            "type": "openai", "api_key": "k", "base_url": "http://host.invalid", "model": "m",
            "proxy": url.replace("://", f"://me:{PROXY}@"),
        },
    }  # fmt: skip


INPUTS = {
    LLMNode: {"messages": "x"},
    EmbeddingNode: {"texts": ["x"]},
    RerankNode: {"query": "x", "documents": ["x"]},
}


def echo(asked):
    """Everything that came, in the body of an error, whatever it looks like."""
    headers = asked.headers
    return 401, {"error": {"message": f"wrong key: {headers}", "code": headers.get("authorization", "none")}}


async def test_in_what_is_made_and_in_what_a_server_says_back(planted, caplog):
    for name in ("", "hush", "httpx2", "httpcore2", "openai", "anthropic", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    with serving_models(echo) as server:
        hub = ResourceHub(settings(server.url))
        found = await asyncio.to_thread(hub.check)
        assert {one.path for one in found} == set(hub.keys())
        told = [str(found), repr(found), repr(hub), repr(vars(hub)), *(str(dataclasses.asdict(one)) for one in found)]
        for key in hub._entries:
            made, _ = hub._make(key)
            told += [repr(made), str(made), f"{made}", repr(vars(made)), made.identity, repr(made.limit)]
            told += [repr(made.settings), str(made.settings), repr(dataclasses.asdict(made.settings))]
            told += [repr(copy.deepcopy(made.settings)), repr(dataclasses.replace(made.settings, model="n"))]
            with GraphNode(name="g") as g:
                node = {"llm": LLMNode, "embedding": EmbeddingNode, "rerank": RerankNode}[key.partition(":")[0]]
                node(resource_key=key, inputs=INPUTS[node], outputs=PARENT)
            with pytest.raises(HushError) as raised:
                async with Hush(g, resources=hub) as engine:
                    await engine.run()
            told += told_of(raised.value)
    sent = json.dumps([one.headers for one in server.asked])
    sent_ones = (KEY, HEADER, AZURE, VARIABLE, DEFAULT, CODE, NESTED, b64encode(f"me:{USER}".encode()).decode())
    assert [one for one in sent_ones if one not in sent] == []  # they did go out
    told += [record.getMessage() for record in caplog.records]
    told.append(caplog.text)
    assert {record.name.partition(".")[0] for record in caplog.records} >= {"httpx2", "openai", "anthropic"}
    assert seen(told) == []


def test_in_settings_as_pydantic_has_them(planted):
    from hush.providers._resources._models import named

    given = named("OpenAIChat")(
        api_key=KEY,
        model="m",
        base_url=f"https://me:{USER}@host/v1",
        headers={"X": HEADER},
        proxy=f"http://me:{PROXY}@p",
    )
    told = [repr(given), str(given), f"{given}", repr(given.model_dump()), given.model_dump_json(), str(given.base_url)]
    assert "https://host/v1" in told[0]
    assert seen(told) == []

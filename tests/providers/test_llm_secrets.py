"""Twelve planted secrets are in no error, event, log, repr or file."""

from __future__ import annotations

import asyncio
import base64
import io
import logging
import traceback

import pytest

from hush.core import PARENT, Each, GraphError, GraphNode, Hush, HushError, MapNode, ResourceHub, Retry
from hush.providers import LLMNode
from hush.testing import Fault, Recorder, ScriptedLLM, llm_server
from kit.llm_forms import FORMS, Said
from kit.llm_wire import serving
from kit.model_places import asked, asking

LOGGERS = ("hush", "openai", "anthropic", "httpx2", "httpcore2", "httpx", "httpcore", "asyncio")
PLAIN = [f"hk-{number:02d}-{name}-planted" for number, name in enumerate(("alpha", "beta", "gamma"))]
SECRETS = {
    "openai key": "sk-planted-0000000000000001",
    "odd key": "plain words planted 02",  # by its value alone
    "azure key": PLAIN[0],
    "anthropic key": "sk-ant-planted-0000000003",
    "header": PLAIN[1],
    "authorization": "Bearer planted.0000000000000004",
    "user of a url": "planted-user-05",
    "password of a url": "planted-pass-06",
    "odd header": "planted-07 with words",
    "from the environment": "planted-env-08",
    "key with odd letters": "planted/09+==&?%",
    "proxy password": "planted-proxy-10",
}


@pytest.fixture
def said():
    """Everything that is logged, down to DEBUG."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s %(args)s"))
    handler.setLevel(logging.DEBUG)
    before = {}
    for name in LOGGERS:
        logger = logging.getLogger(name)
        before[name] = logger.level
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
    yield stream
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).removeHandler(handler)


def all_of(error, seen=None):
    """The error as it is printed, and all that hangs on it."""
    seen = set() if seen is None else seen
    if error is None or id(error) in seen:
        return ""
    seen.add(id(error))
    text = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error)) + repr(error.args)
    text += "".join(getattr(error, "__notes__", ()))
    trace = error.__traceback__
    while trace is not None:  # what tools that show frames would show
        if "hush/providers" in trace.tb_frame.f_code.co_filename:
            text += repr({name: value for name, value in trace.tb_frame.f_locals.items() if name != "self"})
        trace = trace.tb_next
    return text + all_of(error.__cause__, seen) + all_of(error.__context__, seen)


def told_by(recorder):
    text = ""
    for event in recorder.events:
        text += repr(event)
        error = getattr(event, "error", None)
        text += all_of(error) if isinstance(error, BaseException) else ""
    return text


def echoing(secrets):
    """A server that repeats what it is sent, which is what some gateways do."""
    body = {"error": {"message": f"Incorrect API key provided: {' '.join(secrets)}", "type": "x", "code": "y"}}
    return [Fault(401, numbers=[1], body=body), Fault(400, numbers=[2], body=body), Fault(500, numbers=[3], body=body)]


OF_KEY = {
    "llm:plain": ["openai key"],
    "llm:odd": ["odd key"],
    "llm:azure": ["azure key"],
    "llm:claude": ["anthropic key"],
    "llm:headers": ["header", "odd header", "authorization"],
    "llm:url": ["user of a url", "password of a url"],
    "llm:environment": ["from the environment"],
    "llm:letters": ["key with odd letters"],
    "llm:proxy": ["proxy password"],
}


def models(url, monkeypatch):
    host = url.removeprefix("http://")
    monkeypatch.setenv("PLANTED", SECRETS["from the environment"])
    of_url = f"http://{SECRETS['user of a url']}:{SECRETS['password of a url']}@{host}/v1"
    headers = {"X-Extra": SECRETS["header"], "X-Odd": SECRETS["odd header"], "Authorization": SECRETS["authorization"]}
    openai = {"type": "openai", "model": "m", "base_url": f"{url}/v1"}
    return {
        "llm:plain": {**openai, "api_key": SECRETS["openai key"]},
        "llm:odd": {**openai, "api_key": SECRETS["odd key"]},
        "llm:azure": {"type": "azure", "base_url": url, "api_key": SECRETS["azure key"], "deployment": "m"},
        "llm:claude": {"type": "anthropic", "base_url": url, "api_key": SECRETS["anthropic key"], "model": "m"},
        "llm:headers": {**openai, "headers": headers},
        "llm:url": {**openai, "base_url": of_url, "api_key": "x"},
        "llm:environment": {**openai, "api_key": "${PLANTED}"},
        "llm:letters": {**openai, "api_key": SECRETS["key with odd letters"]},
        "llm:proxy": {**openai, "api_key": "x", "proxy": f"http://u:{SECRETS['proxy password']}@{host}"},
    }


async def test_twelve_secrets_are_nowhere(said, monkeypatch, tmp_path, capsys):
    everything = io.StringIO()
    for key, own in OF_KEY.items():
        told = echoing([SECRETS[name] for name in own])  # all that this server is sent
        for faults in (told, [Fault(kind, first=3) for kind in ("close", "html", "bad_json")], []):
            llm = ScriptedLLM(faults=faults)
            async with llm_server(llm) as url:
                hub = ResourceHub(models(url, monkeypatch))
                everything.write(repr(hub) + str(hub) + repr(hub.keys()))
                recorder = Recorder()
                with GraphNode(name="g") as graph:
                    with MapNode(name="each", inputs={"x": Each(PARENT["xs"])}, max_concurrency=1) as each:
                        LLMNode(
                            name="llm",
                            resource_key=key,
                            retry=Retry(max_attempts=2, backoff_s=0.001),
                            cache=tmp_path / "answers.db",
                            inputs={"messages": PARENT["x"]},
                            outputs=PARENT,
                        )
                    each["content"] >> PARENT["out"]
                    each["error"] >> PARENT["errors"]
                async with Hush(graph, resources=hub) as engine:
                    everything.write(repr(engine) + repr(graph))
                    engine.show()
                    async for event in engine.stream({"xs": [f"{key} {number}" for number in range(4)]}):
                        recorder.emit(event)
                    result = recorder.events[-1].result
                    for error in result["errors"]:
                        everything.write(all_of(error))
                everything.write(repr(result) + told_by(recorder))
                everything.write("".join(map(str, (await asyncio.to_thread(hub.check)))))
    everything.write(said.getvalue())
    everything.write(capsys.readouterr().out)
    everything.write("".join(path.read_bytes().decode(errors="replace") for path in tmp_path.iterdir()))
    text = everything.getvalue()
    assert "401" in text  # the errors are in it
    assert "llm:plain" in text
    assert len(said.getvalue()) > 1000
    found = {name for name, secret in SECRETS.items() if secret in text}
    assert found == set(), {name: text[max(0, text.find(SECRETS[name]) - 150) :][:200] for name in found}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
async def test_a_user_in_the_address_is_sent_as_basic_authentication(form):
    async with serving(form.says(Said(content=["a"]))) as server:
        base = server.url if form.name == "anthropic" else f"{server.url}/v1"
        address = base.replace("://", "://user:p%40ss@")
        settings = {"type": form.name, "base_url": address, "model": "m"}
        assert (await asked({"llm:m": settings}))["content"] == "a"
    (seen,) = server.seen
    assert base64.b64decode(seen.headers["authorization"].removeprefix("Basic ")) == b"user:p@ss"


def test_an_address_has_no_query():
    settings = {"type": "openai", "base_url": "https://x.test/v1?key=planted", "api_key": "k", "model": "m"}
    with pytest.raises(GraphError, match="base_url") as caught:
        Hush(asking(), resources={"llm:m": settings})
    assert "planted" not in str(caught.value)


async def test_what_has_the_shape_of_a_key_is_hidden_whosever_it_is():
    """A gateway that tells with which key of its own it was refused."""
    foreign = ["sk-proj-foreign0001", "Bearer foreign.0002", "http://foreign:0003@host/"]
    body = {"error": {"message": f"upstream said no to {' and '.join(foreign)}", "code": "y"}}
    async with llm_server(ScriptedLLM(faults=[Fault(400, body=body)])) as url:
        settings = {"type": "openai", "base_url": f"{url}/v1", "api_key": "k", "model": "m"}
        with pytest.raises(HushError) as caught:
            await asked({"llm:m": settings})
    text = all_of(caught.value)
    assert "upstream said no" in text
    assert "foreign" not in text

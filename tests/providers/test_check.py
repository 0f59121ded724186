"""``hub.check()``: every resource is opened, asked for as little as possible, and closed."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from hush.core import Limit, ResourceHub, UsageError, code_node
from hush.core.extend import resource_in
from hush.testing import ScriptedLLM
from kit.llm_forms import Said, anthropic_whole
from kit.model_server import Asked, ModelServer, serving_models
from kit.tls_server import CERTIFICATES, ELSEWHERE, GOOD, SELF_SIGNED, serving_tls


@pytest.fixture(scope="module")
def shared():
    with serving_models() as server:
        yield server


@pytest.fixture
def server(shared):
    shared.asked.clear()
    return shared


def answering(answer):
    return serving_models(answer)


def settings(server: ModelServer, **more: Any) -> dict[str, Any]:
    return {"type": "openai", "api_key": "good", "base_url": server.url, "model": "m", **more}


def test_what_works_is_said_and_what_does_not(server):
    hub = ResourceHub(
        {
            "llm:fine": settings(server),
            "llm:key": settings(server, api_key="bad-key"),
            "llm:model": settings(server, model="mm"),
            "llm:wrong": settings(server, limits={"rmp": 5}),
            "llm:gone": settings(server, base_url="http://127.0.0.1:9/v1"),
            "limit:crm": {"rpm": 5},
        }
    )
    found = hub.check()
    assert found.works == {"llm:fine": "m at 127.0.0.1", "limit:crm": "its settings are right"}
    assert list(found.fails) == ["llm:wrong", "llm:key", "llm:model", "llm:gone"]
    assert [(one.path, one.message.splitlines()[0]) for one in found] == [
        ("llm:wrong", "limits.rmp is no setting of a language model"),
        ("llm:key", "127.0.0.1 answered 401 (invalid_api_key): wrong: Bearer [secret]"),
        ("llm:model", "127.0.0.1 answered 404 (model_not_found): no such model"),
        ("llm:gone", found.fails["llm:gone"][0].message),
    ]
    assert "Look at api_key" in found[1].mend
    assert "Did you mean m?" in found[2].mend
    assert "no connection" in found[3].message
    text = str(found)
    assert "llm:fine: works (m at 127.0.0.1)" in text
    assert text.count("does not work: ") == 4
    assert repr(found) == text
    assert found
    assert ResourceHub({"limit:crm": {"rpm": 5}}).check() == []


def test_one_request_is_made_of_each_and_none_without_opening(server):
    hub = ResourceHub(
        {"llm:a": settings(server), "embedding:b": settings(server), "rerank:c": settings(server, type="vllm")}
    )
    assert hub.check(open=False) == []
    assert server.asked == []
    assert hub.check() == []
    assert [(one.method, one.path) for one in server.asked] == [("GET", "/v1/models")] * 3


async def test_it_works_where_a_loop_is_running(server):
    hub = ResourceHub({"llm:a": settings(server)})
    assert hub.check() == []
    assert await asyncio.to_thread(hub.check) == []


def test_on_the_loop_that_would_do_the_work_it_says_what_to_write():
    hub = ResourceHub({"llm:a": {"type": "scripted"}})

    @code_node
    async def look():
        with pytest.raises(UsageError, match=r"asyncio\.to_thread"):
            hub.check()
        return {"found": await asyncio.to_thread(hub.check)}

    assert look(name="look")()["found"] == []


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_without_a_list_was_reached(status):
    with answering(lambda asked: (status, {"error": "no"})) as server:
        found = ResourceHub({"llm:a": settings(server)}).check()
    assert found.works == {"llm:a": "127.0.0.1 was reached; it has no list to verify the model m"}
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"data": [{"id": "models/m"}]},
        {"models": [{"name": "m:latest"}]},
        [{"id": "m"}],
        {"data": ["m"]},
    ],
)
def test_lists_of_other_shapes_are_read(answer):
    with answering(lambda asked: (200, answer)) as server:
        assert ResourceHub({"llm:a": settings(server)}).check().works == {"llm:a": "m at 127.0.0.1"}


def chat(asked: Asked) -> tuple[int, Any]:
    if asked.method == "GET":
        return 200, {"data": [{"id": "other"}]}
    if asked.path.endswith("/embeddings"):
        return 200, {"data": [{"index": 0, "embedding": [0.5]}]}
    if asked.path.endswith("/rerank"):
        return 200, {"results": [{"index": 0, "relevance_score": 0.5}]}
    choice = {"index": 0, "message": {"role": "assistant", "content": "1"}, "finish_reason": "length"}
    return 200, {"id": "x", "model": "m", "choices": [choice]}


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("llm:a", {"model": "m", "messages": [{"role": "user", "content": "1"}], "max_tokens": 1}),
        ("embedding:a", {"model": "m", "input": ["1"]}),
        ("rerank:a", {"model": "m", "query": "1", "documents": ["1"]}),
    ],
)
def test_a_model_that_is_not_listed_is_asked_for_one_token(key, body):
    with answering(chat) as server:
        found = ResourceHub({key: {**settings(server), "type": "vllm"}}).check()
    assert found.works == {key: "m at 127.0.0.1, which does not list it"}
    assert server.asked[1].body == body


def test_a_key_that_may_not_list_is_tried():
    with answering(lambda asked: (403, {}) if asked.method == "GET" else chat(asked)) as server:
        assert ResourceHub({"llm:a": settings(server)}).check() == []


def test_anthropic_is_asked_in_its_own_way():
    with answering(lambda asked: (200, {"data": [{"id": "claude"}]})) as server:
        hub = ResourceHub({"llm:a": settings(server, type="anthropic", model="claude")})
        assert hub.check() == []
    [asked] = server.asked
    assert asked.path == "/v1/models?limit=1000"
    assert asked.headers["x-api-key"] == "good"


def test_anthropic_is_checked_in_the_version_in_which_it_is_asked():
    """What is not listed is asked for a token: both requests are seen."""

    def said(asked):
        return (200, {"data": [{"id": "other"}]}) if asked.method == "GET" else (200, anthropic_whole(Said(["a"])))

    with answering(said) as server:
        assert ResourceHub({"llm:a": settings(server, type="anthropic", model="claude")}).check() == []
        listed, one = server.asked
        assert listed.headers["anthropic-version"] == one.headers["anthropic-version"]
        more = settings(server, type="anthropic", model="claude", headers={"anthropic-version": "2023-01-01"})
        assert ResourceHub({"llm:a": more}).check() == []
    assert [asked.headers["anthropic-version"] for asked in server.asked[2:]] == ["2023-01-01"] * 2


@pytest.mark.parametrize(("status", "fine"), [(400, True), (422, True), (200, True), (404, False), (401, False)])
def test_a_deployment_on_azure_is_asked_for_nothing(status, fine):
    with answering(lambda asked: (status, {"error": {"message": "what", "code": "w"}})) as server:
        url = server.url.removesuffix("/v1")
        given = {"type": "azure", "api_key": "good", "base_url": url, "deployment": "d", "api_version": "v"}
        found = ResourceHub({"llm:a": given}).check()
    [asked] = server.asked
    assert (asked.method, asked.path) == ("POST", "/openai/deployments/d/chat/completions?api-version=v")
    assert (asked.headers["api-key"], asked.body) == ("good", {"model": "d", "messages": []})
    assert (found == []) is fine


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>"), (500, {}), (302, {}), (400, {}), (429, {})])
def test_what_is_no_list_is_told(status, body):
    with answering(lambda asked: (status, body)) as server:
        [one] = ResourceHub({"llm:a": settings(server)}).check()
    assert one.message.startswith("127.0.0.1 ")


@pytest.mark.parametrize("certificate", [ELSEWHERE, SELF_SIGNED, GOOD])
def test_a_bad_certificate_is_told_and_the_key_is_not_sent(certificate):
    with serving_tls(certificate) as tls:
        given = {"type": "openai", "api_key": "k", "base_url": tls.url, "model": "m"}
        [one] = ResourceHub({"llm:a": given}).check()
        assert tls.seen == []
    assert "certificate" in one.message


def test_who_does_not_answer_is_waited_for_so_long_and_no_longer(server):
    import threading

    gone = threading.Event()
    with answering(lambda asked: (200 if gone.wait(20) else 500, {})) as slow:
        hub = ResourceHub({"llm:slow": settings(slow), "llm:fine": settings(server)})
        found = hub.check(timeout_s=0.3)
        gone.set()
    assert [(one.path, one.message) for one in found] == [("llm:slow", "no answer within 0.3 s")]
    assert list(found.works) == ["llm:fine"]


@pytest.mark.parametrize("timeout_s", [0, -1, True, "5", None])
def test_a_time_is_a_number(timeout_s):
    with pytest.raises(UsageError, match="timeout_s"):
        ResourceHub().check(timeout_s=timeout_s)


def test_scripted_models_are_asked_nothing():
    llm = ScriptedLLM()
    found = ResourceHub({"llm:a": llm, "llm:b": {"type": "scripted"}}).check()
    assert found.works == {"llm:a": "nothing was asked", "llm:b": "nothing was asked"}


# --- what others bring ------------------------------------------------------------------------------------------------
class Service:
    closed = 0

    async def aclose(self) -> None:
        type(self).closed += 1


class Bare:
    name, identity = "fake:a", "a"
    limit = Limit(concurrency=1)

    def open(self) -> Service:
        return Service()


class Probed(Bare):
    def __init__(self, answer: object) -> None:
        self.answer = answer

    async def probe(self) -> str | None:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[return-value]


def test_a_resource_of_others_may_have_a_probe_of_its_own():
    hub = ResourceHub({"fake:a": Probed("42 rows"), "fake:b": Probed(None), "fake:c": Probed(OSError("no disk"))})
    found = hub.check()
    assert found.works == {"fake:a": "42 rows", "fake:b": "it can be used"}
    assert [(one.path, one.message) for one in found] == [("fake:c", "no disk")]


def test_one_without_a_probe_is_opened_and_closed():
    Service.closed = 0
    assert ResourceHub({"fake:a": Bare()}).check().works == {"fake:a": "it can be opened; nothing was asked"}
    assert Service.closed == 1


def test_nothing_of_it_is_logged(server, caplog):
    caplog.set_level(logging.WARNING)
    ResourceHub({"llm:key": settings(server, api_key="bad-key")}).check()
    assert caplog.records == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"limits": {"concurrency": 101}}, True),
        ({"limits": {"concurrency": 100}}, False),
        ({"limits": {"rpm": 6000}}, False),
        ({"limits": {"concurrency": 200}, "http2": False}, False),
        ({"limits": {"concurrency": 200}, "base_url": "http"}, False),
    ],
)
async def test_more_at_a_time_than_http2_carries_is_said(more, said, caplog):
    pytest.importorskip("h2")
    listed = b'{"data": [{"id": "m"}]}'
    with serving_tls(GOOD, listed) as secure, serving_models() as plain:
        where = {"base_url": f"{secure.url}/v1", "verify": str(CERTIFICATES / "authority.pem")}
        if more.get("base_url") == "http":
            more = {**more, "base_url": plain.url}
        given = {"type": "openai", "api_key": "good", "model": "m", "http2": True, **where, **more}
        hub = ResourceHub({"llm:a": given})
        found = await asyncio.to_thread(hub.check)
        service = resource_in(hub, "llm", "a").open()
        await service.aclose()
    assert found == []
    assert (f"no more than 100 of concurrency {more['limits'].get('concurrency')}" in found.works["llm:a"]) is said
    assert [record.levelname for record in caplog.records if record.name == "hush.resources"] == ["WARNING"] * said

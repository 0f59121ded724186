"""Planted secrets are in nothing that an exporter gets, and in nothing that is logged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pydantic
import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, Retry
from hush.core._resources import _secrets
from hush.core.extend import remember_secrets, without_secrets
from hush.observability import _preview
from hush.observability._exporter import ExportError
from hush.observability._tracer import SpanTracer
from observability.fakes import Fake, flushed

WORDS = {
    "input": "sk-planted-in-an-input",
    "named": "planted under a name",
    "nested": "planted under a nested name",
    "bearer": "planted-in-a-header",
    "url": "planted-in-a-url",
    "query": "planted-in-a-query",
    "typed": "planted-in-a-secret-type",
    "hiding": "planted-in-a-text-that-hides",
    "resource": "planted-in-a-resource",
    "message": "planted-in-a-message",
    "note": "sk-planted-in-a-note",
    "cause": "planted-in-a-cause",
    "tag": "sk-planted-in-a-tag",
    "key": "sk-planted-in-a-key",
    "request": "sk-planted-in-a-request-id",
    "user": "sk-planted-in-a-user-id",
    "session": "sk-planted-in-a-session-id",
    "chunk": "planted-in-a-table-key",
    "x-api-key": "planted-in-a-header-of-a-message",
    "yaml": "planted-in-yaml",
    "authorization": "planted-in-an-authorization",
    "cookie": "planted-in-a-cookie",
    "cookie key": "planted-under-a-cookie",
    "subscription": "planted under a subscription",
}
OPEN = "open to be seen"


class Hiding(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return "***"


class Settings(pydantic.BaseModel):
    token: pydantic.SecretStr
    plain: str


@pytest.fixture(autouse=True)
def forgetting() -> Iterator[None]:
    known, mine = _secrets._remembered.copy(), set(_preview._remembered)
    remember_secrets([WORDS["resource"], WORDS["message"], WORDS["chunk"]])
    yield
    _secrets._remembered = known
    _preview._remembered.clear()
    _preview._remembered.update(mine)


def leaking() -> GraphNode:
    def give(x: str) -> dict[str, Any]:
        return {
            "password": WORDS["named"],
            "set-cookie": WORDS["cookie key"],
            "Ocp-Apim-Subscription-Key": WORDS["subscription"],
            "plain": OPEN,
            "deep": [{"api_key": WORDS["nested"], "text": [f"it is {WORDS['resource']}"], WORDS["chunk"]: 1}],
            "header": f"Authorization: Bearer {WORDS['bearer']}",
            "url": f"postgres://me:{WORDS['url']}@host/db?token={WORDS['query']}",
            "settings": Settings(token=WORDS["typed"], plain=OPEN),  # type: ignore[arg-type]
            "hiding": [Hiding(WORDS["hiding"])],
            "$tags": [f"tag {WORDS['tag']}"],
        }

    async def work(x: int, given: Any) -> dict[str, Any]:
        try:
            raise OSError(f"no way to postgres://me:{WORDS['cause']}@host")
        except OSError as cause:
            error = ConnectionError(f"{OPEN}, {WORDS['message']}, {WORDS['typed']}, {WORDS['hiding']}")
            error.add_note(f"with {WORDS['note']}")
            error.add_note(f"X-Api-Key: {WORDS['x-api-key']} | password: {WORDS['yaml']}")
            error.add_note(f"Authorization: Token {WORDS['authorization']}, Cookie: session={WORDS['cookie']}; b=c")
            raise error from cause

    with GraphNode(name="g") as graph:
        given = CodeNode(name="give", code_fn=give, inputs={"x": PARENT["x"]})
        with MapNode(
            name="m",
            inputs={"i": Each([1, 2]), "given": given["settings"]},
            key=lambda i: f"{WORDS['key']} {i}",
        ):
            CodeNode(
                name="work",
                code_fn=work,
                inputs={"x": PARENT["i"], "given": PARENT["given"]},
                retry=Retry(max_attempts=2, backoff_s=0.0, jitter=False),
            )
        for name in ("plain", "deep", "header", "url", "settings", "hiding", "password", "set-cookie"):
            given[name] >> PARENT[name]
    return graph


def everything(record: logging.LogRecord) -> str:
    return f"{logging.Formatter().format(record)} {vars(record)}"


@pytest.mark.parametrize("keep_values", [None, True, False])
def test_nothing_that_an_exporter_gets_or_that_is_logged_has_one(keep_values, caplog):
    caplog.set_level(1, "hush")
    fake = Fake(lambda _: ExportError(f"refused Bearer {WORDS['bearer']}", again=False) if fake.calls == 1 else None)
    tracer = SpanTracer(fake, keep_values=keep_values, tags=["mine"])

    async def main() -> None:
        await Hush(leaking()).run(
            inputs={"x": f"key {WORDS['input']}"},
            tracer=tracer,
            request_id=f"request {WORDS['request']}",
            user_id=f"user {WORDS['user']}",
            session_id=f"session {WORDS['session']}",
        )

    flushed(tracer)
    fake.calls = 1
    asyncio.run(main())
    flushed(tracer)
    fake.calls = 0  # the next is refused, which is logged
    asyncio.run(main())
    flushed(tracer)
    traced = repr(fake.batches)
    assert len(fake.spans) >= 8
    assert OPEN in traced
    assert "mine" in traced
    assert "[secret]" in traced
    logged = "\n".join(everything(record) for record in caplog.records if record.name.startswith("hush."))
    assert "refused" in logged
    # Where no values are looked at, nobody knows of one that it hides itself; and the id in a record is the run's own.
    unknown = {"typed", "hiding"} if keep_values is False else set()
    assert not {name for name, word in WORDS.items() if word in traced} - unknown
    assert not {name for name, word in WORDS.items() if word in logged} - unknown - {"request"}
    runs = {record.request_id for record in fake.runs.values()}
    # Another test of this process may have made the beginning of that word a secret by itself.
    assert all(run.startswith("request [secret]") for run in runs)
    if keep_values is False:
        assert all(span.inputs is None and span.outputs is None for span in fake.spans)


def test_a_secret_that_begins_as_another_leaves_no_rest():
    remember_secrets(["sk-short", "shared-words", "words-shared"])
    assert without_secrets("sk-short-and-long.") == "[secret]"
    assert without_secrets("it is shared-words-shared!") == "it is [secret]!"
    assert without_secrets("Bearer sk-short-and, sk-short") == "Bearer [secret], [secret]"


def test_hostile_ids_are_held_by_any_file():
    fake = Fake()
    tracer = SpanTracer(fake)
    with GraphNode(name="g") as graph:
        CodeNode(name="n", code_fn=lambda: {"x": 1}, inputs={})
    ids = ["\0", "\ud800", "'; drop table runs; --", "x" * 100_000, "a/b\nc", "\u202e", "😀"]
    for one in ids:
        asyncio.run(Hush(graph).run(tracer=tracer, request_id=one, user_id=one, session_id=one))
    flushed(tracer)
    assert len(fake.runs) == len(ids)
    for record in fake.runs.values():
        for text in (record.request_id, record.user_id or "", record.session_id or ""):
            text.encode()
            assert "\0" not in text
            assert len(text) < 1_100

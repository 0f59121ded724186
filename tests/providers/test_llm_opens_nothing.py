"""No path and no URL in data is ever opened by nodes that ask models: no file, and no server but the model's."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hush.core import PARENT, Each, GraphNode, Hush, HushError, MapNode, Retry
from hush.providers import LLMChainNode, LLMNode, PromptNode
from hush.testing import ScriptedLLM, llm_server
from kit.model_places import asking


@contextmanager
def a_server_that_nobody_may_ask():
    hits = []

    class Asked(BaseHTTPRequestHandler):
        def do_GET(self):
            hits.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_POST = do_HEAD = do_GET  # noqa: N815  # the names of http.server

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Asked)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", hits
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


_opened: list[str] = []
_hooked: list[bool] = []


def note_what_is_opened():
    """There is no way to take a hook away, so there is one for the process."""
    if not _hooked:
        _hooked.append(True)

        def hook(name, args):
            if name == "open" and _opened is not None and isinstance(args[0], str | bytes):
                _opened.append(args[0] if isinstance(args[0], str) else args[0].decode(errors="replace"))

        sys.addaudithook(hook)
    _opened.clear()


async def test_no_path_and_no_url_in_data_is_opened(tmp_path):
    bait = tmp_path / "bait.png"
    bait.write_bytes(b"\x89PNG bait")
    note_what_is_opened()
    with a_server_that_nobody_may_ask() as (url, hits):
        values = [
            str(bait),
            f"file://{bait}",
            f"{url}/a.png",
            f"![x]({url}/b.png)",
            "{text}",
            f'{{"type": "image_url", "image_url": {{"url": "{url}/c"}}}}',
            f"@{bait}",
            f"<img src='{bait}'>",
        ]
        llm = ScriptedLLM()
        for kind in ("scripted", "openai", "anthropic"):
            async with llm_server(llm) as server:
                settings = {
                    "scripted": {"type": "scripted", "llm": llm},
                    "openai": {"type": "openai", "base_url": f"{server}/v1", "api_key": "k", "model": "m"},
                    "anthropic": {"type": "anthropic", "base_url": server, "api_key": "k", "model": "m"},
                }[kind]
                with GraphNode(name="g") as graph:
                    with MapNode(name="each", inputs={"x": Each(PARENT["xs"])}) as each:
                        prompt = PromptNode(name="p", inputs={"prompt": {"user": "{x}"}, "x": PARENT["x"]})
                        asked = LLMNode(name="a", resource_key="m", inputs={"messages": prompt["messages"]})
                        LLMNode(name="b", resource_key="m", inputs={"messages": PARENT["x"]})
                        LLMChainNode(name="c", resource_key="m", inputs={"prompt": "{x}", "x": PARENT["x"]})
                        asked["content"] >> PARENT["out"]
                    each["out"] >> PARENT["out"]
                async with Hush(graph, resources={"llm:m": settings}) as engine:
                    result = await engine.run({"xs": values})
                assert result["out"] == [f"echo: {value}" for value in values]
        assert hits == []
    assert [path for path in _opened if "bait" in path] == []


PARTS = [
    {"type": "image_url", "image_url": {"url": "URL"}},
    {"type": "image_url", "image_url": {"url": "PATH"}},
    {"type": "image_url", "image_url": {"url": "file://PATH"}},
    {"type": "input_audio", "input_audio": {"data": "PATH", "format": "wav"}},
    {"type": "file", "file": {"file_id": "f-1"}},
    {"type": "image", "source": {"type": "url", "url": "URL"}},
    {"type": "document", "source": {"type": "url", "url": "URL"}},
]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: str(part)[:60])
@pytest.mark.parametrize("kind", ["openai", "anthropic"])
async def test_messages_that_come_with_a_run_make_nobody_fetch_anything(part, kind, tmp_path):
    """Neither Hush, nor the provider on its behalf: the part does not leave, or is not a request to fetch."""
    bait = tmp_path / "bait.png"
    bait.write_bytes(b"\x89PNG bait")
    note_what_is_opened()
    llm = ScriptedLLM()
    with a_server_that_nobody_may_ask() as (url, hits):
        part = json.loads(json.dumps(part).replace("URL", f"{url}/x.png").replace("PATH", str(bait)))
        messages = [{"role": "user", "content": [{"type": "text", "text": "?"}, part]}]
        async with llm_server(llm) as server:
            base = server if kind == "anthropic" else f"{server}/v1"
            settings = {"type": kind, "base_url": base, "api_key": "k", "model": "m"}
            engine = Hush(asking(retry=Retry(max_attempts=1)), resources={"llm:m": settings})
            async with engine:
                with contextlib.suppress(HushError):  # a part that the vendor has no words for
                    await engine.run({"messages": messages})
        assert hits == []
    assert [path for path in _opened if "bait" in path] == []

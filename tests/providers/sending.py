"""What tests of requests share: messages, a schema and a tool to send, and what the server sees of them."""

from __future__ import annotations

import pytest

from hush.providers._model import ChatRequest
from kit.llm_forms import FORMS, Said
from kit.llm_wire import serving
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

"""Parts of messages that come with a run carry their data: those that name what is elsewhere are refused."""

from __future__ import annotations

import pytest

from hush.core import PARENT
from hush.providers.errors import PromptError
from providers.prompting import HISTORY, PIXEL, messages, user

HARMLESS = [
    {"type": "text", "text": "/etc/passwd https://example.org"},
    {"type": "refusal", "refusal": "no"},
    {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
    {"type": "image_url", "image_url": PIXEL},
    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    {"type": "file", "file": {"filename": "/etc/passwd", "file_data": "data:application/pdf;base64,AAAA"}},
]
HARMFUL = [
    {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
    {"type": "image_url", "image_url": "http://169.254.169.254/"},
    {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
    {"type": "image_url", "image_url": {"url": "/etc/passwd"}},
    {"type": "image_url", "image_url": {"url": " data:image/png;base64,AAAA"}},
    {"type": "image_url", "image_url": {}},
    {"type": "image_url"},
    {"type": "input_audio", "input_audio": {"data": "https://example.org/a.wav", "format": "wav"}},
    {"type": "input_audio", "input_audio": {"url": "https://example.org/a.wav"}},
    {"type": "file", "file": {"file_id": "file-of-somebody-else"}},
    {"type": "file", "file": {"file_data": "data:,x", "file_id": "file-1"}},
    {"type": "file", "file": {"file_url": "https://example.org/a.pdf"}},
    {"type": "file", "file": {"file_data": "/etc/passwd"}},
    {"type": "video_url", "video_url": {"url": PIXEL}},
    {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
    {"type": "text", "text": {"url": "x"}},
    {"type": ["text"], "text": "x"},
    {"text": "x"},
    3,
]
WAYS = {
    "history": ({"prompt": "q", "conversation_history": [{"role": "user", "content": [PARENT["x"]]}]}, lambda x: x),
    "result": ({"prompt": "q", "tool_results": PARENT["x"]}, lambda x: [HISTORY[0] | {"content": [x]}]),
    "message": ({"prompt": [PARENT["x"]]}, lambda x: user([x])),
    "content": ({"prompt": {"user": PARENT["x"]}}, lambda x: [x]),
    "template": ({"prompt": PARENT["x"]}, lambda x: {"user": [x]}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("part", HARMLESS)
async def test_a_part_that_comes_with_the_run_may_be_text_or_carry_its_data(way, part):
    inputs, wrap = WAYS[way]
    assert part in [one for message in await messages(inputs, {"x": wrap(part)}) for one in message["content"]]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("part", HARMFUL)
async def test_a_part_that_comes_with_the_run_and_names_what_is_elsewhere_is_refused(way, part):
    inputs, wrap = WAYS[way]
    with pytest.raises(PromptError):
        await messages(inputs, {"x": wrap(part)})


async def test_what_is_refused_is_not_told_to_everybody():
    url = "https://ann:hunter2@example.org/a.png?signature=s3cret"
    for part in (
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "file", "file": {"file_id": url}},
        {"type": "input_audio", "input_audio": {"data": url}},
        {"type": "text", "text": {"url": url}},
    ):
        with pytest.raises(PromptError) as raised:
            await messages({"prompt": "q", "conversation_history": [user([part])]})
        assert "hunter2" not in str(raised.value)
        assert "s3cret" not in str(raised.value)

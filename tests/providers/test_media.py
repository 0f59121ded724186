"""Pictures and speech in answers: the same whole and streamed, and none is lost."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.providers._clients._media import Media
from kit.llm_forms import chunk
from kit.llm_wire import answer, event, serving, stream
from kit.model_places import asked
from kit.tiers import every_change

URL = "data:image/png;base64,iVBORw0KGgo="
OTHER = "https://example.com/a.png"
SPOKEN = {"id": "audio_1", "data": "AAECAwQF", "transcript": "Xin chào 👩‍👩‍👧", "expires_at": 1700000000}


def part(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def completion(message: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return {"id": "a", "model": "m", "choices": [choice]}


PICTURES = {
    "OpenRouter": ({"content": "Here.", "images": [part(URL), {**part(OTHER), "index": 1}]}, [part(URL), part(OTHER)]),
    "in the content": (
        {
            "content": [
                {"type": "text", "text": "Here."},
                part(URL, detail="low"),
                {"type": "image_url", "image_url": OTHER},
            ]
        },
        [part(URL, detail="low"), part(OTHER)],
    ),
    "alone": ({"content": None, "images": [part(URL)]}, [part(URL)]),
}


async def both_ways(message: dict[str, Any], deltas: list[dict[str, Any]], **given: Any) -> dict[str, Any]:
    """What a node gives of an answer, which is the same streamed."""
    found = []
    events = [chunk({"role": "assistant", "content": ""}), *map(chunk, deltas), chunk({}, "stop"), event("[DONE]")]
    async with serving() as server:
        settings = {"type": "openai", "base_url": f"{server.url}/v1", "api_key": "k", "model": "m"}
        for streams, steps in ((False, answer(completion(message))), (True, stream(events))):
            server.answers(*steps)
            found.append(await asked({"llm:m": settings}, streams=streams, **given))
    one, other = found
    for name in ("content", "message", "images", "audio"):
        assert one[name] == other[name]
    return one


@pytest.mark.parametrize("name", PICTURES)
async def test_pictures_are_parts_that_may_stand_in_a_message(name):
    message, images = PICTURES[name]
    found = await both_ways(message, [message])
    assert found["images"] == images
    assert found["content"] == ("" if name == "alone" else "Here.")
    assert found["audio"] is None
    assert found["message"] == {"role": "assistant", "content": found["content"]}


async def test_what_is_spoken_is_whole_and_goes_back_by_its_id():
    pieces = [b64encode(b64decode(SPOKEN["data"])[at : at + 2]).decode() for at in (0, 2, 4)]  # each is padded
    said = SPOKEN["transcript"]
    deltas = [{"audio": {"id": "audio_1", "transcript": said[:4]}}]
    deltas += [{"audio": {"data": piece}} for piece in pieces]
    deltas += [{"audio": {"transcript": said[4:]}}, {"audio": {"expires_at": 1700000000}}]
    found = await both_ways({"content": None, "audio": SPOKEN}, deltas)
    assert (found["audio"], found["content"], found["images"]) == (SPOKEN, "", [])
    assert found["message"] == {"role": "assistant", "content": "", "audio": {"id": "audio_1"}}


async def test_pictures_are_cached():
    found = await both_ways({"content": None, "images": [part(URL)]}, [{"images": [part(URL)]}], cache=True)
    assert found["images"] == [part(URL)]


@pytest.mark.parametrize("streams", [False, True])
async def test_a_picture_in_anthropics_form(streams):
    source = {"type": "base64", "media_type": "image/webp", "data": "AAAA"}
    message = {"id": "a", "role": "assistant", "model": "m", "usage": {}, "stop_reason": "end_turn"}
    block = {"type": "image", "source": source}
    events = [
        {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}},
        {"type": "message_stop"},
    ]
    whole = answer({**message, "content": [block]})
    async with serving(lambda _: stream(event(one, one["type"]) for one in events) if streams else whole) as server:
        given = {"type": "anthropic", "base_url": server.url, "api_key": "k", "model": "m"}
        found = await asked({"llm:m": given}, streams=streams)
    assert found["images"] == [part("data:image/webp;base64,AAAA")]


@every_change
@given(st.lists(st.binary(max_size=7), max_size=5), st.booleans())
def test_speech_in_pieces_is_the_speech(pieces, padded):
    """Each piece may be base64 by itself, or the whole may have been cut anywhere."""
    whole, media = b"".join(pieces), Media()
    sent = [b64encode(piece).decode() for piece in pieces] if padded else list(b64encode(whole).decode())
    for piece in sent:
        media.add_audio({"id": "a", "data": piece})
    found = media.audio()
    assert b64decode(found["data"] if found else "") == whole


def test_what_is_no_picture_is_none():
    media = Media()
    for parts in (None, "x", [None, 1, "x", {}, {"type": "text", "text": "a"}, {"image_url": 3}, {"image_url": {}}]):
        media.add_images(parts)
    media.add_audio("x")
    assert not media
    assert media.audio() is None

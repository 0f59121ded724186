"""Pictures and speech in an answer, whole or in parts.

https://platform.openai.com/docs/guides/audio and https://openrouter.ai/docs/features/multimodal/image-generation
"""

from __future__ import annotations

import re
from binascii import Error
from collections.abc import Mapping
from typing import Any

from hush.providers._clients._lenient import Joined, as_list, as_mapping, as_word

_PIECE = re.compile(r"[^=]+=*")


class Media:
    """What has come of them.

    Attributes:
        images: Parts in OpenAI's form.
    """

    def __init__(self) -> None:
        self.images: list[dict[str, Any]] = []
        self._audio: dict[str, Any] = {}
        self._data: list[str] = []
        self._transcript = Joined()

    def __bool__(self) -> bool:
        return bool(self.images or self._audio)

    def add_images(self, parts: Any) -> None:
        """Take those of the parts of a content, or of a list of pictures, that are pictures."""
        for part in as_list(parts):
            image = _image(as_mapping(part))
            if image is not None:
                self.images.append({"type": "image_url", "image_url": image})

    def add_audio(self, given: Any) -> None:
        """Take what was spoken, or a part of it."""
        found = as_mapping(given)
        self._audio.update({name: value for name, value in found.items() if value is not None})
        self._data.append(as_word(found.get("data")) or "")
        self._transcript.add(as_word(found.get("transcript")) or "")

    def audio(self) -> dict[str, Any] | None:
        """The whole of what was spoken."""
        if not self._audio:
            return None
        self._transcript.end()
        return {**self._audio, "data": _whole("".join(self._data)), "transcript": str(self._transcript)}


def _image(part: Mapping[str, Any]) -> dict[str, Any] | None:
    given = part.get("image_url")
    if as_word(given):
        return {"url": given}
    if as_word(as_mapping(given).get("url")):
        return dict(as_mapping(given))
    source = as_mapping(part.get("source"))  # as Anthropic writes them
    if part.get("type") == "image" and as_word(source.get("data")):
        return {"url": f"data:{as_word(source.get('media_type')) or 'image/png'};base64,{source['data']}"}
    if part.get("type") == "image" and as_word(source.get("url")):
        return {"url": source["url"]}
    return None


def _whole(data: str) -> str:
    """Base64 of pieces, each of which may have been padded by itself."""
    pieces = _PIECE.findall(data)
    if len(pieces) < 2:
        return data
    from base64 import b64decode, b64encode

    try:
        return b64encode(b"".join(b64decode(piece) for piece in pieces)).decode()
    except Error:
        return data

"""``File``: an image, document or sound that code names, as a part of a message."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import Any

from hush.core.errors import UsageError
from hush.core.extend import Ref, caller
from hush.providers.errors import PromptError

_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf2", "audio/mpeg"),
)
_CONTAINERS = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
_SUFFIXES = {".webp": "image/webp", ".md": "text/markdown", ".wav": "audio/wav", ".mp3": "audio/mpeg"}
_SOUNDS = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}


@dataclass(frozen=True, slots=True, init=False)
class File:
    """A file that goes into a message: ``{"user": ["What is in the picture?", File("cat.png")]}``.

    It is read each time a node that has it runs, and sent within the message, in OpenAI's form: images as
    ``image_url`` with a ``data:`` URL, WAV and MP3 as ``input_audio``, PDF and all else as ``file``. A relative path
    counts from the working directory at the time the ``File`` is made. Nothing else opens a file: a path in a value or
    in a message that comes with a run stays text.

    What cannot be read, is no plain file, is empty or too large fails the node with ``PromptError``.

    Args:
        path: Of the file, written by code. Whoever makes a ``File`` of a path that came with data opens what others
            name.
        media_type: Such as ``"image/png"``. Without it, it is told from how the file begins, else from its suffix.
        detail: For images: how closely the model looks, ``"low"``, ``"high"`` or ``"auto"``.
        max_bytes: The largest size that is sent.
    """

    path: str
    media_type: str | None
    detail: str | None
    max_bytes: int

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        media_type: str | None = None,
        detail: str | None = None,
        max_bytes: int = 20_000_000,
    ) -> None:
        if isinstance(path, Ref):
            raise UsageError(
                f"File({path!r}) at {caller()}: a path that comes with data is never opened. Name the file in code, or "
                "return a File from a node of your own, which then answers for what it opens."
            )
        given: Any = path
        if not isinstance(given, str | os.PathLike) or isinstance(os.fspath(given), bytes):
            raise UsageError(f"File({given!r}) at {caller()}: it is given a path, as text or as a Path.")
        text = os.fspath(path)
        if text.lower().startswith(("http:", "https:", "data:", "file:")):
            raise UsageError(
                f"File({text[:60]!r}) at {caller()}: it is given a path, and no URL. An image on the net is written "
                'as {"type": "image_url", "image_url": {"url": "https://..."}}.'
            )
        if not text or "\0" in text:
            raise UsageError(f"File({text!r}) at {caller()}: that is no path.")
        for name, value in (("media_type", media_type), ("detail", detail)):
            if value is not None and not isinstance(value, str):
                raise UsageError(f"File({text!r}, {name}={value!r}) at {caller()}: {name} is text.")
        if media_type is not None and "/" not in media_type:
            raise UsageError(f'File({text!r}, media_type={media_type!r}) at {caller()}: such as "image/png".')
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1:
            raise UsageError(f"File({text!r}, max_bytes={max_bytes!r}) at {caller()}: it is a number of bytes.")
        object.__setattr__(self, "path", os.path.abspath(text))
        object.__setattr__(self, "media_type", media_type)
        object.__setattr__(self, "detail", detail)
        object.__setattr__(self, "max_bytes", max_bytes)

    def part(self) -> dict[str, Any]:
        """The file as a part of a message's content, read now: it blocks."""
        from base64 import b64encode

        data = self._read()
        kind = self.media_type or _media_type(self.path, data)
        if kind is None:
            raise PromptError(f"what {self.path} holds is not known: say it, File(..., media_type=...)")
        coded = b64encode(data).decode("ascii")
        if kind in _SOUNDS:
            return {"type": "input_audio", "input_audio": {"data": coded, "format": _SOUNDS[kind]}}
        url = f"data:{kind};base64,{coded}"
        if kind.startswith("image/"):
            image = {"url": url} if self.detail is None else {"url": url, "detail": self.detail}
            return {"type": "image_url", "image_url": image}
        return {"type": "file", "file": {"filename": os.path.basename(self.path), "file_data": url}}

    def _read(self) -> bytes:
        try:
            # Not to hang: opening a pipe would wait for who writes to it.
            if not stat.S_ISREG(os.stat(self.path).st_mode):
                raise PromptError(f"{self.path} is no plain file")
            with open(self.path, "rb") as file:
                data = file.read(self.max_bytes + 1)
                size = os.fstat(file.fileno()).st_size
        except OSError as exc:
            raise PromptError(f"{self.path} cannot be read: {exc.strerror or exc}") from exc
        if len(data) > self.max_bytes:
            raise PromptError(
                f"{self.path} has {max(size, len(data)):,} bytes, more than the {self.max_bytes:,} that are sent. "
                "Make it smaller, or say File(..., max_bytes=...)"
            )
        if not data:
            raise PromptError(f"{self.path} is empty")
        return data


def _media_type(path: str, data: bytes) -> str | None:
    """What a file holds: by its beginning, for a suffix may be wrong; else by its suffix; ``None`` if neither says."""
    for beginning, kind in _BEGINNINGS:
        if data.startswith(beginning):
            return kind
    if data[:4] == b"RIFF" and data[8:12] in _CONTAINERS:
        return _CONTAINERS[data[8:12]]
    import mimetypes

    suffix = os.path.splitext(path)[1].lower()
    # The system's table of types differs from machine to machine; these are asked for most.
    known = _SUFFIXES.get(suffix) or mimetypes.guess_type(f"file{suffix}")[0]
    if known is not None:
        return known
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return "text/plain"

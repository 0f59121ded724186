"""A category of resources of the tests' own, ``fake:name``, and a leaf that asks one: what authors of nodes write.

The entry points in ``tests/hush_kit-1.dist-info`` say that it is there, as a third party's would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from hush.core import Limit, Retry
from hush.core.extend import Leaf, ResourceKind, ResourceType, Serving, Uses


class Refused(Exception):
    """What a fake answers with a status in place of an answer."""

    def __init__(self, status_code: int, retry_after: float | None = None) -> None:
        super().__init__(f"refused with {status_code}")
        self.status_code = status_code
        self.headers = {} if retry_after is None else {"retry-after": str(retry_after)}


class FakeService:
    """Answers as its resource's ``answer`` says, which may raise."""

    def __init__(self, resource: FakeResource) -> None:
        self.resource = resource
        self.closed = False

    async def ask(self, text: str) -> Any:
        assert not self.closed
        resource = self.resource
        resource.asked.append((asyncio.get_running_loop().time(), text))
        number = len(resource.asked)
        resource.at_once += 1
        resource.most_at_once = max(resource.most_at_once, resource.at_once)
        try:
            await asyncio.sleep(resource.takes_s)
            return resource.answer(text, number)
        finally:
            resource.at_once -= 1

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.closed = True


class FakeResource:
    """A resource that remembers what it was asked, and when."""

    def __init__(
        self,
        name: str = "fake:a",
        answer: Callable[[str, int], Any] | None = None,
        *,
        limit: Limit | None = None,
        takes_s: float = 0.1,
    ) -> None:
        self.name = name
        self.limit = limit
        self.identity = f"{name} 1"
        self.answer = answer or (lambda text, number: f"{name}: {text}")
        self.takes_s = takes_s
        self.asked: list[tuple[float, str]] = []
        self.opened: list[FakeService] = []
        self.at_once = self.most_at_once = 0

    def open(self) -> FakeService:
        made = FakeService(self)
        self.opened.append(made)
        return made


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    says: str = "hello"


def _make(key: str, settings: Any) -> FakeResource:
    return FakeResource(key, lambda text, number: f"{settings.says} {text}")


FAKE = ResourceType(
    "fake", "a fake", FakeResource, "type: plain\nsays: hello", (ResourceKind("plain", lambda: Settings, _make),)
)
OTHER = ResourceKind("other", lambda: Settings, _make, {"speaks": "says"}, ("OtherConfig",))


async def _serve(request: Mapping[str, Any], service: FakeService, serving: Serving) -> Mapping[str, Any]:
    answer = await service.ask(request["text"])
    if callable(answer):
        return await answer(request, serving)
    if serving.streams:
        for part in answer.split(" "):
            serving.chunk(part)
    return {"answer": answer, "by": serving.resource.name, "attempts": serving.attempts}


def _request(text: str, style: str = "plain") -> dict[str, Any]:
    return {"text": text, "style": style}


class FakeNode(Leaf):
    """Asks a ``fake:`` resource for its ``text``."""

    kind = "fake"

    def __init__(
        self,
        name: str | None = None,
        *,
        key: str | list[str] = "a",
        ratios: list[float] | None = None,
        fallback: tuple[str, ...] = (),
        finish: Callable[[Any, Any], Mapping[str, Any]] | None = None,
        retry: Retry | None = None,
        tokens: Callable[[Any, Any], Any] = lambda request, resource: None,
        asked: Callable[[Any, Any], Mapping[str, Any]] | None = None,
        **given: Any,
    ) -> None:
        names = (key,) if isinstance(key, str) else tuple(key)
        uses = Uses(
            category="fake",
            names=names,
            ratios=None if ratios is None else tuple(ratios),
            fallback=fallback,
            serve=_serve,
            key=lambda request: {"text": request["text"]},
            tokens=tokens,
            finish=finish,
            asked=asked,
        )
        given = {"inputs": None, "outputs": None, **given}
        super().__init__(name, fn=_request, uses=uses, retry=retry or Retry(), suggested="fake", **given)

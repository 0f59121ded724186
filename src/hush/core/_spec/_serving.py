"""What a leaf and a resource that serves it are to each other: the seams between nodes, hub and runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from hush.core._spec._policies import Limit


class Service(Protocol):
    """What a resource is once it is opened, on one event loop and for one engine: it holds connections."""

    async def aclose(self) -> None:
        """Give back what it holds."""
        ...


class Resource(Protocol):
    """What a resource is before it is opened: settings that have been checked. One object for a hub and a name."""

    @property
    def name(self) -> str:
        """Its key in the hub: ``llm:gpt-4``."""
        ...

    @property
    def limit(self) -> Limit | None:
        """What bounds all calls that it serves."""
        ...

    @property
    def identity(self) -> str:
        """What decides what it answers, for the keys of caches: no secret, and nothing that only bounds it."""
        ...

    def open(self) -> Service:
        """Open it on the running loop. It connects to nothing yet."""
        ...


class ProbedResource(Resource, Protocol):
    """One that can say whether it works, for ``hub.check()``; what cannot is only opened and closed."""

    async def probe(self) -> str | None:
        """Ask for as little as shows that it works, and say in a few words what was found; raise what is wrong.

        It runs on a loop of its own and is cancelled when its time is over. What it opens it closes. Of what it raises
        the text is shown, without the values of the resource's settings that are secret.
        """
        ...


class Serving(Protocol):
    """One attempt of a leaf's call, as the resource that serves it sees it.

    Attributes:
        resource: The resource that serves it.
        attempts: How many attempts there were, this one included, of whatever resource.
        corrections: How many of them came from an ``Again``.
        streams: Whether somebody reads parts of the answer as they come.
    """

    resource: Any
    attempts: int
    corrections: int
    streams: bool

    def chunk(self, text: str, kind: str = "content") -> None:
        """Tell of a part of the answer that has come: the event ``NodeChunk``."""
        ...

    def answered(self, about: Callable[[], Mapping[str, Any]]) -> None:
        """The resource has answered: ``about`` gives what ``NodeAnswered`` tells, and is called if somebody listens."""
        ...

    def hold_s(self, seconds: float) -> None:
        """Whoever is asked says that nobody should come back for ``seconds``: this closes the resource's limit."""
        ...


class Again:
    """What ``serve`` gives in place of an answer, to ask once more at once: another request, admitted anew.

    ``usage`` is what the answer so far took, for limits on tokens.
    """

    __slots__ = ("request", "usage")

    def __init__(self, request: Any, usage: Any = None) -> None:
        self.request = request
        self.usage = usage

"""``Result``: what a run gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, Protocol

from hush.core.errors import Errors, missing_key


class Known(Protocol):
    """What a result asks of its run."""

    @property
    def id(self) -> str:
        """The request id."""
        ...

    @property
    def partial(self) -> bool:
        """Whether something failed that nobody named."""
        ...

    def tags(self) -> tuple[str, ...]:
        """The tags, each once."""
        ...

    def errors(self) -> Errors:
        """The failures that the run went on without."""
        ...


class Result(dict[str, Any]):
    """The outputs of a run, by key, with what else is known of it.

    Attributes:
        request_id: As it was given, else made.
        user_id: As it was given.
        session_id: As it was given.
        status: ``"ok"``, or ``"partial"`` if something failed that nobody named.
        seconds: How long the run took.
        errors: The failures that the run went on without, in order of path and item. At most 100 of each node or map
            are kept; ``errors.total`` counts them all.
        tags: What functions returned under ``"$tags"``.
    """

    def __init__(
        self, outputs: Mapping[str, Any], run: Known, user_id: str | None, session_id: str | None, seconds: float
    ) -> None:
        super().__init__(outputs)
        self.request_id = run.id
        self.user_id = user_id
        self.session_id = session_id
        self.status = "partial" if run.partial else "ok"
        self.seconds = seconds
        self.errors = run.errors()
        self.tags = run.tags()

    def __missing__(self, key: object) -> NoReturn:
        raise missing_key("the result", key, self)

"""``Result``: what a run gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from hush.core.errors import missing_key


class Result(dict[str, Any]):
    """The outputs of a run, by key, with what else is known of it.

    Attributes:
        user_id: As it was given.
        session_id: As it was given.
        status: ``"ok"``, or ``"partial"`` if something failed that nobody named.
        seconds: How long the run took.
        errors: The failures that the run went on without, in order of path and item. At most 100 of each node or map
            are kept; ``errors.total`` counts them all.
        tags: What functions returned under ``"$tags"``.
    """

    def __init__(
        self,
        outputs: Mapping[str, Any],
        *,
        request_id: Callable[[], str],
        user_id: str | None,
        session_id: str | None,
        status: str,
        seconds: float,
        errors: Any,
        tags: tuple[str, ...],
    ) -> None:
        super().__init__(outputs)
        self._request_id = request_id
        self.user_id = user_id
        self.session_id = session_id
        self.status = status
        self.seconds = seconds
        self.errors = errors
        self.tags = tags

    @property
    def request_id(self) -> str:
        """The run's id: as it was given, else made."""
        return self._request_id()

    def __missing__(self, key: object) -> NoReturn:
        raise missing_key("the result", key, self)

"""Where spans go that nobody exports."""

from __future__ import annotations

import sys
from typing import Any


class Sink:
    """A pipeline whose thread never comes to look."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def add(self, recorder: Any, run: Any, /) -> bool:
        return True

    def take(self, spans: list[Any], run: str, /) -> int:
        self.spans += spans
        return 0

    def crowd(self, held: int, /) -> tuple[int, int]:
        return 0, sys.maxsize

    def is_behind(self, events: int, /) -> bool:
        return False

    def leave(self, recorder: Any, record: Any, /) -> None:
        raise AssertionError

    def complain(self, message: str, about: Any = None, /) -> None:
        raise AssertionError(message)

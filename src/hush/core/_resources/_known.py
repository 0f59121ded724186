"""``Known``: secrets that are sought by value, in a time that does not grow with how many there are."""

from __future__ import annotations

import os
from itertools import count, islice
from threading import Lock
from weakref import WeakSet

_FEW = 8
"""So many are sought one after the other, which is faster."""
_BLOCK = 4
_LONG = 8
_STEP = _LONG - _BLOCK + 1
_FIRST, _MOST = 1_000, 10_000
"""The first so many, which the process began with, are remembered for good; of a service that is given other
credentials with each request, only the last ones besides."""

_all: WeakSet[Known] = WeakSet()
_versions = count()


class Known:
    """Secrets of at least 4 characters. ``add`` may be called in any thread while others seek.

    Once they are many, a text is looked at in blocks of 4 characters, of which only every fifth is needed: whatever
    holds a secret of 8 characters or more has one of its first five blocks at such a place.

    Attributes:
        plain: Those that are to be sought one by one: all while they are few, else the short ones.
        by_block: The others, by each of their first blocks; empty while they are few.
        version: Another number whenever one more is known, or others are.
    """

    def __init__(self) -> None:
        self.version = next(_versions)
        self.plain: tuple[str, ...] = ()
        self.by_block: dict[str, tuple[str, ...]] = {}
        self._secrets: dict[str, None] = {}  # in the order in which they came
        self._lock = Lock()
        _all.add(self)

    def __len__(self) -> int:
        return len(self._secrets)

    def add(self, secret: str) -> None:
        """From now on it is known; of very many the oldest after the first 1,000 is forgotten."""
        if secret in self._secrets:
            return
        with self._lock:
            self._secrets[secret] = None
            known = len(self._secrets)
            if known <= _FEW:
                self.plain = tuple(self._secrets)
            elif known == _FEW + 1:  # from now on they are many; no instant is without one of both
                for each in self._secrets:
                    self._put(each)
                self.plain = tuple(each for each in self._secrets if len(each) < _LONG)
            else:
                self._put(secret)
                if len(secret) < _LONG:
                    self.plain += (secret,)
                if known > _MOST:
                    self._forget(next(islice(self._secrets, _FIRST, None)))
            self.version = next(_versions)  # not before it is found

    def long_ones_in(self, text: str) -> set[str]:
        """Those of ``by_block`` that ``text`` holds."""
        get, sought = self.by_block.get, set[str]()
        for at in range(0, len(text) - _BLOCK + 1, _STEP):
            for secret in get(text[at : at + _BLOCK], ()):
                sought.add(secret)  # once, however often the text has its beginning
        return {secret for secret in sought if secret in text}

    def copy(self) -> Known:
        """One that knows the same, and goes its own way."""
        made = Known()
        for secret in self._secrets:
            made.add(secret)
        return made

    def _put(self, secret: str) -> None:
        for block in _blocks(secret):
            self.by_block[block] = (*self.by_block.get(block, ()), secret)

    def _forget(self, secret: str) -> None:
        del self._secrets[secret]
        for block in _blocks(secret):
            left = tuple(each for each in self.by_block[block] if each != secret)
            if left:
                self.by_block[block] = left
            else:
                del self.by_block[block]
        if len(secret) < _LONG:
            self.plain = tuple(each for each in self.plain if each != secret)

    def after_fork(self) -> None:
        """In a child: whoever was adding to it has stayed behind."""
        self._lock = Lock()


def _blocks(secret: str) -> set[str]:
    """The first blocks of a long one, each once."""
    return {secret[at : at + _BLOCK] for at in range(_STEP)} if len(secret) >= _LONG else set()


def _after_fork() -> None:
    for one in list(_all):
        one.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

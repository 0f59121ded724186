"""Which kind of event loop the suite runs on: ``HUSH_TEST_LOOP=debug``, ``uvloop`` or ``eager``; else asyncio's own.

Tests that bring a loop of their own, such as those in virtual time, keep it. And the fixtures of several folders.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from kit.processes import workers

pytest_plugins = ["kit.llama_server"]  # a server is started when a test asks for it, and nothing is loaded before

settings.register_profile("hush", deadline=None)  # tests count, and do not time
settings.load_profile("hush")

KIND = os.environ.get("HUSH_TEST_LOOP", "")


class DebugPolicy(asyncio.DefaultEventLoopPolicy):
    """Loops in debug mode."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        loop = super().new_event_loop()
        loop.set_debug(True)
        loop.slow_callback_duration = 60.0  # the tests block on purpose, and it would be logged
        return loop


class EagerPolicy(asyncio.DefaultEventLoopPolicy):
    """Loops whose tasks begin at once, as Python has them since 3.12."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        loop = super().new_event_loop()
        loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]  # not on 3.11
        return loop


def pytest_configure() -> None:
    if KIND == "debug":
        asyncio.set_event_loop_policy(DebugPolicy())
    elif KIND == "uvloop":
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    elif KIND == "eager":
        if sys.version_info < (3, 12):
            raise SystemExit("HUSH_TEST_LOOP=eager needs Python 3.12 or newer")
        asyncio.set_event_loop_policy(EagerPolicy())
    elif KIND:
        raise SystemExit(f"HUSH_TEST_LOOP={KIND!r} is not debug, uvloop or eager")


def pytest_collection_finish() -> None:
    """What collecting has made stays: the tests that look for garbage need not look through all of it each time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """And so does what the tests of a file have left: reports, modules that were imported, what was cached.

    It is some dozens of objects for each test, through which thousands of leak checks would look twice each.
    """
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


@pytest.fixture
def silence() -> Iterator[None]:
    """Nothing is logged, where handled failures and failed items are and there are thousands of them."""
    logger = logging.getLogger("hush")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)


@pytest.fixture
def no_garbage_collector() -> Iterator[None]:
    """A value must die at once, by its count alone."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def nothing_is_left() -> Iterator[None]:
    """No worker process is there before the test, nor after it."""
    assert workers() == []
    yield
    assert workers() == []

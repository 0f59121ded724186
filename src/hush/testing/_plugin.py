"""The pytest plug-in: fixtures for those tests that ask for them. It is loaded into every pytest, so it loads nothing.

- ``run_virtual``: `hush.testing.run_virtual`, with the seed of ``--hush-seed`` where a test gives none.
- ``leak_check``: fails the test if its function leaves something behind.
- ``hush_recorder``: a new `hush.testing.Recorder`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from hush.testing._leaks import LeakCheck
    from hush.testing._record import Recorder

_CHECK: pytest.StashKey[LeakCheck] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--hush-seed``."""
    group = parser.getgroup("hush")
    group.addoption(
        "--hush-seed",
        type=int,
        default=0,
        metavar="N",
        help="the seed of the fixture `run_virtual` where a test gives none: whose turn it is (default: 0)",
    )


@pytest.fixture
def run_virtual(pytestconfig: pytest.Config) -> Callable[..., Any]:
    """Run an async function in virtual time: `run_virtual(main, seed=3)`. Without a seed, --hush-seed decides."""
    from hush.testing._run import run_virtual as run

    chosen = pytestconfig.getoption("--hush-seed")

    def run_with_seed(main: Any, seed: object = chosen, **options: Any) -> Any:
        return run(main, seed, **options)

    return run_with_seed


@pytest.fixture
def leak_check(request: pytest.FixtureRequest) -> LeakCheck:
    """Fail the test if its function leaves tasks, permits, files, event loops or threads behind.

    What fixtures make is theirs. `leak_check.watch("api", semaphore)` counts permits, too.
    """
    from hush.testing._leaks import leak_check as make

    check = make()
    request.node.stash[_CHECK] = check
    return check


@pytest.fixture
def hush_recorder() -> Recorder:
    """A tracer that keeps every event: `engine.run(tracer=hush_recorder)`."""
    from hush.testing._record import Recorder

    return Recorder()


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Watch the function of a test that asked for ``leak_check``.

    Not its fixtures: those that end after it would count as leaks, and pytest-asyncio's own, which ends before it,
    cancels the tasks that were left behind.
    """
    check = item.stash.get(_CHECK, None)
    if check is None:
        return (yield)
    with check:
        return (yield)

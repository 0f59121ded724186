"""``Painter``: the thread that draws the runs under way, and gives the terminal back when they have ended."""

from __future__ import annotations

import atexit
import logging
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live

from hush.core.extend import logger
from hush.observability._bars import Bars
from hush.observability._tally import RunTally

log = logger("hush.progress")

_EVERY_S = 0.1
_EVERY_S_IN_A_NOTEBOOK = 0.25  # each picture is a message to the browser
_LET_GO_S = 1.0
"""How long a run waits at its end for the last picture, if the terminal takes nothing: it was stopped, or is slow."""


class Painter(Thread):
    """Draws until it is told to finish. It alone writes to the terminal: a run that is at work never waits for that.

    A failure to draw is logged once, and nothing is drawn from then on.

    Attributes:
        ended: The runs that have ended, whose last picture is still to be left above the others.
    """

    def __init__(
        self, console: Console, under_way: Callable[[], Iterable[RunTally]], *, leaves: bool, redirects: bool
    ) -> None:
        super().__init__(name="progress of hush runs", daemon=True)
        self.ended: deque[RunTally] = deque()
        self._console = console
        self._under_way = under_way
        self._leaves = leaves
        self._redirects = redirects
        self._told = Event()
        self._several = False

    def begin(self) -> None:
        """Start the thread."""
        self.start()
        atexit.register(self.finish)  # a program may end before its runs do, and the terminal's cursor is hidden

    def finish(self) -> None:
        """Leave the last pictures, give the terminal back, and end."""
        self._told.set()
        self.join(_LET_GO_S)
        atexit.unregister(self.finish)

    def run(self) -> None:
        try:
            self._draw()
        except Exception:  # a border: whatever a terminal does, it is no matter of the runs'
            log.warning("the progress of runs cannot be shown any more", exc_info=True)

    def _draw(self) -> None:
        every_s = _EVERY_S_IN_A_NOTEBOOK if self._console.is_jupyter else _EVERY_S
        if self._told.wait(every_s):
            self._leave_ended()  # it was over sooner
            return
        live = Live(
            _Now(self._picture),
            console=self._console,
            auto_refresh=False,  # a thread of rich's own would not be waited for, nor its errors taken
            transient=True,
            redirect_stdout=self._redirects and _is_terminal(sys.stdout),
            redirect_stderr=self._redirects and _is_terminal(sys.stderr),
        )
        with _following(live):
            while not self._told.is_set():
                self._leave_ended()
                now_s = monotonic()
                for run in self._under_way():
                    for tally in run.maps.copy().values():
                        tally.note(now_s)
                live.refresh()
                self._told.wait(every_s)
            self._leave_ended()

    def _picture(self) -> Bars:
        runs = [*self._under_way(), *self.ended.copy()]
        self._several = self._several or len(runs) > 1
        return Bars(runs, monotonic(), several=self._several, fitting=True)

    def _leave_ended(self) -> None:
        """Print the last pictures of runs above those that go on."""
        runs: list[RunTally] = []
        while self.ended:
            runs.append(self.ended.popleft())
        if runs and self._leaves:
            several = self._several or len(runs) > 1
            self._console.print(Bars(runs, monotonic(), several=several, fitting=False))


class _Now:
    """What is live, as it is when it is drawn: rich draws what it drew last again below what is printed above it."""

    def __init__(self, picture: Callable[[], Bars]) -> None:
        self._picture = picture

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._picture()


def _is_terminal(file: Any) -> bool:
    """Whether what is printed there gets between the bars."""
    try:
        return bool(file.isatty())
    except (AttributeError, ValueError):  # None, something else, or closed
        return False


@contextmanager
def _following(live: Live) -> Generator[None]:
    """Start and stop it; log handlers that write to the streams that it redirects write to what is there instead.

    They have taken the stream when they were made, and would go on writing into the bars.
    """
    before = sys.stdout, sys.stderr
    live.start()
    pairs = [(old, new) for old, new in zip(before, (sys.stdout, sys.stderr), strict=True) if old is not new]
    try:
        for old, new in pairs:
            _reroute(old, new)
        yield
    finally:
        for old, new in pairs:
            _reroute(new, old)
        live.stop()


def _reroute(old: Any, new: Any) -> None:
    loggers = [logging.root, *logging.root.manager.loggerDict.copy().values()]
    for one in loggers:
        for handler in list(getattr(one, "handlers", ())):  # what stands for a logger yet to be made has none
            if isinstance(handler, logging.StreamHandler) and handler.stream is old:
                handler.setStream(new)

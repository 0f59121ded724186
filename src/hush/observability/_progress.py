"""``ConsoleProgress``: a tracer that shows how far runs and their maps are, on a terminal or in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from hush.core.events import Event, NodeStarted, RunFinished, RunStarted
from hush.core.extend import logger
from hush.core.protocols import Tracer, Wanted
from hush.observability._tally import TAKES, RunTally, UnderWay

try:
    from rich import get_console
    from rich.console import Console

    from hush.observability._painter import Painter
except ImportError as error:
    raise ImportError('ConsoleProgress draws with rich, which is an extra: pip install "hushflow[progress]"') from error

log = logger("hush.progress")


class ConsoleProgress:
    """Bars for the maps of a run: ``await Hush(graph).run(inputs, tracer=ConsoleProgress())``.

    Each run has a line with how long it takes, and the nodes outside maps that have been at work for more than a
    second. Below it, each map has one: how many of its items have ended, of how many if that is known, how many failed,
    how many end in a second (over the last 10 s or 10 items, whichever is longer), and about how long it will take. A
    map within a map is one line, too, indented, for all its activations together; the number of its items is then a
    guess, ``~``, until the map around it has ended. When a run ends its lines stay on the terminal, as a summary.

    One object may listen to any number of runs, one after the other or at the same time, on any loops and in any
    threads; those that are shown together are told apart by their request ids.

    Where output is no terminal (a pipe, a file, a log of CI, also with ``FORCE_COLOR``), nothing is printed at all. It
    works in notebooks where ``ipywidgets`` is installed.

    It takes next to nothing from a run: an event is counted, and a thread of its own draws, ten times a second. The
    thread ends with the last run, however that ends. If the terminal takes nothing, a run waits for it at its end, a
    second at most; what goes wrong with drawing is logged to ``hush.progress``, once, and harms no run.

    Args:
        console: Where to draw; rich's own console if not given, so that what ``rich.print`` and its log handler write
            stands above the bars. ``Console(stderr=True)`` draws on the standard error output. A console that was told
            to be one (``force_terminal=True``) counts as a terminal.
        transient: Leave nothing when a run ends.
        redirect: While bars are shown, send what the program prints to ``sys.stdout`` and ``sys.stderr``, as far as
            these are terminals, through the console, so that it stands above the bars; so also what log handlers write
            that hold these streams. Lines longer than the terminal is wide are wrapped then.

    Raises:
        ImportError: If rich is not installed, when the name is imported.
    """

    def __init__(self, console: Console | None = None, *, transient: bool = False, redirect: bool = True) -> None:
        self._console = get_console() if console is None else console
        self._given = console is not None
        self._transient = transient
        self._redirect = redirect
        self._lock = Lock()  # runs on several loops may begin and end at once
        self._runs: dict[str, RunTally] = {}
        self._painter: Painter | None = None

    def for_run(self) -> Tracer:
        """What hears one run: it takes quick items in sums, so that a map is not slowed down by being shown."""
        return _RunProgress(self)

    def emit(self, event: Event, /) -> None:
        """Take one event of any run: for whoever passes events on."""
        run = self._runs.get(event.run)
        take = TAKES.get(type(event))
        if take is not None:
            if run is not None:
                take(run, event)
        elif isinstance(event, RunStarted):
            self._run_started(event)
        elif isinstance(event, RunFinished) and run is not None:
            self._run_finished(run, event)

    def ask(self, run: str, under_way: UnderWay) -> None:
        """Have it ask which calls of a run are under way."""
        tally = self._runs.get(run)
        if tally is not None:
            tally.asks.append(under_way)

    def _run_started(self, event: RunStarted) -> None:
        with self._lock:
            if event.run in self._runs:
                self._runs[event.run].sharing += 1
                return
            if self._painter is None:
                if not self._is_shown():
                    return
                painter = Painter(
                    self._console,
                    lambda: self._runs.copy().values(),
                    leaves=not self._transient,
                    redirects=self._redirect and not self._console.is_jupyter,
                )
                try:
                    painter.begin()
                except RuntimeError:  # no more threads, or the interpreter is about to end
                    log.warning("the progress of runs cannot be shown", exc_info=True, extra={"run": event.run})
                    return
                self._painter = painter
            self._runs[event.run] = RunTally(event)

    def _run_finished(self, run: RunTally, event: RunFinished) -> None:
        with self._lock:
            run.sharing -= 1
            if run.sharing:
                return
            run.finish(event)
            del self._runs[run.id]
            painter = self._painter
            if painter is not None:
                painter.ended.append(run)
                if not self._runs:
                    self._painter = None
                    painter.finish()

    def _is_shown(self) -> bool:
        console = self._console
        if console.is_jupyter:
            return True
        # Environment variables that ask for colours make rich take a pipe for a terminal.
        return console.is_terminal and (self._given or console.file.isatty())


class _RunProgress:
    """Hears one run for a ``ConsoleProgress``; it wants to be told of no item by itself (``SamplingTracer``)."""

    sees_calls = False
    terse = True

    def __init__(self, progress: ConsoleProgress) -> None:
        self._progress = progress
        self._under_way: UnderWay = _none

    def attach(self, under_way: UnderWay) -> None:
        """The run begins."""
        self._under_way = under_way

    def wants(self, path: str, items: tuple[int, ...], /) -> Wanted | None:
        """Items are counted."""

    def emit(self, event: Event, /) -> None:
        """Take one event; the engine calls this."""
        self._progress.emit(event)
        if isinstance(event, RunStarted):
            self._progress.ask(event.run, self._under_way)


def _none(before_ns: int, most: int) -> Sequence[NodeStarted]:
    """Nobody has said what is under way."""
    return ()

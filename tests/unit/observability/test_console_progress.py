"""`ConsoleProgress` in whole runs: what it writes, where, from which thread, and that nothing of it is left."""

from __future__ import annotations

import asyncio
import io
import logging
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from hush.core.events import ItemFinished, MapStarted, NodeFinished, NodeStarted, RunFinished, RunStarted
from hush.observability import ConsoleProgress
from hush.testing import cancel_everywhere, leak_check, run_virtual

SRC = Path(__file__).parents[3] / "src"


class Terminal(io.StringIO):
    """A terminal that notes who writes to it, and can tell when it has been written to."""

    def __init__(self):
        super().__init__()
        self.writers = []
        self.written = threading.Event()

    def isatty(self):
        return True

    def write(self, text):
        self.writers.append(threading.current_thread())
        self.written.set()
        return super().write(text)


def terminal(**options):
    """A console 80 columns wide, on such a terminal, whatever the machine's is like."""
    environ = {"TERM": "xterm"}
    return Console(file=Terminal(), width=80, height=25, color_system=None, _environ=environ, **options)


def text(console):
    return console.file.getvalue()


def quick(x):
    return {"y": 1 / x}


def mapped(fn=quick, *, items=(1, 2, 3), name="g", **options):
    with GraphNode(name=name) as graph, MapNode(name="m", inputs={"x": Each(list(items))}, **options):
        CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, outputs=PARENT)
    return Hush(graph)


async def written(console):
    """Wait until the thread that draws has drawn something: it does so within a tenth of a second."""
    while not console.file.written.is_set():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


# ── What is shown ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_quick_run_leaves_its_summary_and_nothing_else():
    console = terminal()
    run_virtual(lambda: mapped(items=(1, 0)).run(tracer=ConsoleProgress(console)))
    assert re.fullmatch(r"g  done in \d\.\d s, partial", text(console).splitlines()[0])
    assert "2/2  1 failed" in text(console).splitlines()[1]
    assert "\x1b" not in text(console)


async def test_bars_are_drawn_while_it_runs_and_give_way_to_the_summary():
    console = terminal()

    async def slow(x):
        await written(console)
        if x == 2:
            while "g  0." not in text(console):  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    await mapped(slow).run(tracer=ConsoleProgress(console))
    drawn = text(console)
    assert drawn.startswith("\x1b[?25l")  # no cursor
    assert "/3" in drawn
    assert "g  done in" in drawn
    assert drawn.rindex("\x1b[?25h") > drawn.index("done in")
    after = drawn[drawn.index("done in") :]
    assert after.count("3/3") == 1


async def test_transient_bars_leave_nothing():
    console = terminal()
    await mapped(lambda x: written(console)).run(tracer=ConsoleProgress(console, transient=True))
    assert "done in" not in text(console)
    assert text(console).endswith("\x1b[1A\x1b[2K")  # up, and the line is wiped

    quick_console = terminal()
    await mapped().run(tracer=ConsoleProgress(quick_console, transient=True))
    assert text(quick_console) == ""


@pytest.mark.parametrize("way", ["run", "run_sync", "start", "stream"])
def test_every_way_to_run_is_shown(way):
    console = terminal()
    engine, progress = mapped(), ConsoleProgress(console)

    async def by_start():
        await engine.start(tracer=progress)

    async def by_stream():
        async for _ in engine.stream(tracer=progress):
            pass

    with leak_check():
        if way == "run_sync":
            engine.run_sync(tracer=progress)
        else:
            asyncio.run({"run": lambda: engine.run(tracer=progress), "start": by_start, "stream": by_stream}[way]())
    assert text(console).startswith("g  done in")
    assert "3/3" in text(console)


def test_a_run_that_fails_says_so_and_raises_as_ever():
    console = terminal()
    with pytest.raises(ZeroDivisionError):
        mapped(items=(1, 0), on_error="raise").run_sync(tracer=ConsoleProgress(console))
    assert text(console).startswith("g  failed after")
    assert "2/2  1 failed" in text(console)


async def test_a_run_that_is_cancelled_says_so():
    console = terminal()
    handle = mapped(lambda x: asyncio.Event().wait()).start(tracer=ConsoleProgress(console))
    await written(console)
    handle.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handle
    assert "g  cancelled after" in text(console)


async def test_runs_one_after_the_other_each_leave_theirs():
    console = terminal()
    progress = ConsoleProgress(console)
    for name in "abc":
        await mapped(name=name).run(tracer=progress)
    assert [line.split()[0] for line in text(console).splitlines() if "done" in line] == ["a", "b", "c"]


async def test_runs_at_the_same_time_are_told_apart_and_each_leave_theirs():
    console = terminal()
    progress, engine = ConsoleProgress(console), mapped(lambda x: written(console))
    await asyncio.gather(*(engine.run(tracer=progress, request_id=f"r-{number}") for number in range(3)))
    ends = [line for line in text(console).splitlines() if "done in" in line]
    assert sorted(line.split("  ")[0].split("\x1b[2K")[-1] for line in ends) == ["g r-0", "g r-1", "g r-2"]


async def test_two_runs_of_one_id_at_the_same_time_are_one_line():
    console = terminal()
    progress, engine = ConsoleProgress(console), mapped(lambda x: asyncio.sleep(0))
    await asyncio.gather(*(engine.run(tracer=progress, request_id="same") for _ in range(2)))
    assert text(console).count("done in") == 1
    assert "6/6" in text(console)
    assert not progress._runs


def test_one_object_on_two_loops_at_once():
    console = terminal()
    progress, together = ConsoleProgress(console), threading.Barrier(2)

    def meet(x):
        together.wait(30)

    engine = mapped(meet, items=(1,), max_concurrency=1)
    threads = [
        threading.Thread(target=lambda: asyncio.run(engine.run(tracer=progress)), name=f"loop {n}") for n in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert text(console).count("done in") == 2


# ── Where nothing is shown ───────────────────────────────────────────────────────────────────────────────────────────


def test_on_a_pipe_nothing_is_printed_and_no_thread_is_made():
    console = Console(file=io.StringIO())
    progress = ConsoleProgress(console)
    before = threading.enumerate()
    seen = []
    run_virtual(lambda: mapped(lambda x: seen.append(threading.enumerate())).run(tracer=progress))
    assert text(console) == ""
    assert seen == [before] * 3
    assert not progress._runs


PROGRAM = """
import logging
from hush.core import PARENT, CodeNode, Each, Hush, MapNode
from hush.observability import ConsoleProgress
with MapNode(name="m", inputs={"x": Each([1, 2])}) as graph:
    CodeNode(name="n", code_fn=lambda x: print("node", x), inputs={"x": PARENT["x"]})
Hush(graph).run_sync(tracer=ConsoleProgress())
"""


@pytest.mark.parametrize("environ", [{}, {"FORCE_COLOR": "1"}, {"TTY_COMPATIBLE": "1"}])
def test_a_program_whose_output_is_piped_prints_what_it_prints(environ):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": str(SRC), **environ},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert sorted(done.stdout.splitlines()) == ["node 1", "node 2"]
    assert done.stderr == ""


# ── What it costs ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_thread_of_the_run_writes_nothing():
    console = terminal()
    await mapped(lambda x: written(console), items=range(200)).run(tracer=ConsoleProgress(console))
    assert console.file.writers
    assert threading.current_thread() not in console.file.writers
    assert len(set(console.file.writers)) == 1


def test_an_event_is_counted_and_drawn_by_nobody():
    """Ten thousand events between two pictures: the console is not asked for anything."""
    asked = []

    class Asked(Console):
        def __getattribute__(self, name):
            if threading.current_thread() is threading.main_thread():
                asked.append(name)
            return super().__getattribute__(name)

    progress = ConsoleProgress(Asked(file=Terminal(), force_terminal=True, force_jupyter=False))
    progress.emit(RunStarted("r", "g", None, 0, 0))
    progress.emit(MapStarted("r", "g/m", None, 0, 10_000))
    asked.clear()
    for number in range(10_000):
        progress.emit(NodeStarted("r", "g/m/n", number, 0))
        progress.emit(NodeFinished("r", "g/m/n", number, 0))
        progress.emit(ItemFinished("r", "g/m", number, 0))
    assert asked == []
    progress.emit(RunFinished("r", "g", None, 0, "ok", 1.0))


def test_events_of_runs_that_it_has_not_heard_begin_are_let_pass():
    progress = ConsoleProgress(terminal())
    progress.emit(ItemFinished("r", "g/m", 0, 0))
    progress.emit(RunFinished("r", "g", None, 0, "ok", 1.0))
    assert not progress._runs


# ── What is left ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_nothing_is_left_when_the_run_has_ended():
    console = terminal()
    before = threading.enumerate()
    streams = sys.stdout, sys.stderr
    async with leak_check():
        await mapped(lambda x: written(console)).run(tracer=ConsoleProgress(console))
        assert [each for each in threading.enumerate() if "progress" in each.name] == []
    left = set(threading.enumerate()) - set(before)
    assert not [each for each in left if not each.name.startswith(("hush-worker", "hush-watchdog"))]  # those may idle
    assert (sys.stdout, sys.stderr) == streams


def test_nothing_is_left_wherever_the_run_is_cancelled():
    console = terminal()
    progress = ConsoleProgress(console)

    def nothing_of_it_lives():
        assert not progress._runs
        assert not [each for each in threading.enumerate() if "progress" in each.name]

    engine = mapped(lambda x: asyncio.sleep(x), max_concurrency=2)
    tries = cancel_everywhere(lambda: engine.run(tracer=progress), check=nothing_of_it_lives)
    assert tries > 5
    assert text(console).count("cancelled after") >= 3


# ── What goes wrong ──────────────────────────────────────────────────────────────────────────────────────────────────


class Broken(Terminal):
    def write(self, text):
        self.written.set()
        raise OSError("the terminal has gone")


async def test_a_terminal_that_has_gone_harms_no_run(caplog):
    console = Console(file=Broken(), width=80, _environ={"TERM": "xterm"})
    async with leak_check():
        result = await mapped(lambda x: written(console)).run(tracer=ConsoleProgress(console))
    assert result.status == "ok"
    said = [record for record in caplog.records if record.name == "hush.progress"]
    assert len(said) == 1
    assert "the terminal has gone" in caplog.text
    assert not [record for record in caplog.records if record.name == "hush.tracing"]


async def test_after_that_the_next_run_tries_again(caplog):
    console = Console(file=Broken(), width=80, _environ={"TERM": "xterm"})
    progress = ConsoleProgress(console)
    await mapped().run(tracer=progress)
    console.file = Terminal()
    await mapped().run(tracer=progress)
    assert "done in" in text(console)


# ── What the program prints meanwhile ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("redirect", [True, False])
async def test_what_is_printed_and_logged_stands_above_the_bars(monkeypatch, redirect):
    console = terminal()
    shell = Terminal()
    monkeypatch.setattr(sys, "stdout", shell)
    logger, handler = logging.getLogger("shop"), logging.StreamHandler(shell)
    monkeypatch.setattr(logger, "handlers", [handler])

    async def talk(x):
        await written(console)
        print("printed", x)
        logger.error("logged %s", x)

    await mapped(talk, items=(1,)).run(tracer=ConsoleProgress(console, redirect=redirect))
    assert sys.stdout is shell
    assert handler.stream is shell
    there, not_there = (console.file, shell) if redirect else (shell, console.file)
    assert "printed 1\n" in there.getvalue()
    assert "logged 1\n" in there.getvalue()
    assert "ed 1" not in not_there.getvalue()


async def test_output_that_goes_to_a_file_still_goes_there(monkeypatch):
    console, file = terminal(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", file)

    async def talk(x):
        await written(console)
        print("printed", x)

    await mapped(talk, items=(1,)).run(tracer=ConsoleProgress(console))
    assert file.getvalue() == "printed 1\n"
    assert "printed" not in text(console)


# ── In a notebook ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_in_a_notebook_richs_own_way_is_taken(monkeypatch):
    """The two libraries of notebooks that rich asks for are played here."""
    from types import ModuleType

    shown = []

    class Output:
        closed = False

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def clear_output(self, *, wait):
            shown.append("cleared")

        def close(self):
            self.closed = True

    def display(*what, **_):
        shown.extend(what)

    for name, names in {
        "IPython": {},
        "IPython.display": {"display": display},
        "ipywidgets": {"Output": Output},
    }.items():
        module = ModuleType(name)
        vars(module).update(names)
        monkeypatch.setitem(sys.modules, name, module)
    console = Console(force_jupyter=True, width=80)

    async def slow(x):
        while "cleared" not in shown:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    await mapped(slow).run(tracer=ConsoleProgress(console))
    widget = next(each for each in shown if isinstance(each, Output))
    assert widget.closed
    assert any("done in" in str(vars(each)) for each in shown[shown.index("cleared") :] if hasattr(each, "html"))


# ── Without rich ─────────────────────────────────────────────────────────────────────────────────────────────────────


def without_site_packages(program):
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(SRC)!r}); {program}"],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_the_package_can_be_imported_without_rich_and_loads_nothing():
    done = without_site_packages("import hush.observability; print('rich' in sys.modules, *hush.observability.__all__)")
    assert done.stdout.split()[:2] == ["False", "ConsoleProgress"]


def test_without_rich_the_name_says_what_to_install():
    done = without_site_packages("from hush.observability import ConsoleProgress")
    assert done.stderr.splitlines()[-1] == (
        'ImportError: ConsoleProgress draws with rich, which is an extra: pip install "hushflow[progress]"'
    )


def test_a_name_that_is_not_there():
    import hush.observability

    assert "ConsoleProgress" in dir(hush.observability)
    with pytest.raises(AttributeError, match="nonsense"):
        hush.observability.nonsense


# ── What it is told ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_map_that_is_shown_is_told_of_in_sums():
    told: list[str] = []
    done: list[tuple[int, int]] = []

    class Listening(ConsoleProgress):
        def emit(self, event, /):
            told.append(type(event).__name__)
            super().emit(event)
            if type(event).__name__ == "MapFinished":
                (run,) = self._runs.values()
                done.append((run.maps["g/m"].done, run.maps["g/m"].failed))

    run_virtual(lambda: mapped(waits_unless_seven, items=range(500)).run(tracer=Listening(terminal())))
    assert done == [(500, 1)]
    assert told.count("ItemFinished") == 0
    assert told.count("ItemsRan") >= 1
    assert told.count("ItemFailed") == 1


async def waits_unless_seven(x):
    await asyncio.sleep(0.01)
    if x == 7:
        raise ValueError
    return {"y": x}


def test_a_quick_call_outside_maps_is_named_while_it_is_under_way():
    seen: list[dict[str, int]] = []

    async def slow():
        await asyncio.sleep(5)
        (run,) = progress._runs.values()
        seen.append(dict.fromkeys(run.at_work(2**63), 0))
        return {}

    with GraphNode(name="g") as graph, GraphNode(name="inner"):
        CodeNode(name="slow", code_fn=slow)
    progress = ConsoleProgress(terminal())
    run_virtual(lambda: Hush(graph).run(tracer=progress))
    assert seen == [{"g/inner/slow": 0}]  # and not what holds it

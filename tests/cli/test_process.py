"""``hush`` as a process of its own: how it starts, what it loads, how it ends on signals and broken pipes."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys

import pytest

import hush as package
from hush.cli._exit import MEANINGS
from kit.command import ENV, hush
from kit.processes import has_ended

COMMAND = [sys.executable, "-m", "hush"]
PIPES = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals and pipes as POSIX has them")


def process(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=ENV, capture_output=True, text=True, timeout=30, check=False)


# --- starting ---------------------------------------------------------------------------------------------------------
LOADED = """
import sys
from hush.cli import main
code = main(sys.argv[1:])
heavy = "asyncio hush.core hush.providers hush.observability openai opentelemetry pydantic yaml loky".split()
print([name for name in heavy if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_loads_nothing_of_what_commands_need(arguments):
    done = process(sys.executable, "-c", LOADED, *arguments)
    assert done.stderr == "[]\n"


def test_a_run_loads_no_provider_and_no_tracer(write):
    write()
    done = process(sys.executable, "-c", LOADED, "run", "graph.py", "-i", "n=1")
    assert json.loads(done.stdout) == {"twice": 2}
    assert done.stderr == "['asyncio', 'hush.core']\n"


def test_without_the_extra_it_says_what_to_install():
    script = (
        "import sys; sys.modules['cyclopts'] = None; from hush.cli import main; sys.exit(main(['run', 'graph.py']))"
    )
    done = process(sys.executable, "-c", script)
    assert (done.returncode, done.stdout) == (2, "")
    assert 'pip install "hushflow[cli]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_help_says_what_there_is_and_lists_the_codes():
    ran = hush("--help")
    assert ran.code == 0
    for word in ("run", "check", "graph", "init", "resources", "show", "traces", "--install-completion", "--version"):
        assert f" {word} " in ran.out
    for code, said in MEANINGS.items():
        assert f"{code.value}  {said[:40]}" in ran.out


@pytest.mark.parametrize(
    "command", ["run", "check", "graph", "show", "traces", "traces prune", "resources check", "resources list", "init"]
)
def test_every_command_has_help(command):
    ran = hush(*command.split(), "--help")
    assert (ran.code, ran.err) == (0, "")
    assert f"Usage: hush {command}" in ran.out


def test_the_version_is_that_of_the_package():
    assert hush("--version") == (0, f"hush {package.__version__}\n", "")


@pytest.mark.parametrize("arguments", [["rnu", "x.py"], ["run"], ["resources", "chekc"], ["init", "a", "b"]])
def test_wrong_arguments_are_told(arguments):
    ran = hush(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("hush: ")
    assert "--help" in ran.err


@POSIX
def test_completion_knows_commands_options_and_files(write, tmp_path):
    write()
    assert hush("--install-completion", "--shell", "bash").code == 0
    [script] = (path for path in tmp_path.rglob("completions/hush") if path.is_file())
    asked = ["hush ru", "hush run gr", "hush run --inp", "hush graph graph.py --format m", "hush resources l"]
    ask = 'ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _hush; echo "${COMPREPLY[*]}"; }'
    done = process("bash", "-c", "\n".join([f"source {script}", ask, *(f"ask {each}" for each in asked)]))
    assert done.stdout.splitlines() == ["run", "graph.py", "--input --inputs", "mermaid", "list"], done.stderr
    asked = [
        f"hush {each} gr" for each in ("show --traces", "show --output", "traces --traces", "traces prune --traces")
    ]
    done = process("bash", "-c", "\n".join([f"source {script}", ask, *(f"ask {each}" for each in asked)]))
    assert done.stdout.splitlines() == ["graph.py"] * 4, done.stderr


@POSIX
def test_where_completion_cannot_be_installed_it_says_so(write, monkeypatch):
    monkeypatch.setenv("HOME", str(write("file", "")))
    ran = hush("--install-completion", "--shell", "bash")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("hush: the completion cannot be installed: ")
    assert ran.err.endswith(": Not a directory\n")


# --- standard output --------------------------------------------------------------------------------------------------
@POSIX
def test_what_programs_and_worker_processes_print_is_no_result(write):
    write(
        text="""
        import os, subprocess, sys
        from hush.core import *

        def shell(n):
            os.system("echo from a program")
            print("from a worker")
            return {"n": n}

        with GraphNode(name="g") as graph:
            CodeNode(name="a", code_fn=shell, inputs={"n": 1}, outputs={"n": PARENT["a"]})
            CodeNode(name="b", code_fn=shell, inputs={"n": 2}, outputs={"n": PARENT["b"]}, executor="process")
        """
    )
    done = process(*COMMAND, "run", "graph.py")
    assert json.loads(done.stdout) == {"a": 1, "b": 2}
    assert done.stderr.count("from a program") == done.stderr.count("from a worker") == 2


def test_what_is_logged_is_safe_and_nothing_is_told_twice(write):
    write(
        text="""
        import logging
        from hush.core import *

        def odd(n):
            logging.getLogger("shop").warning("with sk-abcdefghijkl \\x1b[2J")
            logging.getLogger("shop").info("not shown")
            raise ValueError(n)

        with GraphNode(name="g") as graph:
            CodeNode(name="odd", code_fn=odd, inputs={"n": 1}, on_error="collect")
        """
    )
    done = process(*COMMAND, "run", "graph.py")
    assert (done.returncode, done.stdout) == (3, "{}\n")
    assert done.stderr == (
        "WARNING shop: with [secret] \\x1b[2J\npartial: the run went on without 1 failure\n  1 × g/odd: ValueError: 1\n"
    )


@POSIX
def test_what_a_tracer_logs_at_the_end_of_the_process_is_safe_and_not_told_twice(write):
    write()
    write("no\x1b[2Jfolder", "")
    done = process(*COMMAND, "run", "graph.py", "-i", "n=1", "--trace-to", "no\x1b[2Jfolder/t.db")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"twice": 2})
    why, lost = done.stderr.splitlines()
    assert why.startswith("WARNING hush.tracing: spans cannot be exported: ")
    assert "no\\x1b[2Jfolder" in why
    assert lost == "hush: the trace is not complete: 2 of 2 spans could not be written"
    write(
        "late.py",
        """
        import atexit, logging
        from hush.core import *

        with GraphNode(name="g") as graph:
            CodeNode(name="n", code_fn=lambda: {"a": 1}, outputs=PARENT)
        atexit.register(logging.getLogger("shop").warning, "late \\x1b[2J")
        """,
    )
    assert process(*COMMAND, "run", "late.py").stderr == "WARNING shop: late \\x1b[2J\n"


@POSIX
def test_when_nobody_reads_the_results_it_ends_without_a_word(write):
    write()
    lines = "".join(f'{{"n": {n}}}\n' for n in range(20_000))
    with subprocess.Popen([*COMMAND, "run", "graph.py", "--inputs", "-"], env=ENV, text=True, **PIPES) as running:
        try:
            running.stdin.write(lines[:10_000])
            running.stdin.flush()
            assert json.loads(running.stdout.readline()) == {"twice": 0}
            running.stdout.close()
            with contextlib.suppress(BrokenPipeError):
                running.stdin.write(lines[10_000:])
            with contextlib.suppress(BrokenPipeError):
                running.stdin.close()
            assert running.wait(20) == 141
            assert running.stderr.read() == ""
        finally:
            running.kill()


@POSIX
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_leads_nowhere(write, closed):
    write()
    line = f"exec {shlex.join(COMMAND)} run graph.py -i n=1 {closed}"
    done = process("sh", "-c", line)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("" if ">&-" in closed.replace("2>&-", "") else '{\n  "twice": 2\n}\n')


@POSIX
@pytest.mark.parametrize("arguments", ["--help", "init shop"])
def test_what_nobody_reads_ends_without_a_word(arguments):
    done = process("bash", "-c", f"set -o pipefail; {shlex.join(COMMAND)} {arguments} | true")
    assert done.returncode in (0, 141)  # as to who was first
    assert done.stderr == ""


@pytest.mark.parametrize("columns", ["0", "1000000", "9" * 20, "9" * 5_000, "²"])
@pytest.mark.parametrize("arguments", [["--help"], ["traces", "--limit", "1", "--traces", "t.db"]])
def test_a_width_that_no_terminal_has_is_not_heeded(write, monkeypatch, columns, arguments):
    write()
    assert hush("run", "graph.py", "-i", "n=1", "--trace-to", "t.db").code == 0
    monkeypatch.setenv("COLUMNS", columns)
    ran = hush(*arguments)
    assert (ran.code, ran.err) == (0, "")
    assert "graph" in ran.out


# --- signals ----------------------------------------------------------------------------------------------------------
SLEEPERS = """
import asyncio, os, sys, time
from hush.core import *

def ready():
    # In one piece: print writes word after word here, and two processes' words would mix on one pipe.
    os.write(sys.stdout.fileno(), f"ready {os.getpid()}\\n".encode())

async def waits():
    ready()
    try:
        await asyncio.sleep(60)
    finally:
        print("cleaned up", flush=True)

def blocks():
    ready()
    time.sleep(60)

async def holds():
    blocks()

async def stays():
    ready()
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

def graph_of(function, **policies):
    with GraphNode(name=function.__name__) as made:
        CodeNode(name="n", code_fn=function, **policies)
    return made

def works(n):
    blocks()

waiting, blocking = graph_of(waits), graph_of(blocks, executor="thread")
holding, staying = graph_of(holds), graph_of(stays)
with MapNode(name="working", inputs={"n": Each([1, 2])}, executor="process", max_concurrency=2) as working:
    CodeNode(name="n", code_fn=works, inputs={"n": PARENT["n"]})
"""


def told(which, number, *, twice=False, calls=1):
    """Run a sleeper, tell it to end when it sleeps; give its code, what it said, and who was at work."""
    with subprocess.Popen(
        [*COMMAND, "run", f"graph.py:{which}"], env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            assert running.stdout is not None
            assert running.stderr is not None
            workers = []
            while len(workers) < calls:
                word, _, pid = running.stderr.readline().partition(" ")
                assert word == "ready"
                workers.append(int(pid))
            running.send_signal(number)
            said = ""
            if twice:
                said = running.stderr.readline()  # that it has heard the first
                running.send_signal(number)
            assert running.stdout.read() == ""
            said += running.stderr.read()
            code = running.wait(20)
        finally:
            running.kill()
    return code, said, workers


@POSIX
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_what_waits_and_it_cleans_up(write, number, code):
    write(text=SLEEPERS)
    ended, said, _ = told("waiting", number)
    assert ended == code
    assert "cleaned up\n" in said
    assert said.endswith(f"hush: cancelled by {number.name}\n")
    assert "Traceback" not in said


@POSIX
def test_a_run_can_be_asked_what_it_is_at(write):
    write(text=SLEEPERS)
    command = [*COMMAND, "run", "graph.py:waiting"]
    with subprocess.Popen(command, env=ENV, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as running:
        try:
            assert running.stderr is not None
            running.stderr.readline()
            running.send_signal(signal.SIGUSR1)
            assert running.stderr.readline().startswith("hush: waits (run ")
            assert "waits/n" in running.stderr.readline()
            running.send_signal(signal.SIGTERM)
            running.stderr.read()
            assert running.wait(20) == 143
        finally:
            running.kill()


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="no system here tells when a process ends")
def test_a_signal_leaves_no_worker_process(write):
    write(text=SLEEPERS)
    ended, said, workers = told("working", signal.SIGTERM, calls=2)
    assert ended == 143
    assert "hush: cancelled by SIGTERM" in said
    assert len(set(workers)) == 2
    assert all(map(has_ended, workers))


@POSIX
@pytest.mark.parametrize(
    "which", ["holding", *(pytest.param(each, marks=pytest.mark.nightly) for each in ("blocking", "staying"))]
)
def test_what_does_not_let_itself_be_cancelled_is_left_behind(write, which):
    """A call in a thread, one that holds the loop up, and a coroutine that does not heed its cancellation."""
    write(text=SLEEPERS)
    ended, said, _ = told(which, signal.SIGINT)
    assert ended == 130
    assert said.startswith("hush: SIGINT: cancelling; once more ends it at once\n")
    assert "hush: cancelled by SIGINT" in said
    assert "Traceback" not in said


@POSIX
@pytest.mark.parametrize(
    ("which", "number", "code"), [("staying", signal.SIGINT, 130), ("blocking", signal.SIGTERM, 143)]
)
def test_a_second_signal_ends_it_at_once(write, which, number, code):
    write(text=SLEEPERS)
    ended, said, _ = told(which, number, twice=True)
    assert ended == code
    assert said == f"hush: {number.name}: cancelling; once more ends it at once\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no such device here")
@pytest.mark.parametrize(
    "arguments", [["--help"], ["graph", "shop.py"], ["run", "shop.py", "--input", "n=1"], ["init", "new"]]
)
def test_a_full_disk_behind_standard_output_is_told_in_one_line(tmp_path, arguments):
    (tmp_path / "shop.py").write_text(
        "from hush.core import PARENT, GraphNode, code_node\n"
        "with GraphNode(name='shop') as graph:\n"
        "    code_node(lambda n: {'m': n})(name='step', inputs={'n': PARENT['n']}, outputs=PARENT)\n"
    )
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "hush", *arguments],
            env=ENV, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "hush: the results cannot be written to standard output: No space left on device"
    ]

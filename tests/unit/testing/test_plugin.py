"""The pytest plug-in, in the pytest of a project that installs Hush and does nothing else for it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from docs.printed import ROOT, blocks_of

# Loading them takes longer than such a run. That Hush's plug-in works beside them is shown by the suite itself.
WITHOUT = [f"-pno:{name}" for name in ("hypothesispytest", "xdist", "xdist.looponfail", "anyio", "timeout", "sybil")]


@pytest.fixture
def project(tmp_path):
    """Run pytest on these files in a folder of its own: how many passed, failed and so on, and what it printed."""

    def run(files, *arguments):
        for name, text in files.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", "-rA", *WITHOUT, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_ADDOPTS": ""},
            check=False,
            capture_output=True,
            text=True,
            timeout=50,
        )
        last = done.stdout.strip().splitlines()[-1]
        counts = {kind: int(count) for count, kind in re.findall(r"(\d+) (passed|failed|error)", last)}
        return counts, done.stdout + done.stderr

    return run


def test_it_is_registered():
    """If this fails: `pip install -e .` once more, so that the entry point is written."""
    [found] = [each for each in entry_points(group="pytest11") if each.name == "hush"]
    assert found.value == "hush.testing._plugin"


GRAPH = """
import asyncio, threading
from hush.core import PARENT, CodeNode, GraphNode, Hush
from hush.testing import LeftOver, Recorder

async def wait(seconds):
    await asyncio.sleep(seconds)
    return {"slept": seconds}

def engine():
    with GraphNode(name="g") as graph:
        CodeNode(code_fn=wait, inputs={"seconds": PARENT["seconds"]}, outputs=PARENT)
    return Hush(graph)
"""


def test_its_fixtures_are_there(project):
    counts, text = project(
        {
            "test_it.py": GRAPH
            + """
def test_virtual_time(run_virtual, hush_recorder, leak_check):
    assert run_virtual(lambda: engine().run({"seconds": 3600}, tracer=hush_recorder)) == {"slept": 3600}
    assert hush_recorder.lines()[-2:] == [
        "3600 s NodeFinished g/wait", "3600 s RunFinished g status=ok",
    ]

def test_run_sync_leaves_nothing(leak_check):
    assert engine().run_sync({"seconds": 0}) == {"slept": 0}
"""
        }
    )
    assert counts == {"passed": 2}, text


LEAKS = (
    GRAPH
    + """
import pytest

pytestmark = pytest.mark.usefixtures("leak_check")
kept = []

def test_file(tmp_path):
    kept.append((tmp_path / "x").open("w"))

def test_thread():
    stop = threading.Event()
    kept.append(stop)
    threading.Thread(target=stop.wait, name="stray", daemon=True).start()

def test_permit(leak_check):
    semaphore = threading.Semaphore(2)
    leak_check.watch("api", semaphore)
    semaphore.acquire()

def test_nothing(tmp_path, capfd, monkeypatch):
    with (tmp_path / "x").open("w") as file:
        file.write("x")

@pytest.fixture
def server(tmp_path):
    with (tmp_path / "log").open("w") as file:
        yield file

def test_what_fixtures_made_is_theirs(leak_check, server):
    server.write("x")

def test_that_fails_fails_as_it_is(tmp_path):
    file = (tmp_path / "x").open("w")
    raise KeyError("mine")
"""
)


def test_leaks_fail_the_test_that_made_them(project):
    counts, text = project({"test_it.py": LEAKS})
    assert counts == {"passed": 2, "failed": 4}, text
    for words in ("file: <_io.TextIOWrapper", "thread: 'stray' is running", "permit: 1 of 'api'", "KeyError: 'mine'"):
        assert words in text
    assert "FAILED test_it.py::test_that_fails_fails_as_it_is - KeyError" in text


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_it_works_beside_pytest_asyncio(project, mode):
    """Its loop ends after the test and cancels what is left, so a look after that would find nothing."""
    test = (
        GRAPH
        + """
import pytest
kept = []

@pytest.mark.asyncio
async def test_task(leak_check):
    kept.append(asyncio.create_task(asyncio.sleep(60), name="forgotten"))

@pytest.mark.asyncio
async def test_nothing(leak_check, hush_recorder):
    assert (await engine().run({"seconds": 0.001}, tracer=hush_recorder)).status == "ok"
    await asyncio.to_thread(int)
    async with asyncio.timeout(1):
        await asyncio.sleep(0)
"""
    )
    options = ["-o", f"asyncio_mode={mode}", "-o", "asyncio_default_fixture_loop_scope=function"]
    counts, text = project({"test_it.py": test}, *options)
    assert counts == {"passed": 1, "failed": 1}, text
    assert "task: forgotten is alive" in text


def test_it_works_without_any_other_plug_in(project):
    test = GRAPH + "def test_it(run_virtual, leak_check):\n    run_virtual(lambda: engine().run({'seconds': 9}))\n"
    counts, text = project({"test_it.py": test}, "-pno:asyncio")
    assert counts == {"passed": 1}, text


def test_the_seed_is_that_of_the_option_where_a_test_gives_none(project):
    test = """
import asyncio

async def order():
    seen = []
    async def one(name):
        seen.append(name)
    await asyncio.gather(*map(one, "abcdefgh"))
    return "".join(seen)

def test_it(run_virtual, pytestconfig):
    assert run_virtual(order) == run_virtual(order, seed=pytestconfig.getoption("--hush-seed"))
    assert run_virtual(order, seed=1) != run_virtual(order, seed=2)
    print("order:", run_virtual(order))
"""
    orders = set()
    for options in ([], ["--hush-seed=0"], ["--hush-seed=7"]):
        counts, text = project({"test_it.py": test}, *options)
        assert counts == {"passed": 1}, text
        orders |= set(re.findall("order: .*", text))
    assert len(orders) == 2


def test_what_does_not_ask_for_it_is_left_alone(project):
    """Not even a leak, or a fixture of the project's own with one of the names, is touched."""
    test = """
import pytest

kept = []

@pytest.fixture
def leak_check():
    return "mine"

def test_leak(tmp_path):
    kept.append((tmp_path / "x").open("w"))

def test_own_fixture(leak_check, tmp_path):
    assert leak_check == "mine"
    kept.append((tmp_path / "x").open("w"))

def test_nothing_was_loaded():
    import sys
    assert "hush.testing._plugin" in sys.modules
    assert "hush.core" not in sys.modules
"""
    counts, text = project({"test_it.py": test})
    assert counts == {"passed": 3}, text


PAGE = [block for block in blocks_of(ROOT / "docs" / "testing.md") if re.match(r"# test_\w+\.py\n", block.code)]


def test_the_page_shows_test_files():
    assert PAGE


@pytest.mark.parametrize("block", PAGE, ids=lambda block: f"line-{block.line}")
def test_the_test_files_of_the_page_pass_as_they_are_printed(block, project):
    counts, text = project({Path(block.code.splitlines()[0][2:]).name: block.code})
    assert counts.keys() == {"passed"}, text

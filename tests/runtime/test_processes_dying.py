"""A process that dies takes nothing else with it: the call that it was at fails, and all others are run."""

from __future__ import annotations

import os
import signal

import pytest

from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, Hush, MapNode, WorkerDied
from kit.processes import HAVE_PROC
from runtime.in_processes import failed, mapped, node

pytestmark = [
    pytest.mark.skipif(not HAVE_PROC, reason="processes are counted in /proc"),
    pytest.mark.usefixtures("nothing_is_left"),
]


async def test_a_call_whose_process_is_killed_fails_and_no_other():
    def call(x):
        if x == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"y": x}

    with GraphNode(name="g") as graph:
        with MapNode("each", inputs={"x": Each(PARENT["xs"])}, outputs={"y": PARENT, "error": PARENT}) as every:
            one = CodeNode("one", code_fn=call, inputs={"x": PARENT["x"]}, outputs={"y": PARENT}, executor="process")
            START >> one >> END
        START >> every >> END
    result = await Hush(graph).run({"xs": list(range(5))})
    assert result["y"] == [0, 1, None, 3, 4]
    (error,) = failed(result).values()
    assert isinstance(error, WorkerDied)
    assert error.exit_code == -signal.SIGKILL
    assert "g/each/one was killed by SIGKILL" in str(error)


async def test_killers_at_several_places_fail_alone():
    def call(x):
        if x in (0, 13, 14, 29):
            os.kill(os.getpid(), signal.SIGKILL)
        if x == 20:
            os._exit(3)
        return {"y": x}

    result = await mapped(call).run({"xs": list(range(30))})
    found = failed(result)
    assert sorted(found) == [0, 13, 14, 20, 29]
    assert result["y"] == [None if x in found else x for x in range(30)]
    assert {type(error) for error in found.values()} == {WorkerDied}
    assert [error.exit_code for error in found.values()] == [-9, -9, -9, 3, -9]
    assert all(error.hush.item == index for index, error in found.items())
    assert "ended with exit code 3 while it ran item 20" in str(found[20])


async def test_killers_in_a_row_do_not_take_along_what_lies_ready_behind_them():
    """In the process that dies lies the next chunk, which has done nothing yet, and is tried again however often."""

    def call(x):
        if x in range(60, 66):
            os._exit(1)
        return {"y": x}

    result = await mapped(call, max_concurrency=1).run({"xs": list(range(600))})
    assert sorted(failed(result)) == list(range(60, 66))
    assert result["y"] == [None if 60 <= x < 66 else x for x in range(600)]


async def test_a_killer_ends_a_map_that_fails_fast():
    def call(x):
        if x == 11:
            os._exit(0)
        return {"y": x}

    with pytest.raises(WorkerDied, match=r"exit code 0 while it ran item 11") as caught:
        await mapped(call, on_error="raise").run({"xs": list(range(100))})
    assert caught.value.hush.item == 11


async def test_who_kills_only_once_fails_nobody(tmp_path):
    """In a chunk that died all are run again one by one, and this time nobody kills."""
    mark = tmp_path / "killed"

    def call(x):
        if x == 8 and not mark.exists():
            mark.touch()
            os._exit(1)
        return {"y": x}

    result = await mapped(call, max_concurrency=1).run({"xs": list(range(60))})
    assert mark.exists()
    assert set(failed(result)) <= {8}
    assert [y for x, y in enumerate(result["y"]) if x != 8] == [x for x in range(60) if x != 8]


async def test_what_a_process_has_forked_does_not_hide_that_it_died(tmp_path):
    """The child holds the pipe open on which the parent listens."""
    note = tmp_path / "group"

    def call(x):
        if x == 1:
            note.write_text(str(os.getpgid(0)))
            if os.fork():
                os._exit(3)
        while x == 1:
            signal.pause()
        return {"y": x}

    result = await mapped(call, max_concurrency=1).run({"xs": [0, 1]})
    os.killpg(int(note.read_text()), signal.SIGKILL)  # what a function leaves behind is its own affair
    assert [type(error) for error in failed(result).values()] == [WorkerDied]


async def test_a_process_that_cannot_start_fails_the_map_in_the_end():
    class Bomb:
        def __reduce__(self):
            return os._exit, (5,)

        def __call__(self, x):
            return {"y": x}

    with pytest.raises(WorkerDied, match="before it could begin"):
        await node(Bomb()).run({"x": 1})
    with pytest.raises(WorkerDied, match="before it could begin"):
        await mapped(Bomb()).run({"xs": [1, 2, 3]})

"""What goes to worker processes and what does not: the same as the checks say, and told once."""

from __future__ import annotations

import functools
import os
from functools import partial

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, TransportError
from kit.processes import HAVE_PROC

pytestmark = [
    pytest.mark.skipif(not HAVE_PROC, reason="processes are counted in /proc"),
    pytest.mark.usefixtures("nothing_is_left"),
]


def mapped(fn, **inputs):
    with GraphNode(name="g") as graph:
        with MapNode(
            name="m", inputs={"x": Each(range(8)), **inputs}, executor="process", max_concurrency=2, outputs=PARENT
        ):
            CodeNode(name="n", code_fn=fn, inputs={"*": PARENT}, outputs=PARENT)
    return Hush(graph)


class Unloadable:
    def __reduce__(self):
        return int, ("no number",)


async def test_cached_functions_work_in_processes():
    @functools.lru_cache(maxsize=2)
    def double(x):
        return {"y": 2 * x, "pid": os.getpid()}

    result = await mapped(double).run()
    assert result["y"] == [2 * x for x in range(8)]
    assert os.getpid() not in result["pid"]


async def test_what_no_process_can_load_is_told_once():
    with pytest.raises(TransportError, match=r"what g/m runs cannot be loaded in a worker process: ValueError"):
        await mapped(partial(lambda broken, x: {"y": x}, Unloadable())).run()


async def test_inputs_of_a_map_that_cannot_be_sent_are_told_once(tmp_path):
    path = tmp_path / "rows.txt"
    path.write_text("one\n")
    with open(path) as file:
        engine = mapped(lambda x, file: {"y": x}, file=PARENT["file"])
        with pytest.raises(TransportError, match=r"its input 'file' .*: pass the path"):
            await engine.run({"file": file})


async def test_an_item_that_is_an_open_file_fails_and_says_what_to_pass(tmp_path):
    path = tmp_path / "rows.txt"
    path.write_text("one\n")
    with open(path) as file:
        with GraphNode(name="g") as graph:
            CodeNode(
                name="n", code_fn=lambda file: {}, inputs={"file": PARENT["file"]}, executor="process", outputs=PARENT
            )
        with pytest.raises(TransportError, match="pass the path"):
            await Hush(graph).run({"file": file})

"""The leak check raises no false alarm, and lets through what it is told to."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from hush.testing import LeftOver, leak_check, run_virtual


def test_runs_of_every_kind_leave_nothing(tmp_path):
    def blocking(item):
        with (tmp_path / f"{item}").open("w") as file:
            file.write("x")
        if item == 3:
            raise ValueError(item)
        return {"y": item}

    async def waiting(item):
        await asyncio.sleep(0.001)
        await asyncio.to_thread(int)
        return {"z": item}

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"item": Each(PARENT["items"])}, outputs=PARENT):
            CodeNode(code_fn=blocking, inputs={"*": PARENT}, outputs=PARENT)
            CodeNode(code_fn=waiting, inputs={"*": PARENT}, outputs=PARENT)
    engine = Hush(graph)
    given = {"items": list(range(20))}
    with leak_check():
        assert engine.run_sync(given)["z"][4] == 4
        assert asyncio.run(engine.run(given)).status == "partial"
        assert run_virtual(lambda: engine.run(given)).errors.total == 1


async def test_threads_of_the_loops_own_executor_are_no_leak():
    async with leak_check():
        await asyncio.to_thread(int)


@pytest.mark.parametrize("leaves", [False, True])
def test_what_a_loop_of_uvloop_opens_with_its_first_server_is_no_leak_and_a_file_is(leaves):
    uvloop = pytest.importorskip("uvloop")
    left = []

    async def main():
        async with leak_check():
            server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
            server.close()
            await server.wait_closed()
            if leaves:
                left.append(open("/dev/null"))  # noqa: SIM115

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if not leaves:
            runner.run(main())
            return
        with pytest.raises(LeftOver, match="left behind: 1") as caught:
            runner.run(main())
    assert "/dev/null" in str(caught.value)
    left.pop().close()


def test_what_the_block_raises_comes_out_alone(tmp_path):
    with pytest.raises(KeyError), leak_check():
        file = (tmp_path / "x").open("w")
        raise KeyError
    file.close()


def test_leaks_can_be_let_through_and_looked_at(tmp_path):
    with leak_check(ignore=["known.txt"]), (tmp_path / "known.txt").open("w"):
        pass
    with leak_check(ignore=["known.txt"]) as leaks:
        known, other = (tmp_path / "known.txt").open("w"), (tmp_path / "other.txt").open("w")
        assert [leak.kind for leak in leaks.leaks()] == ["file"]
        other.close()
    known.close()
    with pytest.raises(TypeError, match="list of texts"):
        leak_check(ignore="known.txt")


def test_a_check_can_be_used_again(tmp_path):
    check = leak_check()
    with pytest.raises(LeftOver), check:
        file = (tmp_path / "x").open("w")
    with check:
        pass
    file.close()

"""Cancel-everywhere: good code passes, and every way of not being cancelled is found and told."""

from __future__ import annotations

import asyncio

import pytest

from hush.core import CodeNode, GraphNode, Hush
from hush.testing import Deadlock, LeftOver, cancel_everywhere
from kit.faults import Boom


async def two_sleepers():
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(1))
        group.create_task(asyncio.sleep(2))


def test_good_code_is_cancelled_everywhere():
    assert cancel_everywhere(two_sleepers) >= 4
    assert cancel_everywhere(two_sleepers, times=2) > 8


def test_a_graph_is_cancelled_everywhere():
    async def work():
        await asyncio.sleep(60)

    with GraphNode(name="g") as graph:
        CodeNode(name="a", code_fn=work) >> CodeNode(name="b", code_fn=work)
    assert cancel_everywhere(Hush(graph).run) >= 4


def test_a_swallowed_cancellation_is_found_and_placed():
    async def main():
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            return "as if nothing had happened"

    line = main.__code__.co_firstlineno + 2
    with pytest.raises(AssertionError, match="got lost: it returned 'as if") as raised:
        cancel_everywhere(main, seed=4)
    [note] = raised.value.__notes__
    assert f"test_cancel.py:{line}; seed 4" in note
    assert note.startswith("cancelled at pass ")


def test_a_cancellation_that_a_node_swallows_is_found():
    async def stubborn():
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            await asyncio.get_running_loop().create_future()

    with GraphNode(name="g") as graph:
        CodeNode(code_fn=stubborn)
    line = stubborn.__code__.co_firstlineno + 4
    with pytest.raises(Deadlock, match=rf"waits at .*test_cancel.py:{line}"):
        cancel_everywhere(Hush(graph).run)


def test_a_task_that_is_not_awaited_on_the_way_out_is_found():
    async def main():
        main.task = asyncio.ensure_future(asyncio.sleep(5))
        await asyncio.sleep(1)
        await main.task

    with pytest.raises(LeftOver, match="alive"):
        cancel_everywhere(main)


def test_an_error_instead_of_the_cancellation_is_found():
    async def main():
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            raise Boom("x") from None

    with pytest.raises(AssertionError, match=r"raised Boom.*errors=\(Boom,\)"):
        cancel_everywhere(main)
    assert cancel_everywhere(main, errors=(Boom,)) > 0


def test_a_hidden_request_is_found():
    async def main():
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
            raise Boom("x") from None

    with pytest.raises(AssertionError, match="hides the request"):
        cancel_everywhere(main, errors=(Boom,))


def test_a_file_left_open_by_one_of_the_tries_is_found(tmp_path):
    files = []

    async def main():
        file = (tmp_path / "x").open("w")
        files.append(file)
        await asyncio.sleep(1)
        file.close()

    with pytest.raises(LeftOver, match=r"file: .*x' mode"):
        cancel_everywhere(main)
    for file in files:
        file.close()


def test_what_the_check_finds_is_told_with_the_pass():
    opened = []

    async def main():
        opened.append(1)
        await asyncio.sleep(1)
        opened.pop()

    def check():
        assert not opened

    with pytest.raises(AssertionError) as raised:
        cancel_everywhere(main, check=check)
    assert any("cancelled at pass 2" in note for note in raised.value.__notes__)


def test_code_that_fails_by_itself_is_told_before_anything_is_cancelled():
    async def main():
        raise Boom("x")

    with pytest.raises(AssertionError, match="without being cancelled") as raised:
        cancel_everywhere(main)
    assert raised.value.__notes__[0].startswith("not cancelled")


def test_wrong_calls_are_refused():
    with pytest.raises(TypeError, match=r"cancel_everywhere\(main\), not main\(\)"):
        cancel_everywhere(two_sleepers())
    with pytest.raises(ValueError, match="once or twice"):
        cancel_everywhere(two_sleepers, times=3)

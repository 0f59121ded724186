"""Streams in the wrong hands: options that are none, two readers, readers that give up."""

from __future__ import annotations

import asyncio
import contextlib
import gc

import pytest

from hush.core import HushError, InputError, RunFinished
from hush.testing import leak_check, run_virtual
from runtime.from_design.authored import chain, mapped, slow


@pytest.mark.parametrize("name", ["n", "m/n", "mm", "", 3])
def test_items_of_what_is_no_map_are_an_error_where_it_is_asked_for(name):
    async def main():
        with pytest.raises(HushError, match="m"):
            mapped(slow).stream({"xs": [1]}, items=name)

    run_virtual(main)


def test_wrong_inputs_raise_where_the_stream_is_made():
    async def main():
        with pytest.raises(InputError, match="'xs'"):
            mapped(slow).stream({"x": [1]})

    run_virtual(main)


def test_a_second_reader_of_one_stream_is_told_and_the_first_reads_on():
    """It had taken the first one's place, and that one waited for ever."""

    async def main():
        stream = mapped(slow).stream({"xs": [1, 2]})

        async def read():
            return [type(event) async for event in stream]

        first = asyncio.create_task(read())
        await asyncio.sleep(0.5)
        with pytest.raises(HushError, match="two tasks"):
            await read()
        assert (await first)[-1] is RunFinished

    run_virtual(main)


def test_a_reader_that_waited_too_long_for_one_event_ends_the_run_and_is_not_cancelled_later():
    async def main():
        async with leak_check():
            stream = mapped(slow).stream({"xs": [60]}, items="m")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 1)
            assert [event async for event in stream] == []
            assert asyncio.get_running_loop().time() == 1

    run_virtual(main)


def test_a_stream_that_is_made_and_never_read_runs_nothing_or_ends_cleanly():
    async def main():
        async with leak_check():
            stream = mapped(slow).stream({"xs": [1]})
            with contextlib.suppress(AttributeError):
                await stream.aclose()

    assert run_virtual(main) is None
    assert run_virtual(lambda: mapped(slow).run({"xs": [1]})) == {"ys": [10]}


def test_a_stream_that_has_ended_stays_ended():
    async def main():
        stream = chain().stream()
        async with stream as events:
            found = [event async for event in events]
            assert [event async for event in events] == []
        return len(found)

    assert run_virtual(main) > 2


def test_a_stream_may_keep_what_nodes_gave():
    async def main():
        events = [event async for event in mapped(slow).stream({"xs": [1]}, keep=True)]
        return events[-1].result.nodes["m"]["y"]

    assert run_virtual(main) == [10]


@pytest.mark.parametrize("way", ["start", "stream"])
@pytest.mark.parametrize(
    "wrong", [{"timeout_s": 0}, {"timeout_s": "1"}, {"request_id": 3}, {"user_id": 3}, {"bufer": 3}, {"tracer": 3}]
)
def test_options_that_are_wrong_raise_at_the_line_and_not_at_the_first_event(way, wrong):
    async def main():
        async with leak_check():
            with pytest.raises(TypeError, match=next(iter(wrong))):
                getattr(chain(), way)(None, **wrong)

    run_virtual(main)


@pytest.mark.parametrize("buffer", [0, -1, 1.5, "8", True, None])
def test_a_buffer_is_a_number_of_events(buffer):
    with pytest.raises(HushError, match="buffer"):
        chain().stream(buffer=buffer)


def test_a_stream_that_is_dropped_before_it_was_read_ran_nothing_and_warns_of_nothing():
    ran = []

    async def main():
        mapped(lambda x: {"y": ran.append(x)}).stream({"xs": [1]})
        gc.collect()
        await asyncio.sleep(0)

    run_virtual(main)
    assert ran == []

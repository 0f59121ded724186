"""What tracers are told that do without being told of most items, and what they are asked."""

from __future__ import annotations

import asyncio
import gc
import random
from time import perf_counter_ns
from typing import Any

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, Limit, MapNode, Retry, events
from hush.core._runtime._fanout import Fanout
from hush.core._runtime._quick import Begun
from hush.core._runtime._summing import Summing
from hush.core.protocols import NONE_SLOW, Wanted, lot
from hush.testing import run_virtual
from kit.sampled_laws import complaints_of_sums
from kit.span_laws import Terse
from kit.summing import Fixed, chosen, map_of, quick, sampled, told_of

pytestmark = pytest.mark.usefixtures("silence")


def test_items_nobody_wants_make_no_event_each():
    watch = Fixed()
    result, kinds = told_of(map_of(quick), 1_000, watch)
    assert result["ys"] == [*range(1_000)]
    assert "NodeRan" not in kinds
    assert "ItemFinished" not in kinds
    sums = [event for event in watch.events if type(event) is events.ItemsRan]
    assert sum(event.items for event in sums) == sum(event.calls for event in sums) == 1_000
    assert sum(event.took_ns for event in sums) >= max(event.slowest_ns for event in sums) > 0
    assert {(event.path, event.node, event.item, event.outer) for event in sums} == {("g/m", "g/m/n", None, ())}
    # 16 at a time, a millisecond each: 0.063 s, and told once, at the end.
    assert len(sums) == 1
    assert len(watch.events) < 20


@pytest.mark.parametrize("slow", [0, 5, 19])
def test_the_slowest_call_took_what_it_took(slow):
    took: list[int] = []

    def one(x: int) -> dict[str, int]:
        began_ns = perf_counter_ns()
        while x == slow and perf_counter_ns() < began_ns + 200_000:
            pass
        took.append(perf_counter_ns() - began_ns)
        return {"y": x}

    watch = Fixed()
    told_of(map_of(one, executor="inline"), 20, watch)
    (summed,) = [event for event in watch.events if type(event) is events.ItemsRan]
    assert summed.slowest_ns >= max(took)
    assert summed.took_ns >= sum(took)
    assert not [*complaints_of_sums(watch, choice=False)]


def test_what_has_been_told_is_not_in_the_next_sum():
    async def one(x: int) -> dict[str, int]:
        await asyncio.sleep(0.2)
        began_ns = perf_counter_ns()
        while x == 0 and perf_counter_ns() < began_ns + 2_000_000:
            pass
        return {"y": x}

    watch = Fixed()
    told_of(map_of(one, map={"max_concurrency": 1}), 6, watch)
    sums = [event for event in watch.events if type(event) is events.ItemsRan]
    assert [(event.items, event.calls) for event in sums] == [(1, 1)] * 6
    assert all(event.slowest_ns == event.took_ns for event in sums)  # of one call


def test_sums_are_told_ten_times_a_second_and_how_far_the_map_is_with_them():
    async def slow(x: int) -> dict[str, int]:
        await asyncio.sleep(0.04)
        return {"y": x}

    watch = Fixed()
    told_of(map_of(slow, map={"max_concurrency": 10}), 250, watch)  # a second
    at = [index for index, event in enumerate(watch.events) if type(event) is events.ItemsRan]
    assert 9 <= len(at) <= 11
    progressed = [event for event in watch.events if type(event) is events.MapProgressed]
    assert 8 <= len(progressed) <= 11
    done = 0
    for index in at:
        done += watch.events[index].items
        following = watch.events[index + 1]
        if type(following) is events.MapProgressed:
            assert following.done == done


def test_how_far_a_map_is_is_told_as_often_if_each_item_is_wanted():
    async def slow(x: int) -> dict[str, int]:
        await asyncio.sleep(0.04)
        return {"y": x}

    watch = Fixed()
    watch.answer = Wanted()
    _, kinds = told_of(map_of(slow, map={"max_concurrency": 10}), 250, watch)  # a second
    assert kinds["NodeRan"] == 250
    assert 8 <= kinds["MapProgressed"] <= 11


def test_it_is_asked_once_for_each_activation_of_a_map():
    asked: list[Any] = []

    class Asked(Fixed):
        def wants(self, path: str, items: tuple[int, ...], /) -> Wanted | None:
            asked.append((path, items, type(self.events[-1])))
            return super().wants(path, items)

    with GraphNode(name="g") as graph, MapNode(name="o", inputs={"x": Each(range(3))}, max_concurrency=1):
        with MapNode(name="m", inputs={"y": Each([1, 2])}):
            CodeNode(name="n", code_fn=quick, inputs={"x": PARENT["y"]}, outputs=PARENT)
    run_virtual(lambda: Hush(graph).run({}, tracer=Asked()))
    assert [each[:2] for each in asked] == [("g/o/m", (index,)) for index in range(3)]
    assert {each[2] for each in asked} <= {events.MapStarted, events.MapProgressed}


def test_the_first_and_the_slowest_are_told_of():
    took = [5, 1, 4, 2, 6, 3, 7, 4, 1]
    # Two that are first; two, whatever they take; and then each that is slower than one of the two slowest until then.
    assert chosen(took, Wanted(NONE_SLOW, first=2, slowest=2)) == [0, 1, 2, 3, 4, 6]
    assert chosen(took, Wanted(3, slowest=2)) == [0, 1, 2, 4, 6, 7]  # besides whatever takes more than 3
    assert chosen(took, Wanted(NONE_SLOW, first=9, slowest=2)) == [*range(9)]
    assert chosen(took, Wanted(NONE_SLOW, first=3)) == [0, 1, 2]
    assert chosen(took, Wanted(4, first=3)) == [0, 1, 2, 4, 6]
    assert chosen(took, Wanted()) == [*range(9)]


def test_so_many_of_the_slowest_as_there_are_items():
    took = [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert chosen(took, Wanted(NONE_SLOW, slowest=2)) == [0, 1]
    # One more for every three that have ended, if it is slower than what is known already.
    took = [5, 1, 1, 1, 1, 1, 6, 2, 1, 9, 3, 1, 1]
    assert chosen(took, Wanted(NONE_SLOW, slowest=1, slowest_share=1 / 3)) == [0, 6, 9]


def test_those_drawn_are_none_of_the_slowest():
    share = 2**31
    drawn = [index for index in range(200) if lot(5, index) < share]
    others = [index for index in range(200) if lot(5, index) >= share]
    took = [100 if index in drawn else index for index in range(200)]
    assert chosen(took, Wanted(NONE_SLOW, 5, share, slowest=2)) == sorted({*drawn, *others})  # each slower than before
    took = [100 if index in drawn else 50 - index for index in range(200)]
    assert chosen(took, Wanted(NONE_SLOW, 5, share, slowest=2)) == sorted({*drawn, *others[:2]})


def test_those_wanted_are_told_of_one_by_one():
    watch = Fixed()
    watch.answer = Wanted(NONE_SLOW, 5, 2**31)
    _, kinds = told_of(map_of(quick), 400, watch)
    drawn = [index for index in range(400) if lot(5, index) < 2**31]
    assert kinds["NodeRan"] == len(drawn)
    assert "ItemFinished" not in kinds
    ran = {event.item: event for event in watch.events if type(event) is events.NodeRan}
    assert sorted(ran) == drawn
    assert all(event.ends_item and event.ready_ns == event.started_ns for event in ran.values())
    assert ran[drawn[0]].inputs == {"x": drawn[0]}
    assert ran[drawn[0]].outputs == {"y": drawn[0]}
    ended_ns = {span.items[0]: span.ended_ns for span in watch.spans if span.kind == "item"}
    calls = {span.items[0]: span.ended_ns for span in watch.spans if span.path == "g/m/n"}
    assert ended_ns == calls  # such an item ends with its call


def test_a_slow_item_is_wanted():
    watch = Fixed()
    watch.answer = Wanted(0, 1, 0)  # all take longer than nothing
    _, kinds = told_of(map_of(quick), 50, watch)
    assert kinds["NodeRan"] == 50
    assert "ItemsRan" not in kinds
    assert "ItemFinished" not in kinds


@pytest.mark.parametrize("ending", ["raises", "reports", "lacks", "tags", "gives no mapping"])
def test_what_does_not_end_as_usual_is_told_of_as_ever(ending):
    async def odd(x: int) -> dict[str, Any]:
        await asyncio.sleep(0.001)
        if x == 30:
            if ending == "raises":
                raise ValueError("no")
            return {
                "reports": {"y": 1, "wrong": "no"},
                "lacks": {"z": 1},
                "tags": {"y": 1, "$tags": ["a"]},
                "gives no mapping": [1],
            }[ending]
        return {"y": x, "wrong": None}

    watch = Fixed()
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}) as m:
            n = CodeNode(name="n", code_fn=odd, inputs={"x": PARENT["x"]}, outputs=PARENT)
            if ending == "reports":
                n["wrong"] >> PARENT["error"]
        m["y"] >> PARENT["ys"]
    result, _ = told_of(Hush(graph), 60, watch)
    about = [event for event in watch.events if event.item == 30]
    names = [type(event).__name__ for event in about]
    whole = ["NodeReady", "NodeStarted", "NodeCalled"]
    assert (
        names
        == {
            "raises": [*whole, "NodeFailed", "ItemFailed"],
            "gives no mapping": [*whole, "NodeFailed", "ItemFailed"],
            "reports": ["NodeRan", "ItemFailed"],
            "lacks": ["NodeRan", "ItemFailed"],
            "tags": [*whole, "NodeFinished", "ItemFinished"],
        }[ending]
    )
    assert result.status == ("ok" if ending == "tags" else "partial")
    assert sum(event.items for event in watch.events if type(event) is events.ItemsRan) == 59
    assert not [*complaints_of_sums(watch, choice=False)]


@pytest.mark.parametrize("how", ["computes", "lacks what was learnt", "lacks what is streamed"])
def test_an_item_that_fails_when_its_call_has_ended_well_is_told_of_whole_and_once(how):
    def odd(x: int) -> dict[str, Any]:
        if x != 30:
            return {"y": x}
        return {} if how.startswith("lacks") else {"y": x}

    watch = Fixed()
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}, outputs={"*": PARENT}) as m:
            outputs: Any = {"y": PARENT} if how == "computes" else {"*": PARENT}
            n = CodeNode(name="n", code_fn=odd, inputs={"x": PARENT["x"]}, outputs=outputs, executor="inline")
            if how == "computes":
                n["y"].apply(lambda y: "no" if y == 30 else None) >> PARENT["error"]
        if how == "lacks what is streamed":
            with MapNode(name="o", inputs={"y": Each(m["y"])}):
                CodeNode(name="p", code_fn=lambda y: {"q": y}, inputs={"y": PARENT["y"]}, outputs=PARENT)
    result, _ = told_of(Hush(graph), 60, watch)
    about = [event for event in watch.events if event.item == 30 and event.path.startswith("g/m")]
    assert [type(event).__name__ for event in about] == ["NodeRan", "ItemFailed"]
    assert result.status == "partial"
    summed = [event for event in watch.events if type(event) is events.ItemsRan and event.path == "g/m"]
    assert sum(event.items for event in summed) == (0 if how == "computes" else 59)
    assert not [*complaints_of_sums(watch, choice=False)]


@pytest.mark.parametrize(
    "more",
    [
        {"retry": Retry(2)},
        {"limit": Limit(concurrency=5)},
        {"timeout_s": 5},
        {"cache": "memory"},
        {"map": {"key": lambda x: str(x)}},
    ],
)
def test_calls_with_policies_and_items_with_names_are_told_of_as_ever(more):
    watch = Fixed()
    name = next(iter(more))
    _, kinds = told_of(map_of(quick, **more), 20, watch)
    assert kinds["ItemFinished"] == 20
    assert "ItemsRan" not in kinds, name


def test_a_body_of_two_calls_is_told_of_as_ever():
    watch = Fixed()
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(PARENT["xs"])}):
        one = CodeNode(name="one", code_fn=quick, inputs={"x": PARENT["x"]})
        CodeNode(name="two", code_fn=quick, inputs={"x": one["y"]}, outputs=PARENT)
    _, kinds = told_of(Hush(graph), 20, watch)
    assert kinds["ItemFinished"] == 20
    assert "ItemsRan" not in kinds


def test_all_tracers_of_a_run_must_do_without():
    class Plain:
        def emit(self, event: Any) -> None:
            pass

    watch = Fixed()
    _, kinds = told_of(map_of(quick), 20, watch, Terse())
    assert kinds["ItemFinished"] == 20
    watch = Fixed()
    _, kinds = told_of(map_of(quick), 20, watch, Plain())
    assert kinds["NodeFinished"] == 21


def test_of_several_each_is_told_what_any_of_them_wants():
    first, second = Fixed(), Fixed()
    first.answer, second.answer = Wanted(NONE_SLOW, 5, 2**31), Wanted(NONE_SLOW, 5, 0)
    _, kinds = told_of(map_of(quick), 100, first, second)
    assert kinds["NodeRan"] == sum(lot(5, index) < 2**31 for index in range(100))
    assert first.events == second.events
    first, second = Fixed(), Fixed()
    first.answer, second.answer = Wanted(NONE_SLOW, 5, 0), Wanted(NONE_SLOW, 6, 0)  # lots of two kinds
    _, kinds = told_of(map_of(quick), 100, first, second)
    assert kinds["NodeRan"] == 100
    first, second = Fixed(), Fixed()
    first.answer, second.answer = Wanted(NONE_SLOW, 5, 0), Wanted(0, 5, 0)  # the second wants what takes any time
    _, kinds = told_of(map_of(quick), 100, first, second)
    assert kinds["NodeRan"] == 100
    first, second = Fixed(), Fixed()
    first.answer = second.answer = None
    _, kinds = told_of(map_of(quick), 100, first, second)
    assert "NodeRan" not in kinds
    assert "ItemFinished" not in kinds


def test_one_that_raises_when_it_is_asked_is_told_of_each():
    class Broken(Fixed):
        def wants(self, path: str, items: tuple[int, ...], /) -> Wanted:
            raise ValueError("no")

    _, kinds = told_of(map_of(quick), 20, Broken())
    assert kinds["NodeRan"] == 20


@pytest.mark.parametrize("answer", ["raises", "no answer"])
def test_what_is_wrong_with_a_tracer_is_logged_once_and_harms_no_run(answer, caplog):
    asked = []

    class Broken(Fixed):
        def wants(self, path: str, items: tuple[int, ...], /) -> Any:
            asked.append(path)
            if answer == "raises":
                raise ValueError("no")
            return True

    caplog.set_level("ERROR", "hush.tracing")
    other = Fixed()
    result, kinds = told_of(map_of(quick), 1_000, Broken(), other)  # it would be asked fifteen times
    assert result["ys"] == [*range(1_000)]
    assert kinds["NodeRan"] == 1_000
    assert len(asked) == 1
    assert [record.levelname for record in caplog.records if record.name == "hush.tracing"] == ["ERROR"]


def test_calls_under_way_can_be_asked_for():
    found: list[Any] = []

    async def look(x: int) -> dict[str, int]:
        await asyncio.sleep(1)
        found.append([(one.path, one.outer, one.item, one.number) for one in watch.under_way(2**63, 100)])
        found.append([one.number for one in watch.under_way(2**63, 1)])
        return {"y": x}

    watch = Fixed()
    told_of(map_of(look, map={"max_concurrency": 3}), 6, watch)
    assert [each[:3] for each in found[0]] == [("g/m/n", (), 0), ("g/m/n", (), 1), ("g/m/n", (), 2)]
    assert found[1] == [found[0][0][3]]
    assert len({each[3] for looked in found[::2] for each in looked}) == 6  # each call has a number of its own
    assert watch.under_way(2**63, 100) == []


@pytest.mark.parametrize("answer", [Wanted(), Wanted(NONE_SLOW, 3, 2**31), Wanted(NONE_SLOW, 3, 0)])
@pytest.mark.parametrize("changed", [False, True])
def test_those_under_way_are_those_that_run_oldest_first(answer, changed):
    running: dict[int, None] = {}
    looks: list[int] = []

    def look() -> None:
        asked = watch.under_way(2**63, 100)
        assert [one.item for one in asked] == [*running]
        assert len({one.number for one in asked}) == len(asked)
        for most in range(4):
            assert watch.under_way(2**63, most) == asked[:most]
        if asked:
            assert watch.under_way(asked[0].at_ns - 1, 100) == []
            assert watch.under_way(asked[-1].at_ns, 100) == asked
            begun_by = [one for one in asked if one.at_ns <= asked[0].at_ns]
            assert watch.under_way(asked[0].at_ns, 100) == begun_by
        looks.append(len(asked))

    async def one(x: int) -> dict[str, int]:
        running[x] = None
        look()
        await asyncio.sleep(random.Random(x).random())
        look()
        del running[x]
        if x % 7 == 3:
            raise ValueError("no")
        return {"y": x}

    watch = Fixed()
    watch.answer = answer
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(range(60))}, max_concurrency=5):
        x = PARENT["x"].apply(int) if changed else PARENT["x"]
        CodeNode(name="n", code_fn=one, inputs={"x": x}, outputs=PARENT)
    run_virtual(lambda: Hush(graph).run({}, tracer=watch))
    assert len(looks) == 120
    assert max(looks) == 5
    assert watch.under_way(2**63, 100) == []


def test_what_a_call_takes_to_be_known_is_used_again():
    counted: list[int] = []

    async def one(x: int) -> dict[str, int]:
        await asyncio.sleep(0.001)
        if x % 50 == 0:
            counted.append(sum(type(each) is Begun for each in gc.get_objects()))
        return {"y": x}

    before = sum(type(each) is Begun for each in gc.get_objects())
    told_of(map_of(one, map={"max_concurrency": 4}), 300)
    assert max(counted) <= before + 4


@pytest.mark.usefixtures("no_garbage_collector")
def test_a_map_that_has_ended_is_not_known_any_more():
    counted: list[int] = []

    def count(ys: list[int]) -> dict[str, int]:
        counted.append(sum(type(each) in (Summing, Fanout) for each in gc.get_objects()))
        return {"n": len(ys)}

    with GraphNode(name="g") as graph, MapNode(name="o", inputs={"x": Each(range(20))}, max_concurrency=1):
        with MapNode(name="m", inputs={"y": Each(range(3))}) as m:
            CodeNode(name="n", code_fn=lambda y: {"z": y}, inputs={"y": PARENT["y"]}, outputs=PARENT, executor="inline")
        CodeNode(name="c", code_fn=count, inputs={"ys": m["z"]}, outputs=PARENT, executor="inline")
    run_virtual(lambda: Hush(graph).run({}, tracer=Fixed()))
    assert max(counted) == counted[0]


@pytest.mark.parametrize("tick", range(1, 40))
def test_cancelled_at_any_tick(tick):
    watch = sampled(map_of(quick, map={"max_concurrency": 4}), {"xs": range(40)}, 0, tick, Fixed)
    watch.ended.demand_tidiness()
    if watch.events:
        started = sum(type(event) is events.NodeStarted and event.path == "g/m/n" for event in watch.events)
        sums = [event for event in watch.events if type(event) is events.ItemsRan]
        ended = [event for event in watch.events if type(event) is events.MapFinished]
        assert [sum(event.items for event in sums)] == ([event.done for event in ended] or [0])
        assert started <= 4
        assert not watch.under_way(2**63, 100)


def test_nobody_is_asked_about_a_map_that_has_ended():
    class Asked(Fixed):
        def wants(self, path: str, items: tuple[int, ...], /) -> Wanted:
            assert not any(type(event) is events.MapFinished for event in self.events)
            return Wanted()

    async def main() -> Any:
        result = await map_of(lambda x: {"y": x}, executor="inline").run({"xs": range(64)}, tracer=watch)
        await asyncio.sleep(1)
        return result

    watch = Asked()
    run_virtual(main)
    assert type(watch.events[-1]) is events.RunFinished
    assert watch.under_way(2**63, 10) == []


@pytest.mark.parametrize("reports", [False, True])
@pytest.mark.parametrize("how", ["computes what raises", "lacks what is read by name"])
@pytest.mark.parametrize("suspends", [False, True])
@pytest.mark.parametrize("answer", [Wanted(), Wanted(NONE_SLOW, 1, 0)])
def test_a_call_whose_outputs_cannot_be_taken_is_told_of_whole_and_is_not_under_way_any_more(
    reports, how, suspends, answer
):
    """Even if its item might have failed for another reason too."""
    asked: list[Any] = []

    async def odd(x: int) -> dict[str, Any]:
        if suspends:
            await asyncio.sleep(0.001)
        if x == 31:
            asked.extend(one for one in watch.under_way(2**63, 100) if one.item == 30)
        if x == 30:
            return {"wrong": "no" if reports else None} | ({"y": x} if how.startswith("computes") else {})
        return {"y": x, "wrong": None}

    def compute(y: int) -> int:
        if y == 30:
            raise ValueError("no")
        return y

    watch = Fixed()
    watch.answer = answer
    with GraphNode(name="g") as graph, MapNode(name="m", inputs={"x": Each(PARENT["xs"])}, max_concurrency=1):
        n = CodeNode(name="n", code_fn=odd, inputs={"x": PARENT["x"]})
        n["wrong"] >> PARENT["error"]
        (n["y"].apply(compute) if how.startswith("computes") else n["y"]) >> PARENT["z"]
    told_of(Hush(graph), 60, watch)
    about = [type(event).__name__ for event in watch.events if event.item == 30]
    assert about == ["NodeReady", "NodeStarted", "NodeCalled", "NodeFailed", "ItemFailed"]
    assert not asked
    assert not [*complaints_of_sums(watch, choice=False)]


def test_no_call_is_told_of_while_it_is_among_those_under_way():
    class Asks(Fixed):
        def emit(self, event: Any, /) -> None:
            if type(event) is events.NodeRan:
                assert event.number not in {one.number for one in self.under_way(2**63, 100)}
                told.append(event.number)
            super().emit(event)

    told: list[int] = []
    watch = Asks()
    watch.answer = Wanted(NONE_SLOW, 5, 2**31)
    told_of(map_of(quick, map={"max_concurrency": 4}), 100, watch)
    assert len(told) == sum(lot(5, index) < 2**31 for index in range(100))

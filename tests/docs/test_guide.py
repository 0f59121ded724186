"""The guide that users read: its whole blocks run as printed, and its graphs keep what its text and comments promise.

What a block leaves to its reader (`transform`, `fetch_from_db`) is defined here. Its blocks on language models have a
file of their own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from docs.guide import Play, RunIt, left_to_the_reader, require
from docs.printed import Block
from hush.core import END, PARENT, START, CodeNode, GraphNode, Hush

FRAGMENT = "a fragment: it shows only a part"

# All blocks of the guide in its order: the heading above, and what a whole block leaves to its reader. A guide that
# changes must change this list, and the tests below.
BLOCKS: list[tuple[str, str | set[str]]] = [
    ("Basic: List syntax", set()),
    ("Multiple parallel groups", {"task_a1", "task_a2", "task_a3", "middle_step", "task_b1", "task_b2"}),
    ("Classic fan-out/fan-in", {"transform_1", "transform_2", "transform_3", "combine_results"}),
    ("Dynamic fan-out với MapNode", {"transform"}),
    ("Multiple prompts in parallel", set()),
    ("Batch LLM với MapNode", set()),
    ("MapNode max_concurrency", FRAGMENT),
    ("Rate limiting với semaphore", {"api_call"}),
    ("Partial failure handling", {"safe_process"}),
    ("Fail-fast pattern", {"process_single"}),
    ("1. Overhead của parallel execution", FRAGMENT),
    ("2. Memory considerations", {"load_all_items", "parallel_process"}),
    ("3. Connection pooling", set()),
    (
        "ETL Pipeline",
        {
            "fetch_from_db",
            "fetch_from_api",
            "read_from_file",
            "merge_data",
            "transform_data",
            "load_to_warehouse",
            "update_cache",
        },
    ),
    ("Best Practices", FRAGMENT),
    ("Best Practices", FRAGMENT),
]


def meeting(parties: int) -> Callable[[], object]:
    """A function that returns when so many calls of it run at the same time, and raises if that does not happen."""
    return threading.Barrier(parties, timeout=20).wait


class Most:
    """Counts how many are in it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0

    def __enter__(self) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._now -= 1


# --- the guide as a whole ---------------------------------------------------------------------------------------------
def test_the_guide_holds_the_blocks_that_these_tests_know(guide: list[Block]) -> None:
    found = [(each.heading, FRAGMENT if each.is_fragment() else left_to_the_reader(guide, each)) for each in guide]
    assert found == BLOCKS


def test_a_missing_guide_skips_with_a_word_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"the guide is not there: .*guide\.md"):
        require(tmp_path / "guide.md")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"the guide is not there: .*guide\.md"):
        require(tmp_path / "guide.md")


# --- branches ---------------------------------------------------------------------------------------------------------
async def test_parallel_demo_gives_the_total(play: Play, run_it: RunIt) -> None:
    graph = (await play("Basic: List syntax"))["graph"]
    for x in (5, 0, -1.5):
        result = await run_it(graph, x=x)
        assert result == {"total": x * 2 + x * 3}
        assert result.status == "ok"
        assert not result.errors


async def test_parallel_demo_runs_its_branches_at_once(play: Play, run_it: RunIt) -> None:
    """`[branch_a, branch_b] runs in parallel`: two blocking functions meet, on the very first run."""
    meet = meeting(2)

    class Number(int):
        def __mul__(self, other: int) -> int:
            meet()
            return int(self) * other

    graph = (await play("Basic: List syntax"))["graph"]
    assert await run_it(graph, x=Number(4)) == {"total": 20}


async def test_parallel_groups_run_group_by_group(play: Play, run_it: RunIt) -> None:
    """Nodes made outside any graph belong to the one that wires them."""
    ran: list[str] = []
    meet_a, meet_b = meeting(3), meeting(2)

    def task(name: str, meet: Callable[[], object]) -> CodeNode:
        def work() -> None:
            meet()
            ran.append(name)

        return CodeNode(name=name, code_fn=work)

    given = {f"task_a{n}": task(f"task_a{n}", meet_a) for n in (1, 2, 3)}
    given |= {f"task_b{n}": task(f"task_b{n}", meet_b) for n in (1, 2)}
    given["middle_step"] = task("middle_step", lambda: None)
    graph = (await play("Multiple parallel groups", **given))["graph"]

    result = await run_it(graph)

    assert result == {}
    assert result.status == "ok"
    assert set(ran[:3]) == {"task_a1", "task_a2", "task_a3"}
    assert ran[3] == "middle_step"
    assert set(ran[4:]) == {"task_b1", "task_b2"}
    assert len(ran) == 6


async def test_fan_out_fan_in_combines_what_three_processors_made_at_once(play: Play, run_it: RunIt) -> None:
    meet = meeting(3)

    def transform_by(step: int) -> Callable[[list[int]], list[int]]:
        def transform(items: list[int]) -> list[int]:
            meet()
            return [item + step for item in items]

        return transform

    space = await play(
        "Classic fan-out/fan-in",
        transform_1=transform_by(1),
        transform_2=transform_by(2),
        transform_3=transform_by(3),
        combine_results=lambda *results: list(results),
    )
    assert await run_it(space["graph"], data=[10, 20]) == {"combined": [[11, 21], [12, 22], [13, 23]]}


# --- maps -------------------------------------------------------------------------------------------------------------
async def test_dynamic_fan_out_gives_results_in_input_order(play: Play, run_it: RunIt) -> None:
    """The items finish in the opposite order: each waits for the next one."""
    finished: list[int] = []
    done = {item: threading.Event() for item in range(1, 7)}
    done[6].set()

    def transform(item: int) -> str:
        assert done[item + 1].wait(20)
        finished.append(item)
        done[item].set()
        return f"transformed_{item}"

    graph = (await play("Dynamic fan-out với MapNode", transform=transform))["graph"]
    result = await run_it(graph, items=[1, 2, 3, 4, 5])

    assert finished == [5, 4, 3, 2, 1]
    assert result == {"results": [f"transformed_{item}" for item in (1, 2, 3, 4, 5)]}
    assert result.status == "ok"


@pytest.mark.parametrize("count", [0, 1, 2000])
async def test_dynamic_fan_out_gives_one_result_for_each_item(play: Play, run_it: RunIt, count: int) -> None:
    graph = (await play("Dynamic fan-out với MapNode", transform=lambda item: item * item))["graph"]
    assert await run_it(graph, items=list(range(count))) == {"results": [item * item for item in range(count)]}


async def test_dynamic_fan_out_runs_ten_at_once_and_never_more(play: Play, run_it: RunIt) -> None:
    """`max_concurrency=10`."""
    meet, most = meeting(10), Most()

    def transform(item: int) -> int:
        with most:
            if item < 10:
                meet()
        return item

    graph = (await play("Dynamic fan-out với MapNode", transform=transform))["graph"]
    assert await run_it(graph, items=list(range(60))) == {"results": list(range(60))}
    assert most.most == 10


async def test_the_map_of_the_fragment_runs_five_at_once_and_never_more(guide: list[Block], run_it: RunIt) -> None:
    """`Max 5 concurrent executions`: the fragment with its body filled in."""
    most = Most()

    async def work(item: int) -> dict[str, int]:
        with most:
            await asyncio.sleep(0)
        return {"result": item}

    [block] = [each for each in guide if each.heading == "MapNode max_concurrency"]
    body = 'CodeNode(code_fn=work, inputs={"item": PARENT["item"]}, outputs=PARENT)'
    source = block.code.replace("# ...", body) + '\nmap_node["result"] >> PARENT["results"]\n'
    from hush.core.nodes.iteration import MapNode
    from hush.core.nodes.iteration.base import Each

    names = {"MapNode": MapNode, "Each": Each, "CodeNode": CodeNode, "PARENT": PARENT, "work": work}
    with GraphNode(name="fragment") as graph:
        exec(source, names)

    assert await run_it(graph, items=list(range(30))) == {"results": list(range(30))}
    assert most.most == 5


# --- failures ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("items", "successful", "failed"),
    [
        ([4, -1, 9, -2, 16], [8, 18, 32], ["-1 is negative", "-2 is negative"]),
        ([1, 2], [2, 4], []),
        ([-1, -2], [], ["-1 is negative", "-2 is negative"]),
        ([], [], []),
    ],
)
@pytest.mark.parametrize("says_none", [True, False], ids=["both keys", "one key"])
async def test_partial_failure_tells_good_from_bad(
    play: Play, run_it: RunIt, items: list[int], successful: list[int], failed: list[str], says_none: bool
) -> None:
    """`Returns error if fails`: the function's own `error` is what the map's column has."""

    def safe_process(item: int) -> dict[str, Any]:
        found = {"error": f"{item} is negative"} if item < 0 else {"result": item * 2}
        return {"result": None, "error": None} | found if says_none else found

    graph = (await play("Partial failure handling", safe_process=safe_process))["graph"]
    assert await run_it(graph, items=items) == {"successful": successful, "failed": failed}


async def test_partial_failure_takes_what_a_function_raises_for_its_error(play: Play, run_it: RunIt) -> None:
    """`Failed items won't affect others`, even where the function is not as safe as its name says."""
    wrong = ValueError("no")

    def safe_process(item: int) -> dict[str, Any]:
        if item == 2:
            raise wrong
        return {"result": item * 2}

    graph = (await play("Partial failure handling", safe_process=safe_process))["graph"]
    result = await run_it(graph, items=[1, 2, 3])

    assert result == {"successful": [2, 6], "failed": [wrong]}
    assert result["failed"][0] is wrong


async def test_fail_fast_stops_at_the_first_critical_error(play: Play, run_it: RunIt) -> None:
    seen: list[int] = []

    def process_single(item: int) -> dict[str, Any]:
        seen.append(item)
        return {"critical_error": True, "error": f"{item} broke"} if item == 3 else {"value": item}

    process = (await play("Fail-fast pattern", process_single=process_single))["process_with_early_exit"]
    stopped = {"results": [{"value": 1}, {"value": 2}], "error": "3 broke", "stopped_early": True}

    assert process([1, 2, 3, 4]) == stopped
    assert seen == [1, 2, 3]
    assert process([1, 2]) == {"results": [{"value": 1}, {"value": 2}], "error": None, "stopped_early": False}

    def graph_around(outputs: Any) -> GraphNode:
        with GraphNode(name="early-exit") as graph:
            node = CodeNode(name="process", code_fn=process, inputs={"items": PARENT["items"]}, outputs=outputs)
            START >> node >> END
        return graph

    named = graph_around({"results": PARENT, "error": PARENT, "stopped_early": PARENT["early"]})
    assert await run_it(named, items=[1, 2, 3, 4]) == {
        "results": [{"value": 1}, {"value": 2}],
        "error": "3 broke",
        "early": True,
    }
    starred = graph_around({"*": PARENT})  # a star never carries `error`
    assert await run_it(starred, items=[3]) == {"results": [], "stopped_early": True}


# --- limits -----------------------------------------------------------------------------------------------------------
class Api:
    """An API that notes how many calls it has at once."""

    def __init__(self) -> None:
        self.most = Most()

    async def call(self, data: int) -> dict[str, int]:
        with self.most:
            for _ in range(3):
                await asyncio.sleep(0)
        return {"answer": data + 1}


def graph_with(node: CodeNode) -> GraphNode:
    with GraphNode(name="limited") as graph:
        START >> node >> END
        node["answer"] >> PARENT["answer"]
    return graph


async def test_the_semaphore_holds_calls_back_in_many_runs_on_one_loop(play: Play) -> None:
    api = Api()
    node = (await play("Rate limiting với semaphore", api_call=api.call))["node"]
    engine = Hush(graph_with(node))
    for _ in range(3):
        results = await asyncio.gather(*(engine.run(inputs={"data": n}) for n in range(40)))
        assert results == [{"answer": n + 1} for n in range(40)]
    assert api.most.most == 10


async def test_the_semaphore_holds_calls_back_in_run_sync_from_many_threads(play: Play) -> None:
    """All calls of `run_sync` share one loop, so that a semaphore made at import works in every one."""
    api = Api()
    node = (await play("Rate limiting với semaphore", api_call=api.call))["node"]
    engine, together = Hush(graph_with(node)), threading.Barrier(40, timeout=20)

    def call(n: int) -> dict[str, Any]:
        together.wait()
        return engine.run_sync(inputs={"data": n})

    with ThreadPoolExecutor(40) as threads:
        for _ in range(3):
            results = list(threads.map(call, range(40)))
            assert results == [{"answer": n + 1} for n in range(40)]
    assert api.most.most <= 10


async def test_the_semaphore_works_in_calls_one_after_the_other_however_they_are_made(play: Play) -> None:
    node = (await play("Rate limiting với semaphore", api_call=Api().call))["node"]
    assert node(data=0) == {"answer": 1}
    assert node(data=1) == {"answer": 2}
    engine = Hush(graph_with(node))
    for n in range(3):
        assert engine.run_sync(inputs={"data": n}) == {"answer": n + 1}
        assert await engine.run(inputs={"data": n}) == {"answer": n + 1}
        assert await asyncio.to_thread(asyncio.run, engine.run(inputs={"data": n})) == {"answer": n + 1}


async def test_the_semaphore_holds_back_the_items_of_a_map(play: Play, run_it: RunIt) -> None:
    """The semaphore's ten are fewer than the map's thirty."""
    api = Api()
    space = await play("Rate limiting với semaphore", api_call=api.call)
    each, map_node = space["Each"], space["MapNode"]
    with GraphNode(name="limited-map") as graph:
        with map_node(name="calls", inputs={"data": each(PARENT["data"])}, max_concurrency=30) as calls:
            START >> space["node"] >> END  # made outside, adopted here
            space["node"]["answer"] >> PARENT["answer"]
        calls["answer"] >> PARENT["answers"]

    assert await run_it(graph, data=list(range(100))) == {"answers": list(range(1, 101))}
    assert api.most.most == 10


# --- memory and connections -------------------------------------------------------------------------------------------
async def test_chunks_give_what_the_whole_gives(play: Play) -> None:
    """`parallel_process` is a reader's own: here, a map run by an engine."""
    sizes: list[int] = []

    async def parallel_process(items: list[int]) -> list[int]:
        sizes.append(len(items))
        fan_out = await play("Dynamic fan-out với MapNode", transform=lambda item: -item)
        return (await Hush(fan_out["graph"]).run(inputs={"items": items}))["results"]

    def load_all_items() -> list[int]:
        return list(range(2500))

    space = await play("2. Memory considerations", load_all_items=load_all_items, parallel_process=parallel_process)

    assert space["results"] == [-item for item in range(2500)]
    assert await space["process_in_chunks"](space["items"]) == space["results"]
    assert sizes == [2500, 1000, 1000, 500]


async def test_the_connection_pool_is_a_client_that_can_be_used_and_closed(play: Play) -> None:
    client = (await play("3. Connection pooling"))["client"]
    async with client:
        assert not client.is_closed
    assert client.is_closed


# --- the ETL ----------------------------------------------------------------------------------------------------------
class World:
    """What the ETL extracts from and loads to."""

    def __init__(self) -> None:
        self.extract, self.load = meeting(3), meeting(2)
        self.warehouse: list[Any] = []
        self.cache: list[Any] = []

    def names(self) -> dict[str, Callable[..., Any]]:
        def source(rows: list[str]) -> Callable[[], list[str]]:
            def fetch() -> list[str]:
                self.extract()
                return rows

            return fetch

        def into(place: list[Any]) -> Callable[[list[str]], str]:
            def load(data: list[str]) -> str:
                self.load()
                place.append(data)
                return "loaded"

            return load

        return {
            "fetch_from_db": source(["db"]),
            "fetch_from_api": source(["api"]),
            "read_from_file": source(["file"]),
            "merge_data": lambda *sources: [row for rows in sources for row in rows],
            "transform_data": lambda rows: [row.upper() for row in rows],
            "load_to_warehouse": into(self.warehouse),
            "update_cache": into(self.cache),
        }


async def test_the_etl_extracts_at_once_loads_at_once_and_gives_nothing(play: Play, run_it: RunIt) -> None:
    """It writes nothing to PARENT, so its result is `{}`; what it did is in the warehouse and in the cache."""
    world = World()
    graph = (await play("ETL Pipeline", **world.names()))["graph"]
    for runs in (1, 2):
        result = await run_it(graph)
        assert result == {}
        assert result.status == "ok"
        assert world.warehouse == [["DB", "API", "FILE"]] * runs
        assert world.cache == [["DB", "API", "FILE"]] * runs


@pytest.mark.parametrize("broken", ["fetch_from_api", "merge_data", "transform_data"])
async def test_the_etl_loads_nothing_when_something_breaks_before(play: Play, run_it: RunIt, broken: str) -> None:
    world, wrong = World(), RuntimeError("down")
    names = world.names()
    before = names[broken]

    def breaks(*args: Any) -> Any:
        before(*args)
        raise wrong

    graph = (await play("ETL Pipeline", **{**names, broken: breaks}))["graph"]
    with pytest.raises(RuntimeError) as raised:
        await run_it(graph)

    assert raised.value is wrong
    node = {"fetch_from_api": "extract_api", "merge_data": "combine", "transform_data": "transform"}[broken]
    assert wrong.hush.path == f"etl-pipeline/{node}"  # type: ignore[attr-defined]
    assert world.warehouse == world.cache == []

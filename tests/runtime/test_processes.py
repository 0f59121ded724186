"""Work in processes: the same results as here; a process that dies or is cancelled takes nothing else with it."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hush.core import (
    END,
    PARENT,
    START,
    BranchNode,
    CodeNode,
    Each,
    GraphNode,
    Hush,
    ItemFinished,
    MapNode,
    NodeTimeout,
    RunTimeout,
    Tolerate,
    TooManyFailures,
    TransportError,
    WhileLoopNode,
    WorkerDied,
)
from hush.testing import leak_check, run_virtual
from kit.processes import HAVE_PROC, descriptors, variable, workers

pytestmark = pytest.mark.skipif(not HAVE_PROC, reason="processes are counted in /proc")


@pytest.fixture(autouse=True)
def nothing_is_left():
    assert workers() == []
    yield
    assert workers() == []


def node(fn: Callable[..., Any], **policies: Any) -> Hush:
    """One node in a process, over the input ``x``."""
    with GraphNode(name="g") as graph:
        one = CodeNode(
            "one", code_fn=fn, inputs={"x": PARENT["x"]}, outputs={"*": PARENT}, executor="process", **policies
        )
        START >> one >> END
    return Hush(graph)


def mapped(fn: Callable[..., Any], *, source: Any = PARENT["xs"], max_concurrency: int = 2, **policies: Any) -> Hush:
    """A map in processes over the input ``xs``; ``y`` and ``error`` are its outputs."""
    with GraphNode(name="g") as graph:
        with MapNode(
            "each",
            inputs={"x": Each(source)},
            outputs={"y": PARENT, "error": PARENT},
            executor="process",
            max_concurrency=max_concurrency,
            **policies,
        ) as every:
            one = CodeNode("one", code_fn=fn, inputs={"x": PARENT["x"]}, outputs={"y": PARENT})
            START >> one >> END
        START >> every >> END
    return Hush(graph)


def failed(result: Any) -> dict[int, BaseException]:
    return {index: error for index, error in enumerate(result["error"]) if error is not None}


# --- where it runs ----------------------------------------------------------------------------------------------
async def test_a_node_runs_in_another_process_lambdas_and_closures_too():
    factor = 7
    here = os.getpid()
    result = await node(lambda x: {"y": x * factor, "elsewhere": os.getpid() != here, "fn": lambda: factor}).run(
        {"x": 3}
    )
    assert (result["y"], result["elsewhere"], result["fn"]()) == (21, True, 7)


async def test_an_async_def_runs_in_a_loop_of_the_process():
    async def later(x):
        await asyncio.sleep(0)
        return {"y": os.getpid()}

    assert (await node(later).run({"x": 1}))["y"] != os.getpid()


async def test_a_map_keeps_order_and_uses_several_processes():
    result = await mapped(lambda x: {"y": (x, os.getpid())}).run({"xs": list(range(300))})
    assert [x for x, _ in result["y"]] == list(range(300))
    pids = {pid for _, pid in result["y"]}
    assert os.getpid() not in pids
    assert 1 <= len(pids) <= 2


async def test_one_process_begins_with_the_first_item():
    """Also where tasks are eager, so that who was hired last is the first to ask for a process."""
    result = await mapped(lambda x: {"y": time.monotonic_ns()}, max_concurrency=1).run({"xs": list(range(50))})
    assert result["y"][0] == min(result["y"])


async def test_no_more_processes_than_items():
    seen: set[int] = set()

    class Sees:
        def emit(self, event: Any) -> None:
            seen.update(workers())

    result = await mapped(lambda x: {"y": x}, max_concurrency=8).run({"xs": [1]}, tracer=Sees())
    assert result["y"] == [1]
    assert len(seen) <= 1


async def test_no_items_make_no_process():
    assert (await mapped(lambda x: {"y": x}).run({"xs": []}))["y"] == []


async def test_calls_of_a_node_in_a_map_share_its_processes():
    with GraphNode(name="g") as graph:
        with MapNode("each", inputs={"x": Each(PARENT["xs"])}, outputs={"y": PARENT}, max_concurrency=8) as every:
            one = CodeNode("one", code_fn=lambda x: {"y": os.getpid()}, inputs={"x": PARENT["x"]}, executor="process")
            one["y"] >> PARENT["y"]
            START >> one >> END
        START >> every >> END
    pids = (await Hush(graph).run({"xs": list(range(40))}))["y"]
    assert len(pids) == 40
    assert len(set(pids)) <= (os.cpu_count() or 1)


def test_under_a_test_s_loop_everything_runs_here():
    async def main():
        one = await node(lambda x: {"y": os.getpid()}).run({"x": 1})
        many = await mapped(lambda x: {"y": os.getpid()}).run({"xs": [1, 2]})
        return {one["y"], *many["y"]}

    assert run_virtual(main) == {os.getpid()}


# --- the same as here -------------------------------------------------------------------------------------------
def everything(executor: str | None, policies: dict[str, Any]) -> Hush:
    """A map whose body has most of what a body can have: it reads, branches, loops, nests, fails and handles."""

    def start(x, offset):
        if x % 7 == 3:
            raise ValueError("seven", x)
        return {"x": x + offset, "kind": "even" if x % 2 == 0 else "odd", "$tags": f"t{x % 3}"}

    def check(x):
        if x % 5 == 4:
            raise KeyError(x)
        return {"z": x}

    with GraphNode(name="g") as graph:
        before = CodeNode("before", code_fn=lambda: {"offset": 100})
        with MapNode(
            "each",
            inputs={"x": Each(PARENT["xs"]), "w": Each(PARENT["ws"]), "k": PARENT["k"]},
            outputs={"*": PARENT, "error": PARENT, "iteration_metrics": PARENT["m"]},
            max_concurrency=2,
            executor=executor,
            **policies,
        ) as every:
            first = CodeNode("first", code_fn=start, inputs={"x": PARENT["x"], "offset": before["offset"]})
            route = BranchNode(
                name="route", cases={"kind == 'even'": "even"}, default="odd", inputs={"kind": first["kind"]}
            )
            even = CodeNode("even", code_fn=lambda x, k: {"v": x * k}, inputs={"x": first["x"], "k": PARENT["k"]})
            odd = CodeNode("odd", code_fn=lambda x: {"v": -x}, inputs={"x": first["x"]})
            with WhileLoopNode(name="loop", inputs={"n": first["x"], "s": 0}, max_iterations=3) as loop:
                step = CodeNode("step", code_fn=lambda n, s: {"s": s + n}, inputs={"n": PARENT["n"], "s": PARENT["s"]})
                step["s"] >> PARENT["s"]
                START >> step >> END
            with MapNode("inner", inputs={"i": Each([1, 2, 3])}) as inner:
                cell = CodeNode("cell", code_fn=lambda i, w: {"c": i + w}, inputs={"i": PARENT["i"], "w": first["x"]})
                cell["c"] >> PARENT["c"]
                START >> cell >> END
            checked = CodeNode("checked", code_fn=check, inputs={"x": first["x"]}, on_error="collect")
            out = CodeNode(
                "out",
                code_fn=lambda even, odd, s, c, w, z: {"out": [even, odd, s, c, w, z]},
                inputs={
                    "even": even["v"],
                    "odd": odd["v"],
                    "s": loop["s"],
                    "c": inner["c"],
                    "w": PARENT["w"],
                    "z": checked["error"].apply(repr),
                },
                outputs={"*": PARENT},
            )
            START >> first >> route
            [even, odd] >> out >> END
        START >> before >> every >> END
    return Hush(graph)


def said(error: BaseException | None) -> Any:
    if error is None:
        return None
    info = error.__dict__["hush"]
    return type(error), error.args, info.path, info.item, info.outer, info.key


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(xs=st.lists(st.integers(0, 40), max_size=30), first=st.none() | st.integers(1, 10), keyed=st.booleans())
def test_a_map_gives_the_same_as_without_processes(xs, first, keyed):
    inputs = {"xs": xs, "ws": [x * 10 for x in xs], "k": 3}
    policies = {"first": first, "key": (lambda x: f"key{x}") if keyed else None}
    here = everything(None, policies).run_sync(inputs)
    there = everything("process", policies).run_sync(inputs)
    assert there["out"] == here["out"]
    assert [said(error) for error in there["error"]] == [said(error) for error in here["error"]]
    assert (there.status, there.tags) == (here.status, here.tags)
    assert sorted(map(repr, map(said, there.errors))) == sorted(map(repr, map(said, here.errors)))
    assert there.errors.total == here.errors.total
    counts = ("total_iterations", "success_count", "error_count")
    assert [there["m"][name] for name in counts] == [here["m"][name] for name in counts]


async def test_lists_as_items_and_what_fails_before():
    with GraphNode(name="g") as graph:
        with MapNode("a", inputs={"x": Each(PARENT["xs"])}) as a:
            one = CodeNode("one", code_fn=lambda x: {"y": 10 // x}, inputs={"x": PARENT["x"]}, outputs={"y": PARENT})
            START >> one >> END
        with MapNode("b", inputs={"y": Each(a["y"])}, outputs={"z": PARENT, "error": PARENT}, executor="process") as b:
            two = CodeNode("two", code_fn=lambda y: {"z": y + 1}, inputs={"y": PARENT["y"]}, outputs={"z": PARENT})
            START >> two >> END
        with MapNode("c", inputs={"ys": Each(a["y"])}, outputs={"s": PARENT}, batch=2, executor="process") as c:
            three = CodeNode(
                "three", code_fn=lambda ys: {"s": sum(ys)}, inputs={"ys": PARENT["ys"]}, outputs={"s": PARENT}
            )
            START >> three >> END
        START >> a >> [b, c] >> END
    result = await Hush(graph).run({"xs": [1, 0, 5, 2]})
    assert result["z"] == [11, None, 3, 6]
    assert list(failed(result)) == [1]
    assert result["s"] == [12, 5]


async def test_sources_of_all_kinds():
    async def numbers():
        for number in range(50):
            yield number

    for source in (iter(range(50)), (number for number in range(50)), numbers()):
        assert (await mapped(lambda x: {"y": -x}, source=source).run())["y"] == [-x for x in range(50)]


async def test_a_map_in_a_map_and_one_in_a_loop_use_their_processes_again():
    def pid(x, y):
        return {"pid": os.getpid(), "sum": x + y}

    with GraphNode(name="g") as graph:
        with MapNode("outer", inputs={"x": Each(PARENT["xs"])}, outputs={"*": PARENT}, max_concurrency=3) as outer:
            with MapNode(
                "inner", inputs={"y": Each([1, 2, 3]), "x": PARENT["x"]}, executor="process", max_concurrency=2
            ) as inner:
                one = CodeNode("one", code_fn=pid, inputs={"x": PARENT["x"], "y": PARENT["y"]}, outputs={"*": PARENT})
                START >> one >> END
            inner["sum"] >> PARENT["sums"]
            inner["pid"] >> PARENT["pids"]
            START >> inner >> END
        START >> outer >> END
    result = await Hush(graph).run({"xs": list(range(20))})
    assert result["sums"] == [[x + 1, x + 2, x + 3] for x in range(20)]
    assert len({pid for pids in result["pids"] for pid in pids}) <= 2


async def test_what_a_body_reads_of_nodes_around_is_sent_along():
    with GraphNode(name="g") as graph:
        far = CodeNode("far", code_fn=lambda: {"k": 1000})
        with GraphNode(name="between", inputs={"xs": PARENT["xs"]}, outputs={"ys": PARENT}) as between:
            near = CodeNode("near", code_fn=lambda: {"k": 100})
            with MapNode("each", inputs={"x": Each(PARENT["xs"])}, executor="process") as every:
                one = CodeNode(
                    "one",
                    code_fn=lambda x, a, b, c=7: {"y": x + a + b + c},
                    inputs={"x": PARENT["x"], "a": near["k"], "b": far["k"]},
                    outputs={"y": PARENT},
                )
                START >> one >> END
            every["y"] >> PARENT["ys"]
            START >> near >> every >> END
        START >> far >> between >> END
    assert (await Hush(graph).run({"xs": [1, 2]}))["ys"] == [1108, 1109]


async def test_what_an_item_sets_in_a_context_variable_the_next_does_not_see():
    async def see(x):
        from kit.processes import variable

        await asyncio.sleep(0)
        seen = variable.get()
        variable.set(x)
        return {"y": seen}

    variable.set(5)  # it stays here
    assert (await mapped(see, max_concurrency=1).run({"xs": [1] * 40}))["y"] == [0] * 40


async def test_what_a_body_prints_is_not_lost(capfd):
    await mapped(lambda x: print("item", x) or {"y": x}).run({"xs": [1]})
    assert capfd.readouterr().out == "item 1\n"


# --- failing ----------------------------------------------------------------------------------------------------
class Awkward(Exception):
    """It cannot be made from its args, as many cannot."""

    def __init__(self, code: int, *, why: str) -> None:
        super().__init__(f"code {code}: {why}")
        self.code = code


async def test_an_exception_comes_back_with_all_that_belongs_to_it():
    def deep(x):
        try:
            raise KeyError("inner")
        except KeyError as exc:
            error = ValueError("outer", x)
            error.add_note("a note")
            raise error from exc

    with pytest.raises(ValueError, match="outer") as caught:
        await node(deep).run({"x": 5})
    error = caught.value
    assert error.args == ("outer", 5)
    assert isinstance(error.__cause__, KeyError)
    assert error.__cause__.args == ("inner",)
    assert error.__notes__[0] == "a note"
    assert "in the worker process" in error.__notes__[1]
    assert __file__ in error.__notes__[1]
    assert "in deep" in error.__notes__[1]
    assert error.hush.path == "g/one"
    assert "KeyError: 'inner'" in "".join(traceback.format_exception(error))


class Coded(Exception):
    """It can be made from its args, but would not be the same."""

    def __init__(self, code: Any) -> None:
        super().__init__(f"code {code}")


class Unmakeable(Exception):
    """Not even past its ``__init__``."""

    def __new__(cls, *, code: int) -> Unmakeable:
        return super().__new__(cls, code)

    def __init__(self, *, code: int) -> None:
        pass


async def test_exceptions_that_cannot_be_made_from_their_args_keep_their_type():
    def fail(x):
        if x == 3:
            raise Coded(3)
        if x == 4:
            raise Unmakeable(code=4)
        if x == 1:
            raise Awkward(x, why="because")
        error = Awkward(x, why="lock")
        error.lock = threading.Lock()
        raise error

    found = failed(await mapped(fail).run({"xs": [1, 2, 3, 4]}))
    assert [type(error) for error in found.values()] == [Awkward, Awkward, Coded, TransportError]
    assert [str(error) for error in found.values()][:3] == ["code 1: because", "code 2: lock", "code 3"]
    assert [found[index].code for index in (0, 1)] == [1, 2]
    assert "Unmakeable: 4" in str(found[3])
    assert any("'lock' stayed in the worker process" in note for note in found[1].__notes__)


async def test_a_group_comes_back_whole():
    def fail(x):
        raise ExceptionGroup("two", [ValueError(1), Awkward(2, why="so")])

    with pytest.raises(ExceptionGroup, match="two") as caught:
        await node(fail).run({"x": 1})
    assert [str(error) for error in caught.value.exceptions] == ["1", "code 2: so"]


class Unloadable:
    def __reduce__(self):
        return divmod, (1, 0)


async def test_what_cannot_be_pickled_or_loaded_fails_its_own_item_only():
    def give(x):
        if x == 3:
            return {"y": threading.Lock()}
        if x == 4:
            return {"y": Unloadable()}
        return {"y": 0 if type(x) is not int else x}

    result = await mapped(give).run({"xs": [0, 1, threading.Lock(), 3, 4, Unloadable(), 6]})
    assert result["y"] == [0, 1, None, None, None, None, 6]
    found = failed(result)
    assert {type(error) for error in found.values()} == {TransportError}
    assert "its input 'x'" in str(found[2])
    assert "its output 'y' (a lock)" in str(found[3])
    assert "cannot be loaded here" in str(found[4])
    assert "cannot be loaded in a worker process" in str(found[5])
    assert all(error.hush.item == index for index, error in found.items())


async def test_a_map_that_fails_fast_raises_what_its_item_raised():
    def fail(x):
        if x == 20:
            raise LookupError(x)
        return {"y": x}

    with pytest.raises(LookupError) as caught:
        await mapped(fail, on_error="raise").run({"xs": list(range(1000))})
    assert (caught.value.hush.path, caught.value.hush.item) == ("g/each/one", 20)


async def test_tolerate_counts():
    def fail(x):
        return {"y": 1 // (x % 10)}

    result = await mapped(fail, on_error=Tolerate(count=3)).run({"xs": list(range(30))})
    assert list(failed(result)) == [0, 10, 20]
    with pytest.raises(TooManyFailures):
        await mapped(fail, on_error=Tolerate(count=2)).run({"xs": list(range(30))})


async def test_what_a_process_cannot_import_is_told():
    module = type(sys)("not_on_any_path")
    exec("def there(x):\n    return {'y': x}\n", module.__dict__)
    sys.modules["not_on_any_path"] = module
    try:
        engine = mapped(module.there), node(module.there)
        for one, inputs in zip(engine, ({"xs": [1]}, {"x": 1}), strict=True):
            with pytest.raises(TransportError, match=r"cannot be loaded in a worker process: ModuleNotFoundError"):
                await one.run(inputs)
    finally:
        del sys.modules["not_on_any_path"]


# --- dying ------------------------------------------------------------------------------------------------------
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


# --- ending -----------------------------------------------------------------------------------------------------
def blocker(path: str) -> Callable[..., Any]:
    """Says that it has begun, through a named pipe, and blocks for ever."""

    def block(x):
        if x == 0:
            return {"y": 0}
        with open(path, "w") as pipe:
            pipe.write("begun")
        while True:
            signal.pause()

    return block


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    return str(tmp_path / "pipe")


async def begun(path: str) -> None:
    """Wait until a blocker has begun."""

    def read():
        with open(path) as pipe:
            return pipe.read()

    assert await asyncio.to_thread(read) == "begun"


@pytest.mark.parametrize("engine", ["node", "map"])
async def test_a_cancelled_run_leaves_no_process(engine, pipe):
    await warm()
    gc.collect()
    before = descriptors()
    async with leak_check():
        if engine == "node":
            task = asyncio.ensure_future(node(blocker(pipe)).run({"x": 1}))
        else:
            task = asyncio.ensure_future(mapped(blocker(pipe)).run({"xs": [0, 0, 1, 0, 0]}))
        await begun(pipe)
        assert workers()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert workers() == []
    del task
    gc.collect()
    assert descriptors() == before


async def warm() -> None:
    """The first process of all starts loky's trackers, which stay."""
    await node(lambda x: {"y": x}).run({"x": 1})


@pytest.mark.parametrize("passes", [0, 1, 2, 3, 5, 20])
async def test_cancelled_at_any_moment_of_its_beginning(passes):
    """While it packs, waits for a process, or starts one."""
    for engine, inputs in ((mapped(lambda x: {"y": x}), {"xs": [1, 2, 3]}), (node(lambda x: {"y": x}), {"x": 1})):
        task = asyncio.ensure_future(engine.run(inputs))
        for _ in range(passes):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert workers() == []


@pytest.mark.nightly
@pytest.mark.parametrize("passes", [50, 200, 1_000, 2_000, 4_000, 8_000, 12_000, 16_000, 24_000, 32_000])
@pytest.mark.parametrize("killers", [False, True])
async def test_cancelled_at_any_moment_of_its_work(passes, killers):
    """Most moments lie while processes start; with killers, while they are started again."""

    def call(x):
        if killers and x % 10 == 3:
            os._exit(1)
        return {"y": sum(range(50_000))}

    task = asyncio.ensure_future(mapped(call).run({"xs": list(range(2_000))}))
    for _ in range(passes):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert workers() == []


async def test_left_at_an_item_it_leaves_no_process():
    async with mapped(lambda x: {"y": x}).stream({"xs": list(range(2000))}, items="each") as events:
        async for event in events:
            if isinstance(event, ItemFinished) and event.item == 100:
                break
    assert workers() == []


async def test_a_timeout_kills(pipe):
    block = blocker(pipe)
    for engine, inputs, options, error in (
        (node(block, timeout_s=0.05), {"x": 1}, {}, NodeTimeout),
        (mapped(block, timeout_s=0.5), {"xs": [1]}, {}, NodeTimeout),
        (mapped(block), {"xs": [1]}, {"timeout_s": 0.5}, RunTimeout),
    ):
        with pytest.raises(error):
            await engine.run(inputs, **options)
        assert workers() == []


async def test_an_item_that_takes_too_long_is_killed_alone():
    def call(x):
        while x == 5:
            signal.pause()
        return {"y": x}

    result = await mapped(call, item_timeout_s=0.1).run({"xs": list(range(12))})
    (error,) = failed(result).values()
    assert isinstance(error, NodeTimeout)
    assert error.hush.item == 5
    assert result["y"] == [None if x == 5 else x for x in range(12)]


async def test_a_failure_elsewhere_kills_what_is_at_work(pipe):
    with GraphNode(name="g") as graph:
        one = CodeNode("one", code_fn=blocker(pipe), inputs={"x": 1}, executor="process")

        async def fail():
            await begun(pipe)
            raise ArithmeticError

        two = CodeNode("two", code_fn=fail)
        START >> [one, two] >> END
    with pytest.raises(ArithmeticError):
        await Hush(graph).run()


def test_a_process_ends_when_its_parent_is_killed(pipe, tmp_path):
    """Though it is at work, and nobody is left to kill it."""
    import subprocess

    script = tmp_path / "script.py"
    script.write_text(f"""
import os
from hush.core import *

def block(x):
    with open({pipe!r}, "w") as pipe:
        pipe.write(str(os.getpid()))
    while True:
        pass

with GraphNode(name="g") as graph:  # without if __name__ == "__main__"
    one = CodeNode("one", code_fn=block, inputs={{"x": 1}}, executor="process")
    START >> one >> END
Hush(graph).run_sync()
""")
    parent = subprocess.Popen(
        [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    with open(pipe) as reader:
        pid = int(reader.read())
    ends = os.pidfd_open(pid)
    parent.kill()
    parent.wait()
    import select

    readable, _, _ = select.select([ends], [], [], 10)
    os.close(ends)
    assert readable


# --- what is checked --------------------------------------------------------------------------------------------
def test_what_cannot_go_to_a_process_is_found_before_anything_runs():
    lock = threading.Lock()

    def closes(x):
        with lock:
            return {"y": x}

    def has(x, lock=lock):
        return {"y": x}

    with GraphNode(name="g") as graph:
        one = CodeNode("one", code_fn=closes, inputs={"x": 1}, executor="process")
        two = CodeNode("two", code_fn=lambda x: {"y": x}, inputs={"x": lock}, executor="process")
        with MapNode("each", inputs={"x": Each([1])}, executor="process") as every:
            three = CodeNode("three", code_fn=has, inputs={"x": PARENT["x"]})
            START >> three >> END
        START >> [one, two, every] >> END
    problems = {problem.path: str(problem) for problem in graph.check()}
    assert "the variable 'lock' that it closes over (a lock)" in problems["g/one"]
    assert "its input 'x' (a lock)" in problems["g/two"]
    assert "three" in problems["g/each"]
    assert "the default of 'lock' (a lock)" in problems["g/each"]
    assert len(problems) == 3


def test_limits_in_the_body_of_a_process_map_are_refused():
    with GraphNode(name="g") as graph:
        with MapNode("each", inputs={"x": Each([1])}, executor="process") as every:
            one = CodeNode("one", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]}, limit="crm")
            START >> one >> END
        START >> every >> END
    assert any("cannot share one" in str(problem) for problem in graph.check())


def test_an_executor_that_is_nothing_for_a_map():
    with GraphNode(name="g") as graph:
        with MapNode("each", inputs={"x": Each([1])}, executor="thread") as every:
            one = CodeNode("one", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]})
            START >> one >> END
        START >> every >> END
    assert any("executor='thread'" in str(problem) for problem in graph.check())


def test_the_default_number_of_processes_is_that_of_processors():
    import loky

    with GraphNode(name="g") as graph:
        with MapNode("each", inputs={"x": Each([1])}, executor="process") as every:
            one = CodeNode("one", code_fn=lambda x: {"y": x}, inputs={"x": PARENT["x"]})
            START >> one >> END
        START >> every >> END
    assert f"{loky.cpu_count()} at a time" in graph.to_text() or loky.cpu_count() == 1

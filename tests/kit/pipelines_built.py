"""Pipelines of `kit.pipelines` as graphs that note what they do, and what is wrong with a run of one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, Tolerate, WhileLoopNode
from hush.testing import run_virtual
from kit.faults import Boom, Failure, differences, label, members
from kit.pipelines import COLUMNS, Expected, Feed, Pipeline, Stage, call, interpret, name_of, total
from kit.values import mix


@dataclass
class Play:
    """What bodies and sources did in one run, and the seed of their delays."""

    seed: int = 0
    calls: dict[str, Counter[int]] = field(default_factory=dict)
    pulled: Counter[str] = field(default_factory=Counter)
    begun: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)  # bounds that did not hold
    open: int = 0

    def reset(self, seed: int) -> None:
        """Forget all of it."""
        self.seed, self.open = seed, 0
        for each in (self.calls, self.pulled, self.begun, self.ended, self.broken):
            each.clear()

    def pull(self, source: str, stage: Stage, name: str, most: int | None) -> None:
        """Note it before it is handed out."""
        self.pulled[source] += 1
        unfinished = self.pulled[source] - self.ended[name] * (stage.batch or 1)
        if most is not None and unfinished > most:
            self.broken.append(f"{unfinished} of {source} are pulled and not finished, more than {most}")

    @contextmanager
    def item(self, name: str, stage: Stage, most: int, args: list[Any]) -> Iterator[None]:
        """One call of the body."""
        self.begun[name] += 1
        self.calls.setdefault(name, Counter())[mix(name, *args)] += 1
        if self.begun[name] - self.ended[name] > most:
            self.broken.append(f"{self.begun[name] - self.ended[name]} items of {name} at once, more than {most}")
        try:
            yield
        finally:
            self.ended[name] += 1


def build(pipeline: Pipeline, play: Play) -> GraphNode:
    """The graph; what `PARENT` takes is called like `a_y`."""
    keys = [f"{name_of(place)}_{column}" for place, column in pipeline.read]
    with GraphNode(name="g") as graph:
        if pipeline.place == "root":
            _maps(pipeline, play)
            return graph
        with _container(pipeline) as box:
            _maps(pipeline, play)
        for key in keys:
            box[key] >> PARENT[key]
        if pipeline.place == "handled":
            box["error"] >> PARENT["failure"]
    return graph


def _container(pipeline: Pipeline) -> Any:
    match pipeline.place:
        case "inner":
            return GraphNode(name="inner")
        case "handled":
            return GraphNode(name="inner", on_error="collect")
        case "map":
            return MapNode(name="outer", inputs={"n": Each([0, 1])}, max_concurrency=2, on_error="raise")
    return WhileLoopNode(name="loop", inputs={"n": 0}, max_iterations=2)


def _maps(pipeline: Pipeline, play: Play) -> None:
    maps: list[Any] = []
    readers: dict[int, Any] = {}
    at_once = 2 if pipeline.place == "map" else 1
    for place, stage in enumerate(pipeline.stages):
        for each in stage.wholes:
            if each not in readers:
                readers[each] = CodeNode(
                    name=f"total_{name_of(each)}",
                    code_fn=lambda ys: {"v": total(ys)},
                    inputs={"ys": maps[each]["y"]},
                )
        name = name_of(place)
        inputs = {
            f"p{number}": Each(_source(play, maps, stage, feed, f"{name}{number}", at_once))
            for number, feed in enumerate(stage.feeds)
        }
        inputs |= {f"w{each}": readers[each]["v"] for each in stage.wholes}
        with MapNode(name=name, inputs=inputs, **_options(stage)) as over:
            _body(name, stage, play, list(inputs), at_once)
        for each in stage.after:
            maps[each] >> over
        maps.append(over)
    for place, column in pipeline.read:
        maps[place][column] >> PARENT[f"{name_of(place)}_{column}"]


def _options(stage: Stage) -> dict[str, Any]:
    """What differs from the usual, so that a pipeline says what is special about it."""
    tolerated = Tolerate(count=stage.on_error) if isinstance(stage.on_error, int) else stage.on_error
    options = {"max_concurrency": stage.concurrency, "on_error": tolerated, "batch": stage.batch, "first": stage.first}
    if not stage.ordered:
        options["ordered"] = False
    if stage.window is not None:
        options["window"] = stage.window
    return options


def _source(play: Play, maps: list[Any], stage: Stage, feed: Feed, called: str, at_once: int) -> Any:
    if feed.stage is not None:
        column = maps[feed.stage][feed.column]
        return column if feed.bare else column.apply(list)
    if feed.kind == "literal":
        return list(range(feed.count))
    # Only where every item is one of its own sources' does a body's end say that an item has finished.
    is_first = all(each.stage is None for each in stage.feeds)
    most = stage.most_unfinished * (stage.batch or 1) * at_once if is_first else None
    name = called[0]

    def lines() -> Iterator[int]:
        play.open += 1
        try:
            for number in range(feed.count):
                play.pull(called, stage, name, most)
                yield number
        finally:
            play.open -= 1

    async def rows() -> AsyncIterator[int]:
        play.open += 1
        try:
            for number in range(feed.count):
                if mix(play.seed, called, number) % 3 == 0:
                    await asyncio.sleep(mix(called, number, play.seed) % 4)
                play.pull(called, stage, name, most)
                yield number
        finally:
            try:
                await asyncio.sleep(0)
            finally:
                play.open -= 1

    make = {"range": lambda: range(feed.count), "list": lambda: [*range(feed.count)]}
    make |= {"generator": lines, "async": rows}
    return CodeNode(name=f"make_{called}", code_fn=lambda: {"rows": make[feed.kind]()}, inputs={})["rows"]


def _body(name: str, stage: Stage, play: Play, params: list[str], at_once: int) -> None:
    most = min(stage.concurrency, stage.most_unfinished) * at_once
    outputs = {key: PARENT for key in COLUMNS if key != "error" or stage.flags}

    def give(args: list[Any]) -> dict[str, Any]:
        item = call(name, stage, args)
        if isinstance(item.error, Failure):
            raise Boom(next(iter(item.error.labels)))
        return {"y": item.y, "z": item.z, **({"error": item.error} if stage.flags else {})}

    def at_once_(**given: Any) -> dict[str, Any]:
        args = [given[key] for key in params]
        with play.item(name, stage, most, args):
            return give(args)

    async def later(**given: Any) -> dict[str, Any]:
        args = [given[key] for key in params]
        with play.item(name, stage, most, args):
            await asyncio.sleep(mix(play.seed, name, *args) % (stage.slow + 1))
            return give(args)

    inputs = {key: PARENT[key] for key in params}
    if stage.body == "two":
        before = CodeNode(name=f"{name}_before", code_fn=lambda **given: {"given": given}, inputs=inputs)
        CodeNode(
            name=f"{name}_body",
            code_fn=(lambda given: later(**given)) if stage.slow else (lambda given: at_once_(**given)),
            inputs={"given": before["given"]},
            outputs=outputs,
        )
    else:
        fn = later if stage.body == "async" else at_once_
        CodeNode(name=f"{name}_body", code_fn=fn, inputs=inputs, outputs=outputs)


# ── Held against the reference ───────────────────────────────────────────────────────────────────────────────────────


def complaints(pipeline: Pipeline, engine: Hush, play: Play, seed: int) -> list[str]:
    """Run it once with these delays and this order of turns: what is wrong with that."""
    play.reset(seed)
    expected = interpret(pipeline)
    error, result = None, None
    try:
        result = run_virtual(engine.run, seed=seed)
    except AssertionError as wrong:  # it hangs, or leaves something behind
        return [f"{type(wrong).__name__}: {wrong}"]
    except Exception as raised:
        error = raised
    found = list(play.broken)
    if play.open:
        found.append(f"{play.open} sources are open")
    if pipeline.place == "handled" and result is not None:
        error = result["failure"]
    found += _calls(pipeline, expected, play, failed=error is not None)
    if error is not None:
        strange = {label(each) for each in members(error)} - expected.failures
        return [*found, f"it raised {error!r}: {sorted(strange)}"] if strange else found
    if expected.failures:
        return [*found, f"it did not raise one of {sorted(expected.failures)}"]
    return [*found, *_values(pipeline, expected, result)]


def _calls(pipeline: Pipeline, expected: Expected, play: Play, *, failed: bool) -> Iterator[str]:
    for place, calls in enumerate(expected.calls):
        wanted = Counter({key: count * pipeline.rounds for key, count in calls.items()})
        had = play.calls.get(name_of(place), Counter())
        if (not had <= wanted) if failed else had != wanted:
            yield f"{name_of(place)} was called with {had}, not {wanted}"


def _values(pipeline: Pipeline, expected: Expected, result: Any) -> Iterator[str]:
    tainted = pipeline.tainted()
    for turn in range(pipeline.rounds if pipeline.place == "map" else 1):
        given = {key: result[key][turn] for key in result} if pipeline.place == "map" else result
        for place, column in pipeline.read:
            name = name_of(place)
            if not tainted[place] or column == "iteration_metrics":
                yield from differences(given[f"{name}_{column}"], expected.columns[place][column], f"{name}_{column}")
        for place, is_tainted in enumerate(tainted):
            if is_tainted and (place, "error") in pipeline.read:
                columns = [given[f"{name_of(place)}_{column}"] for column in COLUMNS]
                had = sorted(_plain_row(row) for row in zip(*columns, strict=True))
                wanted = sorted(
                    _plain_row(row)
                    for row in zip(*(expected.columns[place][column] for column in COLUMNS), strict=True)
                )
                if had != wanted:
                    yield f"the items of {name_of(place)}, in any order, are {had}, not {wanted}"
    # Of more it keeps the first hundred of each map. One that a body reports, each map tells anew that it travels to.
    raised, told = expected.raised * pipeline.rounds, sum(isinstance(error, Boom) for error in result.errors)
    if raised <= 100 and told != raised:
        yield f"{told} failures are told, not {raised}"
    if result.status != ("partial" if expected.failed else "ok"):
        yield f"the status is {result.status}"


def _plain_row(row: tuple[Any, ...]) -> str:
    *values, error = row
    if isinstance(error, BaseException):
        error = label(error)
    elif isinstance(error, Failure):
        error = "|".join(sorted(error.labels))
    return repr((*values, error))

"""Pipelines drawn at random: mostly maps in a row, now and then zipped, woven, or waiting for one another's ends."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import strategies as st

from kit.chance import Chance, seeded
from kit.pipelines import COLUMNS, Feed, Pipeline, Stage, interpret

TAKEN = [("y",), ("y",), ("y",), ("y", "z"), ("y", "error"), ("z", "error"), ("error",), ("z", "y", "error")]


class _Drawing(Chance):
    """The stages so far."""

    def __init__(self, random: Random, most: int) -> None:
        super().__init__(random)
        self.most = most
        self.stages: list[Stage] = []
        self.woven = self.one_in(4)  # whether maps read more than the one before them

    def source(self, count: int) -> Feed:
        return Feed(kind=self.pick(["list", "literal", "range", "generator", "async", "async"]), count=count)

    def add(self) -> None:
        place = len(self.stages)
        so_far = Pipeline(tuple(self.stages), ())
        tainted = so_far.tainted()
        if not place or (self.woven and self.one_in(5)):
            before = None
            count = self.up_to(70) if self.one_in(5) else self.up_to(self.most)
            feeds = [self.source(count) for _ in range(2 if self.one_in(6) else 1)]
        else:
            before = self.up_to(place - 1) if self.woven and self.one_in(3) else place - 1
            taken = self.pick(TAKEN)
            feeds = [Feed(before, column) for column in taken]
            if taken == ("y",) and self.one_in(10):
                feeds = [replace(feeds[0], bare=False)]
            if not tainted[before]:
                feeds += self._zipped(so_far, tainted, before)
        is_free = before is None or not tainted[before]
        ordered = before is None or not is_free or len(feeds) > len(COLUMNS) or not self.one_in(4)
        if not ordered and any(feed.stage != before for feed in feeds):
            ordered = True
        self.stages.append(self._stage(tuple(feeds), place, may_cut=is_free and ordered, ordered=ordered))

    def _zipped(self, so_far: Pipeline, tainted: list[bool], before: int) -> list[Feed]:
        if not self.one_in(6):
            return []
        columns = interpret(so_far).columns
        length = len(columns[before]["y"])
        others = [
            each
            for each, column in enumerate(columns)
            if each != before and not tainted[each] and len(column["y"]) == length
        ]
        if others and self.one_in(2):
            return [Feed(self.pick(others), self.pick(["y", "error"]))]
        return [self.source(length + (1 if self.one_in(12) else 0))]

    def _stage(self, feeds: tuple[Feed, ...], place: int, *, may_cut: bool, ordered: bool) -> Stage:
        on_error: str | int = "collect"
        if self.one_in(10):
            on_error = "raise" if self.one_in(2) else self.up_to(4)
        body = self.pick(["def", "async", "async", "two"])
        return Stage(
            feeds,
            body=body,
            fails=self.pick([0, 0, 7, 4, 2]),
            flags=self.one_in(6),
            slow=0 if body == "def" else self.up_to(6),
            batch=1 + self.up_to(4) if may_cut and self.one_in(4) else None,
            first=1 + self.up_to(8) if may_cut and self.one_in(8) else None,
            ordered=ordered,
            window=1 + self.up_to(4) if self.one_in(2) else None,
            concurrency=1 + self.up_to(3),
            on_error=on_error,
            wholes=(self.up_to(place - 1),) if place and self.one_in(4 if self.woven else 10) else (),
            after=(self.up_to(place - 1),) if place and self.one_in(12) else (),
        )

    def read(self) -> tuple[tuple[int, str], ...]:
        """Columns that PARENT takes: of maps whose order is free all or none."""
        found: list[tuple[int, str]] = []
        last = len(self.stages) - 1
        for place, is_tainted in enumerate(Pipeline(tuple(self.stages), ()).tainted()):
            if place == last or self.one_in(3):
                columns = COLUMNS if is_tainted else self.pick([("y", "error"), ("y", "error"), COLUMNS])
                if place != last and not is_tainted and self.one_in(2):
                    columns = (self.pick(COLUMNS),)
                found += [(place, column) for column in columns]
            if self.one_in(6):
                found.append((place, "iteration_metrics"))
        return tuple(found)


def pipelines(most: int = 12, stages: int = 5) -> st.SearchStrategy[Pipeline]:
    """Of 2 to so many maps, over up to so many items, now and then 70."""
    return seeded(lambda random: _pipeline(random, most, stages))


def _pipeline(random: Random, most: int, stages: int) -> Pipeline:
    drawing = _Drawing(random, most)
    for _ in range(2 + drawing.up_to(stages - 2)):
        drawing.add()
    place = drawing.pick(["root", "root", "root", "inner", "handled", "map", "loop"])
    return Pipeline(tuple(drawing.stages), drawing.read(), place)

"""A failing pipeline made smaller, step by step, as long as it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace

from kit.pipelines import Feed, Pipeline, Stage


def smaller(pipeline: Pipeline, fails: Callable[[Pipeline], bool], tries: int = 150) -> Pipeline:
    """The smallest that was found in so many tries."""
    for _ in range(tries):
        for less in _less(pipeline):
            tries -= 1
            if tries < 0:
                return pipeline
            if fails(less):
                pipeline = less
                break
        else:
            return pipeline
    return pipeline


def _less(pipeline: Pipeline) -> Iterator[Pipeline]:
    """All that are smaller by one step, the largest step first."""
    stages, read = pipeline.stages, pipeline.read
    last = len(stages) - 1
    if last:
        yield replace(pipeline, stages=stages[:last], read=tuple(each for each in read if each[0] != last))
    if pipeline.place != "root":
        yield replace(pipeline, place="root")
    for place, stage in enumerate(stages):
        for less in _less_of_stage(stage, usual=Stage(stage.feeds)):
            yield replace(pipeline, stages=(*stages[:place], less, *stages[place + 1 :]))
    for place, _ in enumerate(read):
        yield replace(pipeline, read=(*read[:place], *read[place + 1 :]))


def _less_of_stage(stage: Stage, usual: Stage) -> Iterator[Stage]:
    for each in fields(stage):
        if getattr(stage, each.name) != getattr(usual, each.name):
            yield replace(stage, **{each.name: getattr(usual, each.name)})
    feeds = stage.feeds
    for place, feed in enumerate(feeds):
        if len(feeds) > 1:
            yield replace(stage, feeds=(*feeds[:place], *feeds[place + 1 :]))
        for less in _less_of_feed(feed):
            yield replace(stage, feeds=(*feeds[:place], less, *feeds[place + 1 :]))


def _less_of_feed(feed: Feed) -> Iterator[Feed]:
    if feed.count:
        yield replace(feed, count=feed.count // 2)
        yield replace(feed, count=feed.count - 1)
    if feed.kind != "list":
        yield replace(feed, kind="list")

"""What tests of the sources of maps share: sources of every kind, some that break, and maps over one or two."""

from __future__ import annotations

import asyncio
import collections
import itertools

from hush.core import PARENT, CodeNode, Each, GraphNode, MapNode


def double(x):
    return {"y": x * 2}


async def double_later(x):
    await asyncio.sleep(0.003 / (1 + x))
    return {"y": x * 2}


def mapped(source=PARENT["rows"], fn=double, **options):
    """A graph of one map over the source; `ys` is its column."""
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"x": Each(source)}, **options) as each:
            CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        each["y"] >> PARENT["ys"]
    return graph


def zipped(fn=lambda a, b: {"y": (a, b)}, **options):
    """A graph of one map over two sources at once."""
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"a": Each(PARENT["a"]), "b": Each(PARENT["b"])}, **options) as each:
            CodeNode(name="n", code_fn=fn, inputs={"a": PARENT["a"], "b": PARENT["b"]}, outputs={"y": PARENT["y"]})
        each["y"] >> PARENT["ys"]
    return graph


async def arange(count):
    for number in range(count):
        await asyncio.sleep(0.001)
        yield number


class Rows:
    """An iterable that can be gone through as often as one likes."""

    def __init__(self, count):
        self.count = count

    def __iter__(self):
        return iter(range(self.count))


class AsyncRows(Rows):
    __iter__ = None

    def __aiter__(self):
        return arange(self.count)


class OldRows:
    """An iterable of the old kind, with `__getitem__` alone."""

    def __getitem__(self, index):
        if index >= 5:
            raise IndexError
        return index


SOURCES = {
    "list": lambda: [0, 1, 2, 3, 4],
    "tuple": lambda: (0, 1, 2, 3, 4),
    "range": lambda: range(5),
    "generator": lambda: (number for number in range(5)),
    "map": lambda: map(int, "01234"),
    "iterator": lambda: iter([0, 1, 2, 3, 4]),
    "deque": lambda: collections.deque(range(5)),
    "iterable": lambda: Rows(5),
    "async iterable": lambda: AsyncRows(5),
    "async generator": lambda: arange(5),
    "old iterable": OldRows,
    "endless and cut": lambda: itertools.islice(itertools.count(), 5),
    "dict values": {"a": 0, "b": 1, "c": 2, "d": 3, "e": 4}.values,
}


def breaks_after(count, error):
    yield from range(count)
    raise error


async def breaks_after_async(count, error):
    for number in range(count):
        await asyncio.sleep(0.001)
        yield number
    raise error

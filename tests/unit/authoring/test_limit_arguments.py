"""What somebody writes who takes a limit for something else is told what to write instead."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hush.core import PARENT, CodeNode, Each, Limit, MapNode


@pytest.mark.parametrize("kind", [asyncio.Semaphore, asyncio.BoundedSemaphore, threading.Semaphore])
def test_a_semaphore_is_no_limit_and_its_number_is_told(kind):
    with pytest.raises(TypeError, match=r"In place of a semaphore write limit=Limit\(concurrency=3\)\."):
        CodeNode(name="n", code_fn=dict, limit=kind(3))


def test_a_number_is_no_limit():
    with pytest.raises(TypeError, match=r"Write limit=Limit\(concurrency=3\)\."):
        CodeNode(name="n", code_fn=dict, limit=3)


@pytest.mark.parametrize(
    ("given", "mend"),
    [("auto", r"limit=Limit\(concurrency='auto'\)"), (Limit(per_second=5), r"limit=Limit\(per_second=5\)")],
)
def test_a_map_says_where_its_limit_belongs(given, mend):
    with pytest.raises(TypeError, match=mend):
        MapNode(name="m", inputs={"x": Each(PARENT["xs"])}, max_concurrency=given)

"""The guide that users read, as tests run it: its blocks, what each leaves to its reader, and how one is played.

It lies beside the project, in `../shared`. Imports of earlier blocks count in later ones.
"""

from __future__ import annotations

import ast
import gc
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from docs.printed import ROOT, Block, blocks_of
from hush.core import GraphNode, Hush

GUIDE = ROOT.parent / "shared" / "guide" / "parallel-execution.vi.md"

Play = Callable[..., Awaitable[dict[str, Any]]]
RunIt = Callable[..., Awaitable[dict[str, Any]]]


def require(path: Path) -> None:
    """Skip the test that asks if the guide is not there; fail it where tests must not be skipped."""
    if not path.is_file():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"the guide is not there: {path}")


def carried_into(blocks: list[Block], block: Block) -> list[ast.Import | ast.ImportFrom]:
    """The imports at the top of the block and of those before it."""
    earlier = blocks[: blocks.index(block)]
    return [line for each in (*earlier, block) if not each.is_fragment() for line in each.imports()]


def left_to_the_reader(blocks: list[Block], block: Block) -> set[str]:
    """The names that neither it nor an earlier block gives."""
    lines = carried_into(blocks, block)
    return block.names() - {alias.asname or alias.name.partition(".")[0] for line in lines for alias in line.names}


@pytest.fixture
def guide() -> list[Block]:
    require(GUIDE)
    return blocks_of(GUIDE)


@pytest.fixture
def play(guide: list[Block]) -> Play:
    """Run the block under a heading, with the reader's own names, and give what it leaves in its namespace."""

    async def play(heading: str, **given: Any) -> dict[str, Any]:
        [block] = [each for each in guide if each.heading == heading]
        # `auto` remembers functions by their code, and that of the block in an earlier test is equal to this one's: a
        # function that was cheap there would run inline here, even where it waits for others.
        gc.collect()
        imports = ast.Module([*carried_into(guide, block)], [])
        namespace: dict[str, Any] = {"__name__": "guide"}
        exec(compile(imports, str(block.path), "exec"), namespace)
        namespace |= given
        await block.run(namespace)
        return namespace

    return play


@pytest.fixture(params=["run", "run_sync"])
def run_it(request: pytest.FixtureRequest) -> RunIt:
    """Both ways to run a graph."""

    async def run_it(graph: GraphNode, resources: Any = None, **inputs: Any) -> dict[str, Any]:
        engine = Hush(graph, resources=resources)
        if request.param == "run":
            return await engine.run(inputs=inputs)
        return engine.run_sync(inputs=inputs)

    return run_it

"""A corpus of graphs: small functions with one planted mistake each, and right ones that must raise no alarm.

A mistake stands on the line marked with `# <-`; where two lines are at fault, either may be named.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from hush.core import GraphError, GraphNode, Hush

Build = Callable[[], GraphNode]


def places(build: Callable[..., Any]) -> set[tuple[str, int]]:
    """The file and lines that a complaint about `build` may name."""
    lines, first = inspect.getsourcelines(build)
    return {(inspect.getfile(build), first + n) for n, line in enumerate(lines) if "# <-" in line}


@dataclass(frozen=True)
class Mistake:
    """A graph that cannot work.

    Attributes:
        paths: The path that the problem must name; one of them, where node and graph are equally at fault.
        says: What must be in the message or the mend, whatever their words.
        mend: What must be in the mend: the line to write, where there is one.
        mended: The arguments with which `build` writes what the mend says, where that can be tried.
    """

    build: Callable[..., GraphNode]
    paths: tuple[str, ...]
    says: tuple[str, ...]
    mend: tuple[str, ...]
    mended: Mapping[str, Any]

    def __str__(self) -> str:
        return self.build.__name__

    def must_be_found(self) -> None:
        """By the check and by `Hush`, as one problem and no other, before anything is called."""
        graph = self.build()
        listed = graph.check()
        with pytest.raises(GraphError) as caught:
            Hush(graph)
        assert list(caught.value.problems) == listed
        assert len(listed) == 1, "\n".join(map(str, listed))
        (problem,) = listed
        assert problem.path in self.paths, str(problem)
        assert (problem.file, problem.line) in places(self.build), str(problem)
        for part in self.says:
            assert part in f"{problem.message} {problem.mend}", f"no {part!r} in: {problem}"
        assert problem.mend, f"no mend in: {problem}"
        for part in self.mend:
            assert part in problem.mend, f"no {part!r} in the mend of: {problem}"
        assert str(problem) in str(caught.value)
        if self.mended:
            left = self.build(**self.mended).check()
            assert left == [], "the mend did not help:\n" + "\n".join(map(str, left))


class Mistakes(list[Mistake]):
    """The mistakes of one file."""

    def plant(
        self, *paths: str, says: tuple[str, ...] = (), mend: tuple[str, ...] = (), **mended: Any
    ) -> Callable[[Callable[..., GraphNode]], Callable[..., GraphNode]]:
        """Take a graph with a mistake into the corpus; `mended` has arguments that mend it as the mend says."""

        def keep(build: Callable[..., GraphNode]) -> Callable[..., GraphNode]:
            self.append(Mistake(build, paths, says, mend, mended))
            return build

        return keep


@dataclass(frozen=True)
class Slip:
    """A line that cannot work, whatever the rest of the graph is."""

    write: Callable[[], object]
    says: tuple[str, ...]

    def __str__(self) -> str:
        return self.write.__name__

    def must_raise_at_its_line(self) -> None:
        """As a TypeError, so that type checkers and Python's own errors are matched by one `except`."""
        with pytest.raises(TypeError) as caught:
            self.write()
        frames = {(frame.filename, frame.lineno) for frame in traceback.extract_tb(caught.value.__traceback__)}
        assert frames & places(self.write), f"raised elsewhere: {frames}"
        for part in self.says:
            assert part in str(caught.value), f"no {part!r} in: {caught.value}"


class Slips(list[Slip]):
    """The slips of one file."""

    def plant(self, *says: str) -> Callable[[Callable[[], object]], Callable[[], object]]:
        """Take a line that cannot work into the corpus."""

        def keep(write: Callable[[], object]) -> Callable[[], object]:
            self.append(Slip(write, says))
            return write

        return keep


@dataclass(frozen=True)
class Right:
    """A graph that works, and what it gives."""

    build: Build
    inputs: Mapping[str, Any]
    gives: Mapping[str, Any]

    def __str__(self) -> str:
        return self.build.__name__

    def must_pass_and_run(self) -> None:
        """No alarm, and the right result: what a check lets through must be what runs."""
        graph = self.build()
        assert graph.check() == [], "\n".join(map(str, graph.check()))
        result = dict(Hush(graph).run_sync(self.inputs))
        assert result == self.gives, result


class RightGraphs(list[Right]):
    """The right graphs of one file."""

    def keep(self, gives: Mapping[str, Any], /, **inputs: Any) -> Callable[[Build], Build]:
        """Take a graph into the corpus that gives `gives` for `inputs`."""

        def keep(build: Build) -> Build:
            self.append(Right(build, inputs, gives))
            return build

        return keep

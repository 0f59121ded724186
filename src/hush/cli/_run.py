"""``hush run``: run a graph, once or for each line of a file, and print what it gave as JSON."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, validators

from hush.cli._exit import Code, Stop, say, usage
from hush.cli._failures import as_data, failure_text, failures_text, info_of
from hush.cli._inputs import Inputs, Line, inputs_of, pairs_of
from hush.cli._lines import LineReport
from hush.cli._options import Resources, Target
from hush.cli._recording import Recording
from hush.cli._results import Results, results_only
from hush.cli._safe import safe

if TYPE_CHECKING:
    from hush.core import Hush

_FLUSH_S = 5.0


def run(
    target: Target,
    /,
    *,
    input_: Annotated[
        tuple[str, ...],
        Parameter(
            name=("--input", "-i"),
            negative=(),
            metavar="K=V",
            help="One input; the value is JSON if it can be read as JSON, else text. Any number of times. It goes "
            "before what --inputs says.",
        ),
    ] = (),
    inputs: Annotated[
        Path | None,
        Parameter(
            metavar="FILE",
            allow_leading_hyphen=True,  # "-"
            help="A file of inputs: .json, an object of JSON, for one run; .jsonl, one a line, for a run each. `-` is "
            "standard input, either of the two.",
        ),
    ] = None,
    resources: Resources = None,
    timeout: Annotated[
        float | None, Parameter(metavar="S", validator=validators.Number(gt=0), help="Seconds a run may take.")
    ] = None,
    trace: Annotated[
        bool, Parameter(negative=(), help="Record the run where `hush show` and `hush traces` look.")
    ] = False,
    trace_to: Annotated[Path | None, Parameter(metavar="FILE", help="Record the run in that file.")] = None,
    progress: Annotated[bool, Parameter(negative=(), help="Show bars on standard error, if it is a terminal.")] = False,
    request_id: Annotated[
        str | None, Parameter(metavar="ID", help="The run's id; of several runs, ID-1, ID-2 and so on.")
    ] = None,
    traceback: Annotated[
        bool, Parameter(negative=(), help="Show tracebacks as they are, with the frames of Hush.")
    ] = False,
) -> int:
    """Run a graph and print what it gave as JSON.

    Only results go to standard output: what the graph's own functions print goes to standard error, so
    `hush run graph.py | jq` works. Of a file with one run a line (.jsonl), each run gives one line of JSON, in that
    order; one that fails gives `{"$error": ...}`, and the others go on.
    What JSON cannot hold stands as its repr, and standard error says so. Ctrl-C and SIGTERM end the run within
    two seconds, with its trace closed; a second one ends it at once.
    """
    from hush.cli._loading import engine_of, load

    with results_only() as results, inputs_of(None if inputs is None else str(inputs), pairs_of(input_)) as given:
        engine = engine_of(load(str(target)), resources)
        recording, tracers = _tracers(trace or trace_to is not None, trace_to, progress)
        return _ended(_Job(engine, results, tracers, recording, timeout, request_id, traceback), given)


def _tracers(trace: bool, trace_to: Path | None, progress: bool) -> tuple[Recording | None, list[Any]]:
    from hush.core import UsageError

    tracers: list[Any] = []
    recording: Recording | None = None
    try:
        if trace:
            recording = Recording(None if trace_to is None else str(trace_to))
            tracers.append(recording)
        if progress:
            from rich.console import Console

            from hush.observability import ConsoleProgress

            tracers.append(ConsoleProgress(Console(stderr=True)))
    except (ImportError, UsageError) as error:
        raise usage(str(error)) from error
    return recording, tracers


@dataclass
class _Job:
    """What is to be done, whatever the inputs."""

    engine: Hush
    results: Results
    tracers: list[Any]
    recording: Recording | None
    timeout_s: float | None
    request_id: str | None
    whole: bool

    async def once(self, inputs: dict[str, Any]) -> Code:
        """One run, whose result is a document."""
        code, made, error = await self._tried(inputs, self.request_id, "", partial(failure_text, whole=self.whole))
        if error is None:
            self.results.json(made)
        return code

    async def each(self, given: Inputs) -> Code:
        """A run for each line, one after the other, whose result is a line."""
        report = LineReport(whole=self.whole)
        try:
            await self._each(given, report)
        finally:
            if summary := report.summary():
                say(summary)
        return report.code()

    async def _each(self, given: Inputs, report: LineReport) -> None:
        ids = count(1)
        assert given.lines is not None
        while (line := await _next(given.lines, waits=given.waits)) is not None:
            number = next(ids)
            name = None if self.request_id is None else f"{self.request_id}-{number}"
            if line.wrong:
                say(safe(f"hush: {line.wrong}", lines=True))
                report.add(Code.USAGE)
                self.results.json({"$error": {"type": "InputError", "message": line.wrong}}, compact=True)
                continue
            code, made, error = await self._tried(
                line.inputs, name, f"line {line.number}: ", partial(report.failed, line.number)
            )
            report.add(code)
            self.results.json(made if error is None else {"$error": as_data(error)}, compact=True)

    async def _tried(
        self, inputs: dict[str, Any], request_id: str | None, which: str, tell: Callable[[BaseException], str]
    ) -> tuple[Code, Any, BaseException | None]:
        from hush.cli._values import Unheld, plain
        from hush.core import InputError, RunTimeout

        task = asyncio.current_task()
        assert task is not None
        if self.recording is not None:
            request_id = self.recording.begin(request_id)
        try:
            result = await self.engine.run(
                inputs, tracer=self.tracers or None, request_id=request_id, timeout_s=self.timeout_s
            )
        except BaseException as error:  # whatever a function raises, SystemExit too, is the run's failure
            if task.cancelling():
                raise
            if isinstance(error, InputError) and info_of(error) is None:
                say(safe(f"hush: {which}{error}", lines=True))
                return Code.USAGE, None, error
            say(which + tell(error))
            # Another graph's run, in a function, may have taken too long as well.
            info = info_of(error)
            late = isinstance(error, RunTimeout) and info is not None and info.path == self.engine.name
            return (Code.TIMEOUT if late else Code.FAILED), None, error
        finally:
            if self.recording is not None:
                self.recording.end()
        unheld = Unheld()
        made = plain(dict(result), unheld)
        if unheld.count:
            say(f"hush: {which}{unheld}")
        if result.status == "partial":
            say(which + failures_text(result.errors, result.errors.total))
            return Code.PARTIAL, made, None
        return Code.OK, made, None


async def _next(lines: Iterator[Line], *, waits: bool) -> Line | None:
    # Somebody may write them while they are read: the loop goes on meanwhile.
    return await asyncio.to_thread(next, lines, None) if waits else next(lines, None)


def _ended(job: _Job, given: Inputs) -> int:
    from hush.cli._signals import Told, until_told

    left_s = _FLUSH_S
    try:
        return until_told(
            lambda: job.once(given.one) if given.lines is None else job.each(given),
            lambda name: say(f"hush: {name}: cancelling; once more ends it at once"),
        )
    except Told as told:
        left_s = told.left_s
        code = Code(128 + told.number)
        if told.ended:
            raise Stop(code, f"hush: cancelled by {told}") from None
        if job.recording is not None:
            job.recording.close(job.engine.name, str(told))
            job.recording.flush(left_s)
        say(f"hush: cancelled by {told}, leaving behind what does not end")
        os._exit(code)  # what does not end would hold up a Python that ends as usual
    finally:
        if job.recording is not None:
            job.recording.flush(left_s)

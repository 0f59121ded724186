"""``hush show``: opens a run of the trace store and prints what there is to see of it, in one of three forms."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from time import time_ns
from typing import Annotated, Any, Literal, Protocol, TextIO, TypeAlias

from cyclopts import Parameter

from hush.cli._exit import Code, Stop, say, usage
from hush.cli._safe import is_unicode, safe, safe_json
from hush.cli._words import NARROWEST, WIDEST
from hush.core.errors import HushError
from hush.observability._span import RunRecord, Span

Format: TypeAlias = Literal["text", "json", "chrome"]
Traces: TypeAlias = Annotated[
    Path | None,  # shells complete it then
    Parameter(metavar="FILE", help="The file of traces. Without it: HUSH_TRACES_DB, else ~/.hush/traces.db."),
]
_WIDTH = 100
_AT_ONCE = 200  # lines


class Store(Protocol):
    """What ``hush.observability.TraceStore`` has of which this makes use."""

    def find(self, text: str) -> RunRecord:
        """The run that ``text`` names; raises a ``HushError`` that says which there are."""
        ...

    def spans(self, trace: str) -> Iterable[Span]:
        """Its spans."""
        ...


def show(
    *run: Annotated[
        str,
        Parameter(
            name="RUN",
            help='"last", which is meant if it is not given, "last failed", a request id, or how a trace id begins.',
        ),
    ],
    format_: Annotated[
        Format | None,
        Parameter(
            name=("--format", "-f"),
            help="For people, for programs, or for Perfetto and Chrome's viewer; text if it is not given, JSON if FILE "
            "ends with .json.",
        ),
    ] = None,
    json_: Annotated[bool, Parameter(name="--json", help="The same as --format json.")] = False,
    all_: Annotated[bool, Parameter(name=("--all", "-a"), help="Fold nothing; with JSON, all spans too.")] = False,
    output: Annotated[Path | None, Parameter(name=("--output", "-o"), metavar="FILE", help="Write it there.")] = None,
    width: Annotated[int | None, Parameter(metavar="COLUMNS", help="Instead of the terminal's.")] = None,
    traces: Traces = None,
) -> int:
    """Show one run: how it ended, what failed and why, where the time went, and its tree with a timeline."""
    if json_ and format_ not in (None, "json"):
        raise usage(f"--json and --format {format_}: these are two forms; leave one of them out")
    if width is not None and not NARROWEST <= width <= WIDEST:
        raise usage(f"--width {width}: it is a number of columns, {NARROWEST} to {WIDEST:,}")
    into_json = format_ is None and output is not None and output.name.lower().endswith(".json")
    form: Format = "json" if json_ or into_json else format_ or "text"
    with told():
        text = " ".join(run) if run else "last"  # `last failed` need not be quoted
        path = None if output is None else str(output)
        shown(store_at(traces), text, form=form, everything=all_, output=path, width=width)
    return Code.OK


@contextmanager
def told() -> Generator[None]:
    """What is wrong with the file of traces, or with what was asked of it, ends the command with its message."""
    try:
        yield
    except HushError as error:
        raise usage(str(error)) from error


def store_at(path: Path | None) -> Any:
    """The trace store in a file, or in the usual one."""
    from hush import observability

    return observability.TraceStore(path)


def shown(
    store: Store,
    run: str = "last",
    *,
    form: Format = "text",
    everything: bool = False,
    output: str | None = None,
    width: int | None = None,
    file: TextIO | None = None,
) -> None:
    """Write what there is to see of one run of ``store`` to ``output``, a path, else to ``file`` or standard output.

    Raises:
        HushError: There is no such run.
        Stop: ``output`` cannot be written.
    """
    with _no_collecting():
        _shown(store, run, form, everything=everything, output=output, width=width, file=file)


@contextmanager
def _no_collecting() -> Generator[None]:
    """A hundred thousand records have no rings in them; to look for some takes a third of all the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _shown(
    store: Store,
    run: str,
    form: Format,
    *,
    everything: bool,
    output: str | None,
    width: int | None,
    file: TextIO | None,
) -> None:
    record = store.find(run)
    spans = list(store.spans(record.trace))
    if output is None:
        _write(record, spans, file or sys.stdout, form, everything=everything, width=width)
        return
    try:
        with open(output, "w", encoding="utf-8") as target:
            _write(record, spans, target, form, everything=everything, width=width)
    except OSError as error:
        raise Stop(Code.USAGE, safe(f"hush: --output {output}: {error.strerror}")) from error
    say(f"hush: written to {safe(output)}")


def _write(
    run: RunRecord, spans: list[Span], file: TextIO, form: Format, *, everything: bool, width: int | None
) -> None:
    now_ns = time_ns() if run.status == "running" else None
    if form == "chrome":
        from hush.observability._chrome import write_chrome

        write_chrome(run, spans, file, until_ns=now_ns)
        return
    from hush.observability._report import report
    from hush.observability._source import SourceLines

    found = report(run, spans, now_ns=now_ns)
    lines = SourceLines(run.started_ns)
    if form == "json":
        from hush.observability._report_json import report_json

        document = report_json(found, spans=spans if everything else None, lines=lines)
        file.write(safe_json(json.dumps(document, indent=2, ensure_ascii=not is_unicode(file), default=str)))
        file.write("\n")
        return
    from hush.cli._show_text import closing, screen
    from hush.cli._timeline import ASCII, UNICODE

    with Pages(file, width) as pages:
        glyphs = UNICODE if pages.is_unicode else ASCII
        for text in screen(found, spans, width=pages.width, glyphs=glyphs, lines=lines, everything=everything):
            pages.line(text)
        if pages.has_scrolled:
            for text in closing(found, glyphs, pages.width):
                pages.line(text)


class Pages:
    """Lines of styled text on their way to a file: with colours on a terminal, and not with ``NO_COLOR``.

    The file is written to directly, because rich ends the process when whoever reads has gone.

    Attributes:
        width: How many columns there are: as given, the terminal's, those of ``COLUMNS``, or 100.
        is_unicode: Whether all characters can be written.
    """

    def __init__(self, file: TextIO, width: int | None) -> None:
        from io import StringIO

        from rich.console import Console

        self._file = file
        self._encoding = getattr(file, "encoding", None) or "utf-8"
        self.is_unicode = is_unicode(file)
        there = Console(file=file)
        is_said = there.is_terminal or os.environ.get("COLUMNS", "").isdigit()  # which rich heeds in both cases
        self.width = width or (there.width if is_said else _WIDTH)
        self._height = there.height if there.is_terminal else None
        colors = None if there.legacy_windows else there.color_system
        self._buffer = StringIO()
        self._console = Console(
            file=self._buffer,
            width=self.width,
            color_system=colors,  # type: ignore[arg-type]  # rich does not say that it is one of those it takes
            force_terminal=there.is_terminal,
            no_color=there.no_color,
            legacy_windows=False,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._lines = 0

    @property
    def has_scrolled(self) -> bool:
        """Whether it is a terminal whose first lines are no longer to be seen."""
        return self._height is not None and self._lines >= self._height

    def line(self, text: Any) -> None:
        """Write one line, a ``rich.text.Text`` whose characters are safe for a terminal."""
        if not self.is_unicode:
            text.plain = (
                text.plain.replace("…", "...").encode(self._encoding, "backslashreplace").decode(self._encoding)
            )
        self._console.print(text, overflow="ignore", no_wrap=True, crop=False, soft_wrap=True)
        self._lines += 1
        if self._lines % _AT_ONCE == 0:
            self._flush()

    def _flush(self) -> None:
        self._file.write(self._buffer.getvalue())
        self._buffer.seek(0)
        self._buffer.truncate()

    def __enter__(self) -> Pages:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._flush()
            self._file.flush()

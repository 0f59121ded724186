"""``hush graph``: draw a graph as text, as Mermaid or as SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from hush.cli._exit import Code, Stop, say, usage
from hush.cli._options import Target
from hush.cli._results import Results, results_only
from hush.cli._safe import safe

Format = Literal["text", "mermaid", "svg"]
_SUFFIXES: dict[str, Format] = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid", ".txt": "text"}
_NARROWEST, _WIDTH = 40, 100


def graph(
    target: Target,
    /,
    *,
    format_: Annotated[
        Format | None,
        Parameter(name=("--format", "-f"), help="The form; if not given, what --output ends with says it, else text."),
    ] = None,
    output: Annotated[Path | None, Parameter(name=("--output", "-o"), metavar="FILE", help="Write it there.")] = None,
) -> int:
    """Draw a graph as text, as Mermaid, or as SVG. Faulty graphs can be drawn too; nothing of it runs."""
    from hush.cli._loading import load

    form = format_ or _form_of(output)
    with results_only() as results:
        loaded = load(str(target))
        try:
            drawn = _drawn(loaded.graph, form, results if output is None else None)
        except ImportError as error:
            raise usage(str(error)) from error
        if output is None:
            results.text(drawn.rstrip("\n"))
            return Code.OK
        try:
            with output.open("w", encoding="utf-8") as file:
                file.write(drawn if drawn.endswith("\n") else f"{drawn}\n")
        except OSError as error:
            raise Stop(Code.USAGE, safe(f"hush: --output {output}: {error.strerror}")) from error
        say(f"hush: written to {safe(str(output))}")
    return Code.OK


def _form_of(output: Path | None) -> Format:
    """What the end of a file's name says; text if it says nothing."""
    suffix = "" if output is None else output.suffix.lower()
    if not suffix:
        return "text"
    if suffix not in _SUFFIXES:
        known = ", ".join(_SUFFIXES)
        raise usage(f"--output {output}: no drawing ends with {suffix}; name it with one of {known}, or add --format")
    return _SUFFIXES[suffix]


def _drawn(graph: object, form: Format, results: Results | None) -> str:
    from hush.core import GraphNode

    assert hasattr(graph, "to_text")
    drawn: GraphNode = graph  # type: ignore[assignment]  # all that can be loaded can be drawn alike
    if form == "mermaid":
        return drawn.to_mermaid()
    if form == "svg":
        return drawn.to_svg()
    return drawn.to_text(width=_width(results), ascii_only=results is not None and not results.unicode)


def _width(results: Results | None) -> int:
    if results is None or not results.is_terminal:
        return _WIDTH
    from shutil import get_terminal_size

    return max(_NARROWEST, get_terminal_size((_WIDTH, 24)).columns)

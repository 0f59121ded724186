"""``hush check``: everything that is wrong with a graph, before it runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

from hush.cli._exit import Code, Stop, say, usage
from hush.cli._options import Json, Resources, Target
from hush.cli._problems import as_data, counted, line_of, problems_of
from hush.cli._results import results_only
from hush.cli._safe import safe
from hush.core import GraphError, Hush, Problem, ResourceError, ResourceHub


def check(
    target: Target,
    /,
    *,
    resources: Resources = None,
    skip_resources: Annotated[
        bool, Parameter(negative=(), help="Do not look up the limits and models that the graph names.")
    ] = False,
    json: Json = False,
) -> int:
    """List everything that is wrong with a graph; nothing of it runs.

    Each problem has the file and line where it was written, and how to mend it. The limits and models that the
    graph names are looked up, and their settings checked, if there is a file of resources; none is asked.
    """
    from hush.cli._loading import load

    with results_only() as results:
        try:
            loaded = load(str(target))
            shown, problems = loaded.shown, _problems(loaded.graph, resources, skips=skip_resources)
        except Stop as stop:
            if not isinstance(stop.__cause__, GraphError):
                raise
            shown, problems = str(target), problems_of(stop.__cause__)  # found while the graph was written
        if json:
            results.json({"graph": shown, "count": len(problems), "problems": [as_data(one) for one in problems]})
        elif problems:
            results.text("\n".join(line_of(one) for one in problems))
            results.text(f"{safe(shown)}: {counted(len(problems))}")
        else:
            results.text(f"{safe(shown)}: no problems")
    return Code.PROBLEMS if problems else Code.OK


def _problems(graph: object, resources: os.PathLike[str] | None, *, skips: bool) -> Sequence[Problem]:
    if isinstance(graph, Hush):
        return ()  # it would not be there
    found: Sequence[Problem] = graph.check()  # type: ignore[attr-defined]  # the four kinds of blocks have it
    if skips:
        return found
    try:
        hub = ResourceHub(path=resources) if resources is not None else ResourceHub.default()
    except ResourceError as error:
        if resources is not None:
            raise usage(str(error)) from error
        return [*found, *error.problems]
    try:
        Hush(graph, resources=hub)  # type: ignore[arg-type]
    except GraphError as error:
        named = problems_of(error)
        if resources is not None or len(hub) or len(named) == len(found):
            return named
        say("hush: there is no file of resources: the limits and models that the graph names are not looked up")
    return found
